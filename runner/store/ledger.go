package store

import (
	"database/sql"
	"encoding/json"
	"time"
)

// Owed is a row of a job's ledger: a mini-batch of an earlier run that no run
// has finished yet. A run claims it with its plan; it stays the same row,
// however many runs carry it on, until one commits or dead-letters it.
type Owed struct {
	ID         int64
	Run        string // that owed it first
	MiniBatch  int64  // of that run
	Occurrence time.Time
	File       json.RawMessage // its pinned identity, as in Plan.Files
	Offset     int64
	Length     int64
	FirstLine  int64
	Records    int64
	Checksum   *uint32 // as in MiniBatch
	Carries    int64   // runs that have sent it
	Since      time.Time
}

const (
	// What a run leaves, in the ledger already or yet to come into it.
	notCommitted = `m.run_id = $1 AND m.redrive = 0 AND m.carried = 0
		AND m.state IN ('pending', 'running', 'retry_wait', 'staged', 'given_up', 'cancelled')`
	owedAgain = `UPDATE ledger SET carries = carries + (m.sent AND NOT m.counted), class = m.class, status = m.status, error = m.error
		FROM mini_batches AS m WHERE ` + notCommitted + ` AND m.ledger > 0 AND ledger.id = m.ledger AND ledger.taken_by = $1`
	filesLeft = `SELECT DISTINCT m.file FROM mini_batches AS m WHERE ` + notCommitted + ` AND m.ledger = 0 ORDER BY m.file`
	owedFirst = `INSERT INTO ledger (run_id, mini_batch, uid, identity, occurrence, file, since, offset, length, first_line, records, checksum, carries, class, status, error)
		SELECT $1, m.number, $2, $3, $4, $5, $6, m.offset, m.length, m.first_line, m.records, m.checksum, m.sent, m.class, m.status, m.error
		FROM mini_batches AS m WHERE ` + notCommitted + ` AND m.ledger = 0 AND m.file = $7 ORDER BY m.number`
	entered = `UPDATE mini_batches AS m SET ledger = (SELECT id FROM ledger WHERE ledger.run_id = $1 AND ledger.mini_batch = m.number)
		WHERE ` + notCommitted + ` AND m.ledger = 0`
	nowCarried = notCommitted + ` AND m.ledger > 0 AND m.state <> 'staged'`
	ledgerFree = `SELECT id, run_id, mini_batch, occurrence, file, offset, length, first_line, records, checksum, carries, since FROM ledger
		WHERE uid = $1 AND settled_by = '' AND identity = $2 AND taken_by = '' ORDER BY id`
	// The rows that a run's plan needs: those it carries and, until the job knows
	// its files, those that they replace.
	ledgerNeeded = `SELECT number, ledger FROM mini_batches WHERE run_id = $1 AND ledger > 0 AND state <> 'committed' AND redrive = 0
		UNION ALL SELECT 0, r.value FROM plans, json_each(plans.replaced) AS r WHERE plans.run_id = $1 AND plans.remembered = 0`
	ledgerClaimed = `UPDATE ledger SET taken_by = $1 WHERE settled_by = '' AND taken_by IN ('', $1)
		AND id IN (SELECT ledger FROM (` + ledgerNeeded + `))`
	ledgerFreed   = `UPDATE ledger SET taken_by = '' WHERE taken_by = $1 AND taken_by <> ''`
	ledgerSettled = `UPDATE ledger SET settled_by = $1, settled_at = $2, taken_by = '' WHERE taken_by = $1 AND taken_by <> ''
		AND id IN (SELECT ledger FROM mini_batches WHERE run_id = $1 AND ledger > 0 AND state = 'committed')`
	ledgerReplaced = `UPDATE ledger SET settled_by = $1, settled_at = $2, taken_by = '' WHERE taken_by = $1 AND taken_by <> ''
		AND id IN (SELECT r.value FROM plans, json_each(plans.replaced) AS r WHERE plans.run_id = $1)`
	ledgerTookOver = `SELECT DISTINCT file FROM ledger WHERE settled_by = $1 AND settled_by <> '' AND run_id <> $1`
	ledgerTaker    = `SELECT m.number, l.id IS NULL, COALESCE(l.settled_by, ''), COALESCE(l.taken_by, '') FROM (` + ledgerNeeded + `) AS m
		LEFT JOIN ledger AS l ON l.id = m.ledger
		WHERE l.id IS NULL OR l.settled_by NOT IN ('', $1) OR l.taken_by NOT IN ('', $1) ORDER BY m.number LIMIT 1`
)

