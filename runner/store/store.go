package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the driver

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// File is the name of the database inside a data dir.
const File = "store.db"

var (
	// ErrFenced says that the row a transition wanted is no longer in the
	// state, version or fence it was read in: somebody else owns it now.
	ErrFenced = errors.New("fenced: the row has moved on")
	// ErrNotFound says that there is no such row.
	ErrNotFound = errors.New("not found")
	// ErrTaken says that a live job has that name.
	ErrTaken = errors.New("taken by another job")
)

// Store is one data dir's database, owned by this process alone until Close.
type Store struct {
	dir      string
	lock     *os.File
	writeDB  *sql.DB
	readDB   *sql.DB
	queries  sync.Map // of the readers: text → *sql.Stmt, as long as readDB
	writer   *writer
	watch    watch
	trouble  trouble
	runnerID string
	epoch    int64
	now      func() time.Time

	closing  sync.Once
	closeErr error
}

// Open locks a data dir, migrates its database where needed and begins a new
// epoch: what an earlier process left running is pending again. now is the
// clock that dates rows.
func Open(ctx context.Context, dir string, now func() time.Time) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create data dir %s: %w", dir, err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	s := &Store{dir: dir, lock: lock, now: now}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(s.saw(err), s.Close())
	}
	return s, nil
}

// checkedFor is how long a start looks for damage. What it can't read in that
// time is found by the first who reads it; a start must not take minutes.
const checkedFor = 5 * time.Second

func (s *Store) open(ctx context.Context) error {
	path := filepath.Join(s.dir, File)
	if err := removeCopies(s.dir); err != nil {
		return err
	}
	if _, err := finishRestore(s.dir); err != nil {
		return fmt.Errorf("go on restoring the store in %s: %w", s.dir, err)
	}
	if info, err := os.Stat(path); err == nil && info.Size() == 0 { // SQLite would take it for a new one
		return fmt.Errorf("%w: it is empty; if this data dir was never used, remove it", errDamaged)
	}
	var err error
	// A checkpoint for each 16 MB of log: a wave of due jobs rewrites the same
	// pages again and again, and copies them once.
	if s.writeDB, err = openDB(path, "_txlock=immediate", "_pragma=synchronous(FULL)", "_pragma=temp_store(memory)", "_pragma=wal_autocheckpoint(4000)"); err != nil {
		return err
	}
	s.writeDB.SetMaxOpenConns(1)
	if err := checkAtStart(ctx, s.writeDB); err != nil {
		return err
	}
	if err := migrate(ctx, s.writeDB, path); err != nil {
		return err
	}
	if s.readDB, err = openDB(path, "_pragma=query_only(1)"); err != nil {
		return err
	}
	s.readDB.SetMaxOpenConns(4)
	if s.writer, err = startWriter(s); err != nil {
		return err
	}
	return s.beginEpoch(ctx)
}

func checkAtStart(ctx context.Context, db *sql.DB) error {
	limited, cancel := context.WithTimeout(ctx, checkedFor)
	defer cancel()
	err := quickCheck(limited, db)
	if err != nil && limited.Err() != nil && !isDamage(err) {
		return ctx.Err()
	}
	return err
}

// Close waits for writes under way and releases the data dir. It may be
// called twice, and while others read and write: they get errors.
func (s *Store) Close() error {
	s.closing.Do(func() {
		var errs []error
		if s.writer != nil {
			errs = append(errs, s.writer.stop())
		}
		for _, db := range []*sql.DB{s.readDB, s.writeDB} {
			if db != nil {
				errs = append(errs, db.Close())
			}
		}
		s.closeErr = errors.Join(append(errs, s.lock.Close())...)
	})
	return s.closeErr
}

// RunnerID is the random identity of the data dir.
func (s *Store) RunnerID() string { return s.runnerID }

// Epoch is the number of this process's term as the data dir's owner.
func (s *Store) Epoch() int64 { return s.epoch }

// Dir is the data dir.
func (s *Store) Dir() string { return s.dir }

// Write runs f in the writer's transaction, together with other writes that
// wait. It returns when the transaction is on disk; where f fails, its own
// changes alone are undone. f must not block on anything but the Tx.
func (s *Store) Write(ctx context.Context, f func(*Tx) error) error {
	return s.writer.do(ctx, f)
}

// Check reads the whole database and says what is wrong with it.
func (s *Store) Check(ctx context.Context) error {
	return s.saw(quickCheck(ctx, s.readDB))
}

func quickCheck(ctx context.Context, db *sql.DB) error { return checkBy(ctx, db, "quick_check") }

func integrityCheck(ctx context.Context, db *sql.DB) error {
	return checkBy(ctx, db, "integrity_check")
}

func checkBy(ctx context.Context, db *sql.DB, pragma string) error {
	var result string
	if err := db.QueryRowContext(ctx, "PRAGMA "+pragma+"(1)").Scan(&result); err != nil {
		return fmt.Errorf("check the store: %w", err)
	}
	if result != "ok" {
		return fmt.Errorf("%w: %s", errDamaged, strings.TrimPrefix(result, "*** in database main ***\n"))
	}
	return nil
}

// beginEpoch takes over from an earlier process in one transaction: a smaller
// epoch is dead by construction, so its mini-batches are pending and its runs
// queued again; a stored plan is kept, and committing goes on.
func (s *Store) beginEpoch(ctx context.Context) error {
	return s.Write(ctx, func(tx *Tx) error {
		id, err := tx.meta("runner_id", rand.Text())
		if err != nil {
			return err
		}
		s.runnerID = id
		if err := tx.exec(`INSERT INTO meta (key, value) VALUES ('epoch', '1')
			ON CONFLICT (key) DO UPDATE SET value = CAST(value AS INTEGER) + 1`); err != nil {
			return err
		}
		if err := tx.row(`SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'epoch'`)(&s.epoch); err != nil {
			return err
		}
		tx.w.epoch = s.epoch
		if err := tx.closeOldLaunches(); err != nil { // before this epoch writes about their runs
			return err
		}
		if err := tx.exec(`UPDATE mini_batches SET state = $1 WHERE state = $2 AND epoch < $3
			AND run_id IN (SELECT id FROM runs WHERE state IN ('queued', 'planning', 'provisioning', 'running', 'committing'))`,
			api.MiniBatchPending, api.MiniBatchRunning, s.epoch); err != nil {
			return err
		}
		interrupted, err := tx.runsWhere(`state IN ('planning', 'provisioning', 'running')`)
		if err != nil {
			return err
		}
		for _, run := range interrupted {
			if _, err := tx.MoveRun(run, RunChange{To: api.RunQueued, Actor: "runner", Detail: "taken up again after a restart"}); err != nil {
				return err
			}
		}
		return nil
	})
}

// openDB opens a store.
func openDB(path string, options ...string) (*sql.DB, error) {
	return openPlain(path, append([]string{"_pragma=journal_mode(WAL)"}, options...)...)
}

// openPlain opens a database, in whichever journal mode it is.
func openPlain(path string, options ...string) (*sql.DB, error) {
	dsn := (&url.URL{Scheme: "file", OmitHost: true, Path: path}).String() + "?_pragma=busy_timeout(10000)&_pragma=foreign_keys(0)&_pragma=cache_size(-1024)"
	for _, option := range options {
		dsn += "&" + option
	}
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return db, nil
}
