package store

import (
	"database/sql"
	"encoding/json"
	"errors"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// Creation says how a live job came to be, for a Create that is sent again.
type Creation struct {
	Key     string `json:"key"`     // the Idempotency-Key it was sent with
	Resumed bool   `json:"resumed"` // it dug up a buried job
}

func creationKey(uid string) string { return "creation " + uid }

// KeepCreation notes how a job came to be.
func (t *Tx) KeepCreation(uid string, c Creation) error {
	return t.exec(`INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
		creationKey(uid), encode(c))
}

// Creation tells how a job came to be.
func (t *Tx) Creation(uid string) (Creation, error) {
	var (
		text string
		c    Creation
	)
	if err := t.row(`SELECT value FROM meta WHERE key = $1`, creationKey(uid))(&text); err != nil {
		return c, err
	}
	return c, json.Unmarshal([]byte(text), &c)
}

// ForgetJob removes what PurgeJob does not know of: how the job came to be,
// and its own history.
func (t *Tx) ForgetJob(uid string) error {
	return errors.Join(
		t.exec(`DELETE FROM meta WHERE key = $1`, creationKey(uid)),
		t.exec(`DELETE FROM events WHERE uid = $1`, uid))
}

// Standing is where a job stands; nil is "none".
type Standing struct {
	Last     *Run // newest main run by (occurrence, revision)
	Success  *Run // newest that succeeded
	Active   *Run // under way or, else, first in its queue
	Decision *api.Decision
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
		return &Standing{}, err
	}
	return all[uid], nil
}

const newestFirst = `ORDER BY r.occurrence DESC, r.revision DESC, r.created_at DESC`

func (s *Store) standings(which string, args ...any) (map[string]*Standing, error) {
	all := map[string]*Standing{}
	of := func(uid string) *Standing {
		if all[uid] == nil {
			all[uid] = &Standing{}
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
		pick(`TRUE`, newestFirst, func(st *Standing) **Run { return &st.Last }),
		pick(`r.state = 'succeeded'`, newestFirst, func(st *Standing) **Run { return &st.Success }),
		pick(`r.`+activeStates, `ORDER BY CASE r.state WHEN 'queued' THEN 1 ELSE 0 END, r.created_at`, func(st *Standing) **Run { return &st.Active }),
	); err != nil {
		return nil, err
	}
	_, err := list(s.reader(), func(rows *sql.Rows) (uid string, err error) {
		var d api.Decision
		err = rows.Scan(&uid, &d.Verdict, &d.Reason, instant{&d.First}, instant{&d.Last}, &d.Count, &d.Run)
		of(uid).Decision = &d
		return uid, err
	}, `SELECT d.uid, d.verdict, d.reason, d.first, d.last, d.count, d.run_id FROM jobs JOIN decisions AS d ON d.uid = jobs.uid
		AND d.first = (SELECT MAX(first) FROM decisions WHERE decisions.uid = jobs.uid) WHERE `+which, args...)
	return all, err
}