// Owes lists what a job owes and no run has claimed, oldest first. The identity
// is the input's, Job.InputIdentity.
func (s *Store) Owes(uid, identity string) ([]Owed, error) {
	return list(s.reader(), func(rows *sql.Rows) (o Owed, err error) {
		err = rows.Scan(&o.ID, &o.Run, &o.MiniBatch, instant{&o.Occurrence}, document{&o.File}, &o.Offset, &o.Length, &o.FirstLine,
			&o.Records, &o.Checksum, &o.Carries, instant{&o.Since})
		return o, err
	}, ledgerFree, uid, identity)
}

// ReplaceOwed notes the ledger rows of files that a run's plan takes anew, all
// of them as they are now: nobody is to carry what they held before. The run
// claims them with those that it carries, and settles them once it commits.
func (t *Tx) ReplaceOwed(run string, ids []int64) error {
	if len(ids) == 0 {
		return nil
	}
	return t.one(`UPDATE plans SET replaced = $1 WHERE run_id = $2`, encode(ids), run)
}

// ClaimOwed claims the ledger rows that a run's plan takes. ErrFenced says that
// one of them is not to be had any more.
func (t *Tx) ClaimOwed(run string) error {
	var planned int64
	if err := t.row(`SELECT COUNT(*) FROM (`+ledgerNeeded+`)`, run)(&planned); err != nil || planned == 0 {
		return err
	}
	claimed, err := t.changed(ledgerClaimed, run)
	if err == nil && claimed != planned {
		err = ErrFenced
	}
	return err
}

// Taken is how it stands with a ledger row that a run wants back.
type Taken struct {
	MiniBatch int64  // of the run that wants it; 0: a file that the run takes anew replaces it
	By        string // the run that has it, or has finished it; empty: the job has forgotten it
	Settled   bool
}

// TakerOf finds a ledger row that a run's plan needs and the run can't claim any
// more; ErrNotFound: it can claim all of them.
func (t *Tx) TakerOf(run string) (Taken, error) {
	return first(t, func(rows *sql.Rows) (Taken, error) {
		var (
			taken          Taken
			gone           bool
			settler, taker string
		)
		err := rows.Scan(&taken.MiniBatch, &gone, &settler, &taker)
		taken.Settled = settler != ""
		if taken.By = taker; taken.Settled {
			taken.By = settler
		}
		return taken, err
	}, ledgerTaker, run)
}

// FreeOwed gives back the ledger rows that a run has claimed: it ends without
// having committed anything.
func (t *Tx) FreeOwed(run string) error { return t.exec(ledgerFreed, run) }

// SettleOwed settles those of them that the run has committed.
func (t *Tx) SettleOwed(run string) error { return t.exec(ledgerSettled, run, nanos(t.Now)) }

// CloseOwed ends a run's claims once it has committed something. What it
// committed or dead-lettered is settled, and what its files replace; the rest is
// owed again. With own, what it left of its own input is owed from now on, too;
// files are the pinned identities of the plan.
//
// A mini-batch that is staged stays staged, for a retry or accept that comes
// before the next run takes its row; every other one counts as carried: so many
// records.
func (t *Tx) CloseOwed(run Run, identity string, files []json.RawMessage, own bool) (carried int64, err error) {
	if err := t.SettleOwed(run.ID); err != nil {
		return 0, err
	}
	if err := t.exec(ledgerReplaced, run.ID, nanos(t.Now)); err != nil {
		return 0, err
	}
	if err := t.exec(owedAgain, run.ID); err != nil {
		return 0, err
	}
	if own {
		if err := t.oweOwn(run, identity, files); err != nil {
			return 0, err
		}
	}
	if err := t.row(`SELECT COALESCE(SUM(m.records), 0) FROM mini_batches AS m WHERE `+nowCarried, run.ID)(&carried); err != nil {
		return 0, err
	}
	if err := t.exec(`UPDATE mini_batches AS m SET carried = 1, counted = sent WHERE `+nowCarried, run.ID); err != nil {
		return 0, err
	}
	return carried, t.FreeOwed(run.ID)
}

