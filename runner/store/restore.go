package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

const (
	// restoring is a restored store that is complete and has yet to take its
	// place: from its name on, the restoration is going to happen.
	restoring = File + ".restoring"
	// replacedStamp dates the store that a restoration put aside.
	replacedStamp = "20060102T150405.000Z"
	// restoredKey is the meta row of a restored store until a runner has made
	// of it what it may be: see package trigger.
	restoredKey = "restored"
)

// Restoration is that a store was brought back to what it was.
type Restoration struct {
	At     time.Time  `json:"at"`
	Backup BackupInfo `json:"backup"`
	// Replaced is where the store is now that was there before; empty: none.
	Replaced string `json:"-"`
}

// Restore puts a copy of a store into a data dir. It refuses one that a runner
// works on and, without replace, one that has a store; a store that was there
// is put aside, never removed. The restored one keeps the identity of its
// runner, and begins in an epoch above all that the data dir has seen.
func Restore(ctx context.Context, file, dir string, replace bool, now time.Time) (r Restoration, err error) {
	r.At = now.UTC()
	if r.Backup, err = CheckBackup(ctx, file); err != nil {
		return r, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return r, fmt.Errorf("create data dir %s: %w", dir, err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	path := filepath.Join(dir, File)
	switch _, found := os.Stat(path); {
	case found == nil && !replace:
		return r, fmt.Errorf("data dir %s has a store; --replace puts it aside and takes its place", dir)
	case found != nil && !errors.Is(found, fs.ErrNotExist):
		return r, found
	}
	if err := errors.Join(removeCopies(dir), prepareRestore(ctx, file, dir, r)); err != nil {
		return r, fmt.Errorf("restore %s: %w", file, err)
	}
	if r.Replaced, err = finishRestore(dir); err != nil {
		return r, fmt.Errorf("restore %s: %w; the next start, or the same command again, goes on with it", file, err)
	}
	return r, nil
}

// prepareRestore makes the copy that is to take the store's place.
func prepareRestore(ctx context.Context, file, dir string, r Restoration) (err error) {
	made, err := os.CreateTemp(dir, copying+"*")
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, made.Close())
		if err != nil {
			err = errors.Join(err, os.Remove(made.Name()))
		}
	}()
	from, err := openToRead(file)
	if err != nil {
		return err
	}
	_, err = from.ExecContext(ctx, "VACUUM INTO ?", made.Name())
	if err := errors.Join(err, from.Close()); err != nil {
		return fmt.Errorf("copy to %s: %w", dir, err)
	}
	// The clock takes part, so that two restorations of one backup differ.
	epoch := max(r.Backup.Epoch, epochIn(ctx, filepath.Join(dir, File)), r.At.Unix()) + 1
	if err := markRestored(ctx, made.Name(), r, epoch); err != nil {
		return err
	}
	if err := made.Sync(); err != nil {
		return err
	}
	return errors.Join(os.Rename(made.Name(), filepath.Join(dir, restoring)), syncDir(dir))
}

func markRestored(ctx context.Context, path string, r Restoration, epoch int64) (err error) {
	db, err := openCopy(path, "_pragma=synchronous(FULL)")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	_, err = db.ExecContext(ctx, `DELETE FROM meta WHERE key = $1`, backupKey)
	for key, value := range map[string]string{restoredKey: encode(r), "epoch": strconv.FormatInt(epoch, 10)} {
		if err == nil {
			_, err = db.ExecContext(ctx, setMeta, key, value)
		}
	}
	return err
}

// epochIn is the epoch of a store that is about to be put aside; 0 where it
// can't be read.
func epochIn(ctx context.Context, path string) int64 {
	if _, err := os.Stat(path); err != nil {
		return 0
	}
	db, err := openPlain(path)
	if err != nil {
		return 0
	}
	var info BackupInfo
	_ = errors.Join(describe(ctx, db, &info), db.Close()) // it may be damaged; then it has none
	return info.Epoch
}

// finishRestore has a prepared copy take the store's place, and tells where
// that is then. Each step can be cut short and done again: a start does so.
func finishRestore(dir string) (replaced string, err error) {
	next := filepath.Join(dir, restoring)
	info, err := os.Stat(next)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, File)
	replaced = path + ".replaced-" + info.ModTime().UTC().Format(replacedStamp)
	// The log goes first: beside another database, it would spoil it.
	for _, suffix := range []string{"-wal", "-shm", ""} {
		err := os.Rename(path+suffix, replaced+suffix)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		if suffix == "" && err != nil {
			replaced = "" // there was none
		}
	}
	return replaced, errors.Join(syncDir(dir), os.Rename(next, path), syncDir(dir))
}

func syncDir(dir string) (err error) {
	open, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(open.Sync(), open.Close())
}

// Restoration tells of a restoration that no runner has acted on yet;
// ErrNotFound: there is none.
func (t *Tx) Restoration() (r Restoration, err error) {
	var text string
	if err := t.row(getMeta, restoredKey)(&text); err != nil {
		return r, err
	}
	return r, json.Unmarshal([]byte(text), &r)
}

// SettleRestoration notes that a restoration was acted on.
func (t *Tx) SettleRestoration() error {
	return t.exec(`DELETE FROM meta WHERE key = $1`, restoredKey)
}

// Unfinished lists all runs that have not ended.
func (t *Tx) Unfinished() ([]Run, error) { return t.runsWhere(activeStates) }

// UnfinishedBackfills lists the backfills that have not ended.
func (t *Tx) UnfinishedBackfills() ([]Backfill, error) { return backfills(t, `b.ended_at = 0`) }

// Jobs lists the live jobs by name.
func (t *Tx) Jobs() ([]Job, error) { return list(t, scanJob, selectJob+`buried_at = 0 ORDER BY name`) }

// Owes tells whether records wait in a job's ledger.
func (t *Tx) Owes(uid string) (owes bool, err error) {
	err = t.row(`SELECT EXISTS (SELECT 1 FROM ledger WHERE uid = $1 AND settled_by = '')`, uid)(&owes)
	return owes, err
}

// OwedCopy is a copy of input, in the data dir it was made in, that a job owes
// records of.
type OwedCopy struct {
	Run     string // that made it
	Path    string // below that run's folder
	Size    int64  // of the whole copy
	Records int64
}

// OwedCopies lists those of a job.
func (t *Tx) OwedCopies(uid string) ([]OwedCopy, error) {
	return list(t, func(rows *sql.Rows) (c OwedCopy, err error) {
		err = rows.Scan(&c.Run, &c.Path, &c.Size, &c.Records)
		return c, err
	}, `SELECT file ->> '$.spool_run' AS run, file ->> '$.spool' AS path, MAX(file ->> '$.spool_size'), SUM(records) FROM ledger
		WHERE uid = $1 AND settled_by = '' AND instr(file, '"spool_run"') > 0 GROUP BY run, path ORDER BY run, path`, uid)
}
