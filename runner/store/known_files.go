package store

import (
	"database/sql"
	"errors"
	"time"
)

// KnownFile is a file that a run of an incremental job has taken.
type KnownFile struct {
	Path    string
	Size    int64
	ModTime time.Time
	SHA256  string
	Run     string // that took it
}

func scanKnownFile(rows *sql.Rows) (f KnownFile, err error) {
	err = rows.Scan(&f.Path, &f.Size, instant{&f.ModTime}, &f.SHA256, &f.Run)
	return f, err
}

const (
	knownFiles = `SELECT path, size, mod_time, sha256, run_id FROM known_files WHERE uid = $1 AND identity = $2`
	knownFile  = `SELECT path, size, mod_time, sha256, run_id FROM known_files WHERE uid = $1 AND path = $2 AND identity = $3`
)

// KnownFiles lists the files that a job knows, in no order. The identity is
// the input's, Job.InputIdentity.
func (s *Store) KnownFiles(uid, identity string) ([]KnownFile, error) {
	return list(s.reader(), scanKnownFile, knownFiles, uid, identity)
}

// KnownFile finds a file that a job knows, of the input of that identity.
func (t *Tx) KnownFile(uid, identity, path string) (KnownFile, error) {
	return first(t, scanKnownFile, knownFile, uid, path, identity)
}

// Know remembers that a run has taken a file as it was then.
func (t *Tx) Know(uid, identity string, f KnownFile) error {
	return t.exec(`INSERT INTO known_files (uid, identity, path, size, mod_time, sha256, run_id, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (uid, path) DO UPDATE SET identity = excluded.identity, size = excluded.size, mod_time = excluded.mod_time,
			sha256 = excluded.sha256, run_id = excluded.run_id, at = excluded.at`,
		uid, identity, f.Path, f.Size, nanos(f.ModTime), f.SHA256, f.Run, nanos(t.Now))
}

// Remember tells whether it is the first time that a run which has committed
// something ends: then the job is to know its files. Later ends, after a retry,
// find that done, and some of the files perhaps taken anew by other runs.
func (t *Tx) Remember(run string) (first bool, err error) {
	n, err := t.changed(`UPDATE plans SET remembered = 1 WHERE run_id = $1 AND remembered = 0`, run)
	return n == 1, err
}

// Touched notes the new modification time of a known file whose content is the
// same.
func (t *Tx) Touched(uid, identity string, f KnownFile) error {
	return t.exec(`UPDATE known_files SET mod_time = $1 WHERE uid = $2 AND path = $3 AND identity = $4 AND sha256 = $5`,
		nanos(f.ModTime), uid, f.Path, identity, f.SHA256)
}

// Memory is what a job remembers of the inputs it has taken.
type Memory struct {
	Identities []string // of the inputs, Job.InputIdentity; none: it remembers nothing
	Files      int64    // known
	Keys       int64    // of rows that are dead letters
	Mark       string   // of a watermark
	Owed       int64    // entries of the ledger that no run has settled
}

// Memory tells what a job remembers of incremental inputs.
func (t *Tx) Memory(uid string) (m Memory, err error) {
	m.Identities, err = list(t, func(rows *sql.Rows) (identity string, err error) {
		err = rows.Scan(&identity)
		return identity, err
	}, `SELECT identity FROM known_files WHERE uid = $1 AND identity <> '' UNION SELECT identity FROM ledger
		WHERE uid = $1 AND settled_by = '' AND identity <> '' UNION SELECT identity FROM known_keys WHERE uid = $1
		UNION SELECT identity FROM marks WHERE uid = $1`, uid)
	if err == nil {
		err = t.row(`SELECT (SELECT COUNT(*) FROM known_files WHERE uid = $1),
			(SELECT COUNT(*) FROM ledger WHERE uid = $1 AND settled_by = '' AND identity <> ''),
			(SELECT COUNT(*) FROM known_keys WHERE uid = $1),
			COALESCE((SELECT value FROM marks WHERE uid = $1), '')`, uid)(&m.Files, &m.Owed, &m.Keys, &m.Mark)
	}
	return m, err
}

// ForgetInputs has a job forget what it remembers of incremental inputs: the
// files and keys it knows, its mark, and what it owes of them.
func (t *Tx) ForgetInputs(uid string) error {
	return errors.Join(
		t.exec(`DELETE FROM known_files WHERE uid = $1`, uid),
		t.exec(`DELETE FROM known_keys WHERE uid = $1`, uid),
		t.exec(`DELETE FROM marks WHERE uid = $1`, uid),
		t.exec(`DELETE FROM ledger WHERE uid = $1 AND settled_by = '' AND identity <> ''`, uid))
}

// KeepInputs has what a job remembers of incremental inputs stand for the input
// of another identity.
func (t *Tx) KeepInputs(uid, identity string) error {
	return errors.Join(
		t.exec(`UPDATE known_files SET identity = $1 WHERE uid = $2`, identity, uid),
		t.exec(`UPDATE known_keys SET identity = $1 WHERE uid = $2`, identity, uid),
		t.exec(`UPDATE marks SET identity = $1 WHERE uid = $2`, identity, uid),
		t.exec(`UPDATE ledger SET identity = $1 WHERE uid = $2 AND settled_by = '' AND identity <> ''`, identity, uid))
}

// PlannedElsewhere lists the plans of a job's other runs that have not ended.
func (t *Tx) PlannedElsewhere(run Run) ([]Plan, error) { return plannedElsewhere(t, run) }

// PlannedElsewhere lists the plans of a job's other runs that have not ended.
func (s *Store) PlannedElsewhere(run Run) ([]Plan, error) { return plannedElsewhere(s.reader(), run) }

const otherPlans = selectPlan + `run_id IN (SELECT id FROM runs WHERE ` + activeOf + ` AND id <> $2)`

func plannedElsewhere(q querier, run Run) ([]Plan, error) {
	return list(q, scanPlan, otherPlans, run.JobUID, run.ID)
}
