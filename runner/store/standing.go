package store

import (
	"database/sql"
	"errors"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// Standing is where a job stands; nil is "none".
type Standing struct {
	Last     *Run // newest by (occurrence, revision), but for backfill and skipped runs
	Success  *Run // newest of them that succeeded
	Active   *Run // under way or, else, first in its queue
	Decision *api.Decision
	// Missed and Skipped count occurrences by the reason of the decision;
	// never nil.
	Missed   map[string]int64
	Skipped  map[string]int64
	Backfill *Backfill // the one that has not ended
	Owed     int64     // records that wait in its ledger
}

// Standings tells where every live job stands, by uid, in a handful of
// queries, however many jobs there are.
func (s *Store) Standings() (map[string]*Standing, error) {
	return s.standings(`jobs.buried_at = 0`)
}

// Standing tells where one job stands.
func (s *Store) Standing(uid string) (*Standing, error) {
	all, err := s.standings(`jobs.uid = $1`, uid)
	if err != nil || all[uid] == nil {
		return newStanding(), err
	}
	return all[uid], nil
}

func newStanding() *Standing {
	return &Standing{Missed: map[string]int64{}, Skipped: map[string]int64{}}
}

const (
	succeeded   = `r.origin <> 'backfill' AND r.state = 'succeeded'` // has an index: a job may have failed since long ago
	newestFirst = `ORDER BY r.occurrence DESC, r.revision DESC, r.created_at DESC`
)

func (s *Store) standings(which string, args ...any) (map[string]*Standing, error) {
	all := map[string]*Standing{}
	if _, err := list(s.reader(), func(rows *sql.Rows) (uid string, err error) {
		err = rows.Scan(&uid)
		all[uid] = newStanding()
		return uid, err
	}, `SELECT uid FROM jobs WHERE `+which, args...); err != nil {
		return nil, err
	}
	of := func(uid string) *Standing {
		if all[uid] == nil { // declared since
			all[uid] = newStanding()
		}
		return all[uid]
	}
	// One index look-up a job, instead of a pass over the history of all.
	pick := func(condition, order string, place func(*Standing) **Run) error {
		picked, err := runs(s.reader(), `WHERE id IN (SELECT (SELECT r.id FROM runs AS r WHERE r.uid = jobs.uid AND `+
			condition+` `+order+` LIMIT 1) FROM jobs WHERE `+which+`)`, args...)
		for i := range picked {
			*place(of(picked[i].JobUID)) = &picked[i]
		}
		return err
	}
	if err := errors.Join(
		pick(`r.origin <> 'backfill' AND r.state <> 'skipped'`, newestFirst, func(st *Standing) **Run { return &st.Last }),
		pick(succeeded, newestFirst, func(st *Standing) **Run { return &st.Success }),
		pick(`r.`+activeStates, `ORDER BY `+underWayFirst, func(st *Standing) **Run { return &st.Active }),
		s.lastDecisions(of, which, args),
		s.decisionCounts(of, which, args),
		s.activeBackfills(of, which, args),
		s.owed(of, which, args),
	); err != nil {
		return nil, err
	}
	return all, nil
}

func (s *Store) lastDecisions(of func(string) *Standing, which string, args []any) error {
	_, err := list(s.reader(), func(rows *sql.Rows) (uid string, err error) {
		var d api.Decision
		err = rows.Scan(&uid, &d.Verdict, &d.Reason, instant{&d.First}, instant{&d.Last}, &d.Count, &d.Run)
		of(uid).Decision = &d
		return uid, err
	}, `SELECT d.uid, d.verdict, d.reason, d.first, d.last, d.count, d.run_id FROM jobs JOIN decisions AS d ON d.uid = jobs.uid
		AND d.first = (SELECT MAX(first) FROM decisions WHERE decisions.uid = jobs.uid) WHERE `+which, args...)
	return err
}

func (s *Store) decisionCounts(of func(string) *Standing, which string, args []any) error {
	_, err := list(s.reader(), func(rows *sql.Rows) (uid string, err error) {
		var (
			verdict api.Verdict
			reason  string
			n       int64
		)
		err = rows.Scan(&uid, &verdict, &reason, &n)
		if verdict == api.VerdictMissed {
			of(uid).Missed[reason] = n
		} else {
			of(uid).Skipped[reason] = n
		}
		return uid, err
	}, `SELECT c.uid, c.verdict, c.reason, c.count FROM jobs JOIN decision_counts AS c ON c.uid = jobs.uid WHERE `+which, args...)
	return err
}

func (s *Store) activeBackfills(of func(string) *Standing, which string, args []any) error {
	active, err := backfills(s.reader(), `b.ended_at = 0 AND `+which, args...)
	for i := range active {
		of(active[i].UID).Backfill = &active[i]
	}
	return err
}

func (s *Store) owed(of func(string) *Standing, which string, args []any) error {
	_, err := list(s.reader(), func(rows *sql.Rows) (uid string, err error) {
		var records int64
		err = rows.Scan(&uid, &records)
		of(uid).Owed = records
		return uid, err
	}, `SELECT ledger.uid, SUM(ledger.records) FROM jobs JOIN ledger ON ledger.uid = jobs.uid AND ledger.settled_by = ''
		WHERE `+which+` GROUP BY ledger.uid`, args...)
	return err
}
