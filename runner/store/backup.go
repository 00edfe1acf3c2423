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
	"strings"
	"time"
)

// backupKey is the meta row that a copy carries, and the store does not.
const backupKey = "backup"

// copying is the name that a copy under way begins with. It is in the data
// dir, where there is room for it if anywhere.
const copying = File + ".copying-"

// BackupInfo is what a copy of a store says of itself.
type BackupInfo struct {
	At       time.Time `json:"at"`
	Version  string    `json:"version"` // of the runner that made it; empty: a copy made before a migration
	RunnerID string    `json:"runner_id"`
	Epoch    int64     `json:"epoch"`
	Schema   int       `json:"schema"`
}

// Backup is a copy of a store as it was at one moment, to read once. It covers
// the store alone: neither outputs nor inputs, spools and logs.
type Backup struct {
	Info BackupInfo
	file *os.File
	size int64
}

// Backup copies the store while it goes on working, on behalf of a runner of
// that version. The copy is whole when this returns; it needs as much room in
// the data dir as the store has, until it is closed.
func (s *Store) Backup(ctx context.Context, version string) (*Backup, error) {
	b, err := backup(ctx, s.dir, version, s.now())
	return b, s.saw(err)
}

// BackupDir is Backup of a data dir that no runner works on.
func BackupDir(ctx context.Context, dir, version string, now time.Time) (_ *Backup, err error) {
	if _, err := os.Stat(filepath.Join(dir, File)); err != nil {
		return nil, fmt.Errorf("back up data dir %s: %w", dir, err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	b, err := backup(ctx, dir, version, now)
	if isDamage(err) {
		err = damagedStore(dir, err)
	}
	return b, err
}

func backup(ctx context.Context, dir, version string, now time.Time) (_ *Backup, err error) {
	file, err := os.CreateTemp(dir, copying+"*") // for nobody but us to read
	if err != nil {
		return nil, fmt.Errorf("back up the store: %w", err)
	}
	// The name goes at once, so that no crash leaves the copy behind.
	b := &Backup{file: file}
	defer func() {
		err = errors.Join(err, os.Remove(file.Name()))
		if err != nil {
			err = errors.Join(fmt.Errorf("back up the store: %w", err), file.Close())
		}
	}()
	if err := vacuumInto(ctx, filepath.Join(dir, File), file.Name()); err != nil {
		return nil, err
	}
	if b.Info, err = sign(ctx, file.Name(), BackupInfo{At: now.UTC(), Version: version}); err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	b.size = info.Size()
	return b, nil
}

// Read reads the copy.
func (b *Backup) Read(p []byte) (int, error) { return b.file.Read(p) }

// Close ends with the copy, read or not.
func (b *Backup) Close() error { return b.file.Close() }

// Size is the copy's, in bytes.
func (b *Backup) Size() int64 { return b.size }

// vacuumInto copies a database, as it is at one moment, into an empty file.
// Others may read and write it meanwhile.
func vacuumInto(ctx context.Context, from, to string) (err error) {
	db, err := openDB(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", to); err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	return nil
}

// openCopy opens a copy of a store; it leaves no other file beside it.
func openCopy(path string, options ...string) (*sql.DB, error) {
	return openPlain(path, append([]string{"_pragma=journal_mode(DELETE)"}, options...)...)
}

// sign has a copy say what it is.
func sign(ctx context.Context, path string, info BackupInfo) (_ BackupInfo, err error) {
	db, err := openCopy(path, "_pragma=synchronous(FULL)")
	if err != nil {
		return info, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := describe(ctx, db, &info); err != nil {
		return info, err
	}
	_, err = db.ExecContext(ctx, setMeta, backupKey, encode(info))
	return info, err
}

const (
	setMeta = `INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value`
	getMeta = `SELECT value FROM meta WHERE key = $1`
)

// describe reads whose store a database is.
func describe(ctx context.Context, db *sql.DB, info *BackupInfo) error {
	err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&info.Schema)
	if err == nil {
		err = db.QueryRowContext(ctx, getMeta, "runner_id").Scan(&info.RunnerID)
	}
	if err == nil {
		err = db.QueryRowContext(ctx, `SELECT CAST(value AS INTEGER) FROM meta WHERE key = $1`, "epoch").Scan(&info.Epoch)
	}
	return err
}

// CheckBackup reads a whole copy: that it is sound, of a runner's store, and
// of a schema that this binary knows.
func CheckBackup(ctx context.Context, path string) (info BackupInfo, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("check %s: %w", path, err)
		}
	}()
	stat, err := os.Stat(path)
	if err != nil {
		return info, err
	}
	if stat.Size() == 0 {
		return info, fmt.Errorf("%w: it is empty", errDamaged)
	}
	steps, err := loadMigrations()
	if err != nil {
		return info, err
	}
	db, err := openToRead(path)
	if err != nil {
		return info, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := integrityCheck(ctx, db); err != nil {
		return info, err
	}
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&info.Schema); err != nil {
		return info, err
	}
	switch {
	case info.Schema > len(steps):
		return info, fmt.Errorf("it has schema %d, and this batch-runner knows up to %d: use the newer batch-runner that made it", info.Schema, len(steps))
	case info.Schema == 0:
		return info, errors.New("it is a database, but not a runner's store")
	}
	if err := describe(ctx, db, &info); err != nil {
		return info, fmt.Errorf("it is a database, but not a runner's store: %w", err)
	}
	return info, readBackupInfo(ctx, db, stat.ModTime(), &info)
}

// readBackupInfo reads what sign wrote. A file without it was copied by other
// means, and its own age is the best there is.
func readBackupInfo(ctx context.Context, db *sql.DB, modified time.Time, info *BackupInfo) error {
	var text string
	err := db.QueryRowContext(ctx, getMeta, backupKey).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		info.At = modified.UTC()
		return nil
	}
	if err != nil {
		return err
	}
	return json.Unmarshal([]byte(text), info)
}

// openToRead opens a database that nobody writes; where it has a log beside it,
// that belongs to it.
func openToRead(path string) (*sql.DB, error) {
	if log, err := os.Stat(path + "-wal"); err == nil && log.Size() > 0 {
		return openPlain(path)
	}
	return openPlain(path, "immutable=1", "mode=ro")
}

// removeCopies clears what a crash left of copies under way.
func removeCopies(dir string) error {
	left, err := filepath.Glob(filepath.Join(globbed(dir), copying+"*"))
	for _, path := range left {
		if e := os.Remove(path); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}

// globbed is a path in which nothing stands for anything else.
func globbed(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}
