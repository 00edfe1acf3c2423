package store

import "database/sql"

// Gone counts records that had no row to be written to, by the reason: deleted,
// taken, newer.
type Gone map[string]int64

// Total is their number.
func (g Gone) Total() (n int64) {
	for _, of := range g {
		n += of
	}
	return n
}

// addGone notes which records of a mini-batch are gone, in the transaction that
// makes it committed. A redrive adds to what was gone before.
func (t *Tx) addGone(run string, number int64, gone Gone) error {
	if len(gone) == 0 {
		return nil
	}
	sum, err := goneOf(t, `run_id = $1 AND number = $2`, run, number)
	if err != nil {
		return err
	}
	for why, n := range gone {
		sum[why] += n
	}
	return t.one(`UPDATE mini_batches SET gone = gone + $1, gone_why = $2 WHERE run_id = $3 AND number = $4 AND gone + $1 <= staged_records`,
		gone.Total(), encode(sum), run, number)
}

// Gone sums up which records of a run are gone.
func (t *Tx) Gone(run string) (Gone, error) { return goneOf(t, `run_id = $1`, run) }

// Gone sums up which records of a run are gone.
func (s *Store) Gone(run string) (Gone, error) { return goneOf(s.reader(), `run_id = $1`, run) }

func goneOf(q querier, where string, args ...any) (Gone, error) {
	type reason struct {
		why string
		n   int64
	}
	reasons, err := list(q, func(rows *sql.Rows) (r reason, err error) {
		err = rows.Scan(&r.why, &r.n)
		return r, err
	}, `SELECT why.key, SUM(why.value) FROM mini_batches, json_each(gone_why) AS why WHERE gone_why <> '' AND `+where+` GROUP BY why.key`, args...)
	gone := Gone{}
	for _, r := range reasons {
		gone[r.why] = r.n
	}
	return gone, err
}