// oweOwn makes ledger rows of what a run leaves of its own input.
func (t *Tx) oweOwn(run Run, identity string, files []json.RawMessage) error {
	left, err := list(t, func(rows *sql.Rows) (file int, err error) {
		err = rows.Scan(&file)
		return file, err
	}, filesLeft, run.ID)
	if err != nil || len(left) == 0 {
		return err
	}
	for _, file := range left {
		err := t.exec(owedFirst, run.ID, run.JobUID, identity, nanos(run.Occurrence), string(files[file]), nanos(t.Now), file)
		if err != nil {
			return err
		}
	}
	return t.exec(entered, run.ID)
}

// Carry is what the end of a run would leave in the ledger, in records.
type Carry struct {
	Carried    int64 // for the next run
	CarriedOut int64 // sent by so many runs that they become dead letters instead
	GivenUp    int64 // of both together: those in state given_up
}

const leftToCarry = `FROM mini_batches AS m LEFT JOIN ledger AS l ON l.id = m.ledger
	WHERE m.run_id = $2 AND m.redrive = 0 AND m.carried = 0 AND m.state IN ('pending', 'retry_wait', 'given_up') AND (m.ledger > 0 OR $3)`

// wouldBeCarries is how many runs have sent a mini-batch, this one included.
const wouldBeCarries = `COALESCE(l.carries, 0) + (m.sent AND NOT m.counted)`

// Carry foresees what CloseOwed will do with the mini-batches as they stand.
func (t *Tx) Carry(run string, own bool, maxCarries int64) (c Carry, err error) {
	err = t.row(`SELECT COALESCE(SUM(CASE WHEN `+wouldBeCarries+` < $1 THEN m.records END), 0),
		COALESCE(SUM(CASE WHEN `+wouldBeCarries+` >= $1 THEN m.records END), 0),
		COALESCE(SUM(CASE WHEN m.state = 'given_up' THEN m.records END), 0) `+leftToCarry, maxCarries, run, own)(&c.Carried, &c.CarriedOut, &c.GivenUp)
	return c, err
}

// CarriedOut lists the mini-batches of a run that the ledger takes no more,
// since so many runs have sent them.
func (s *Store) CarriedOut(run string, own bool, maxCarries int64) ([]MiniBatch, error) {
	return list(s.reader(), scanMiniBatch, `SELECT `+miniBatchColumns+` FROM mini_batches WHERE (run_id, number) IN (
		SELECT m.run_id, m.number `+leftToCarry+` AND `+wouldBeCarries+` >= $1) ORDER BY number`, maxCarries, run, own)
}

// BuryCarried makes every record of a mini-batch that was carried too often a
// dead letter, while the run is committing. ErrFenced where that has happened.
func (t *Tx) BuryCarried(run Run, m MiniBatch, letters []PlacedDeadLetter) error {
	err := t.one(`UPDATE mini_batches SET state = 'staged', fence = fence + 1, staged_path = '', staged_records = 0, dead_lettered = $1
		WHERE run_id = $2 AND number = $3 AND state = $4 AND fence = $5 AND records = $1
		AND EXISTS (SELECT 1 FROM runs WHERE id = $2 AND state = 'committing')`, int64(len(letters)), run.ID, m.Number, m.State, m.Fence)
	if err != nil {
		return err
	}
	return t.insertDeadLetters(run.ID, m.Number, letters)
}

// TookOver gives the files, as they were pinned, of the records that earlier
// runs owed and this one has finished.
func (s *Store) TookOver(run string) ([]json.RawMessage, error) {
	return list(s.reader(), func(rows *sql.Rows) (file json.RawMessage, err error) {
		err = rows.Scan(document{&file})
		return file, err
	}, ledgerTookOver, run)
}
