package store

import (
	"database/sql"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// A redrive sends the dead letters of an ended run again. While it lasts, the
// result that a mini-batch had before stands in the table redrives, its letters
// stay where they are, and mini_batches.kept says how many of its records are
// in the output (those that are gone stay gone). Either the new result is committed, or everything goes back.

// resendable are the letters of records that may be answered another time. What
// never reached the server, or cannot be read any more, stays as it is.
const resendable = `SELECT mini_batch FROM dead_letters WHERE run_id = $1 AND body ->> 'class' NOT IN ('bad_record', 'input_changed')`

// Redrive makes the mini-batches of a run pending that have dead letters to be
// sent again, and tells how many these are. One whose letters are no longer kept is
// left alone.
func (t *Tx) Redrive(run string) (miniBatches int64, err error) {
	chosen := `run_id = $1 AND redrive = 0 AND state IN ('staged', 'committed') AND number IN (` + resendable + `)
		AND dead_lettered = (SELECT COUNT(*) FROM dead_letters AS d WHERE d.run_id = $1 AND d.mini_batch = number)`
	if err := t.exec(`INSERT INTO redrives (run_id, mini_batch, state, staged_path, staged_records, dead_lettered, bytes, sha256, fingerprint)
		SELECT run_id, number, state, staged_path, staged_records, dead_lettered, bytes, sha256, fingerprint FROM mini_batches WHERE `+chosen, run); err != nil {
		return 0, err
	}
	return t.changed(`UPDATE mini_batches SET state = 'pending', redrive = 1, kept = CASE state WHEN 'committed' THEN staged_records - gone ELSE 0 END,
		dead_lettered = 0, attempts = 0, not_before = 0, waiting_since = 0, losses = 0, timeouts = 0 WHERE `+chosen, run)
}

// RestoreRedriven gives the mini-batches of a run whose dead letters were being
// sent again the result back that they had before, with all its letters.
func (t *Tx) RestoreRedriven(run string) error { return t.restore(run, 0) }

// restore does so with one mini-batch, or with all where number is 0.
func (t *Tx) restore(run string, number int64) error {
	if err := t.exec(`UPDATE mini_batches SET state = 'pending' WHERE run_id = $1 AND ($2 = 0 OR number = $2) AND redrive = 1
		AND state IN ('running', 'retry_wait')`, run, number); err != nil {
		return err
	}
	err := t.exec(`UPDATE mini_batches SET (state, staged_path, staged_records, dead_lettered, bytes, sha256, fingerprint) =
			(SELECT state, staged_path, staged_records, dead_lettered, bytes, sha256, fingerprint FROM redrives AS r
				WHERE r.run_id = mini_batches.run_id AND r.mini_batch = mini_batches.number),
		redrive = 0, kept = 0, fence = fence + 1, class = '', status = 0, error = '', example = '', waiting_since = 0, not_before = 0
		WHERE run_id = $1 AND ($2 = 0 OR number = $2) AND redrive = 1`, run, number)
	if err != nil {
		return err
	}
	if err := t.exec(`UPDATE dead_letters SET redriven = 0 WHERE run_id = $1 AND ($2 = 0 OR mini_batch = $2) AND redriven = 1`, run, number); err != nil {
		return err
	}
	return t.exec(`DELETE FROM redrives WHERE run_id = $1 AND ($2 = 0 OR mini_batch = $2)`, run, number)
}

// commitRedriven forgets, of the mini-batches whose new results are visible, what
// was before.
func (t *Tx) commitRedriven(run string) error {
	const visible = `mini_batch IN (SELECT number FROM mini_batches WHERE run_id = $1 AND state = 'committed')`
	if err := t.exec(`UPDATE mini_batches SET redrive = 0, kept = 0 WHERE run_id = $1 AND redrive = 1 AND state = 'committed'`, run); err != nil {
		return err
	}
	if err := t.exec(`DELETE FROM dead_letters WHERE run_id = $1 AND redriven = 1 AND `+visible, run); err != nil {
		return err
	}
	return t.exec(`DELETE FROM redrives WHERE run_id = $1 AND `+visible, run)
}

// replaceDeadLetters puts what is dead after a redrive in the place of the
// letters before; those of records that were predicted wait for the commit.
func (t *Tx) replaceDeadLetters(run string, miniBatch int64, letters []PlacedDeadLetter) error {
	if err := t.exec(`UPDATE dead_letters SET redriven = 1 WHERE run_id = $1 AND mini_batch = $2`, run, miniBatch); err != nil {
		return err
	}
	return t.keepDead(run, miniBatch, letters)
}

// keepDead says of letters that were sent again that their records are dead,
// still.
func (t *Tx) keepDead(run string, miniBatch int64, letters []PlacedDeadLetter) error {
	for _, letter := range letters {
		if err := t.exec(`UPDATE dead_letters SET redriven = 0, body = $1 WHERE run_id = $2 AND mini_batch = $3 AND position = $4`,
			encode(letter.DeadLetter), run, miniBatch, letter.Position); err != nil {
			return err
		}
	}
	return nil
}

// Before is the result that a mini-batch had before its dead letters were sent
// again.
type Before struct {
	State   api.MiniBatchState // staged or committed
	Path    string
	Records int64
	Bytes   int64
	SHA256  string
	Letters []PlacedDeadLetter // by position
}

// Before finds what a mini-batch under redrive had before.
func (s *Store) Before(run string, miniBatch int64) (Before, error) {
	b, err := first(s.reader(), func(rows *sql.Rows) (b Before, err error) {
		err = rows.Scan(&b.State, &b.Path, &b.Records, &b.Bytes, &b.SHA256)
		return b, err
	}, `SELECT state, staged_path, staged_records, bytes, sha256 FROM redrives WHERE run_id = $1 AND mini_batch = $2`, run, miniBatch)
	if err != nil {
		return b, err
	}
	b.Letters, err = list(s.reader(), func(rows *sql.Rows) (letter PlacedDeadLetter, err error) {
		err = rows.Scan(&letter.Position, document{&letter.DeadLetter})
		return letter, err
	}, `SELECT position, body FROM dead_letters WHERE run_id = $1 AND mini_batch = $2 ORDER BY position`, run, miniBatch)
	return b, err
}

// StagedBefore lists the staged files that the mini-batches of a run need which
// are under redrive.
func (s *Store) StagedBefore(run string) ([]string, error) {
	return list(s.reader(), func(rows *sql.Rows) (path string, err error) {
		err = rows.Scan(&path)
		return path, err
	}, `SELECT staged_path FROM redrives WHERE run_id = $1 AND state = 'staged' AND staged_path <> ''`, run)
}
