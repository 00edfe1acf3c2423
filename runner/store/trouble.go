package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// probeSize is the room that a store wants to see before it takes a full disk
// for over: enough for what a handful of transitions write.
const probeSize = 64 << 10

// trouble is why the store takes no writes. A full or failing disk passes, and
// the next commit that works ends it. Damage does not: to write into a damaged
// database makes it worse, so nothing is written any more until a restart.
type trouble struct {
	mu      sync.Mutex
	damage  error
	storage error
}

// unavailable is a failure with what a person is told of it.
type unavailable struct {
	shown *api.Error
	cause error
}

func (u *unavailable) Error() string   { return u.shown.Error() }
func (u *unavailable) Unwrap() []error { return []error{u.shown, u.cause} }

// Trouble says why the store takes no writes; nil: it does. While the disk is
// full, it tries whether there is room again.
func (s *Store) Trouble(ctx context.Context) error {
	damage, storage := s.trouble.now()
	if damage != nil || storage == nil {
		return damage
	}
	// What is written is removed in a transaction of its own: pages that one
	// transaction takes and gives back never reach the disk.
	err := s.Write(ctx, func(tx *Tx) error {
		return tx.exec(`INSERT INTO meta (key, value) VALUES ('probe', $1) ON CONFLICT (key) DO UPDATE SET value = excluded.value`, strings.Repeat("-", probeSize))
	})
	if err == nil {
		err = s.Write(ctx, func(tx *Tx) error { return tx.exec(`DELETE FROM meta WHERE key = 'probe'`) })
	}
	return err
}

func (t *trouble) now() (damage, storage error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.damage, t.storage
}

// over notes a commit: whatever the disk had, it has passed.
func (t *trouble) over() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.storage = nil
}

// saw notes how an access to the database failed, and gives the error with what
// to do about it.
func (s *Store) saw(err error) error {
	damaged, storage := isDamage(err), IsStorage(err)
	if !damaged && !storage {
		return err
	}
	if known, ok := errors.AsType[*unavailable](err); ok {
		return known
	}
	t := &s.trouble
	t.mu.Lock()
	defer t.mu.Unlock()
	if damaged {
		err = damagedStore(s.dir, err)
		t.damage = cmp.Or(t.damage, err)
		return err
	}
	t.storage = &unavailable{cause: err, shown: api.Errorf(api.CodeUnavailable, "make room there, or mend the disk; the runner goes on by itself then",
		"the store in %s can't be written: %v", s.dir, err)}
	return t.storage
}

// damagedStore tells of a database that can't be trusted any more, and of the
// newest copy that lies beside it.
func damagedStore(dir string, cause error) error {
	file, since := "FILE", "with a backup"
	if path, at := newestCopy(dir); path != "" {
		file, since = path, "the newest copy here is of "+at.UTC().Format(time.RFC3339)
	}
	return &unavailable{cause: cause, shown: api.Errorf(api.CodeUnavailable,
		fmt.Sprintf("stop the runner and restore the store: batch-runner restore %s --data-dir %s --replace (%s)", file, dir, since),
		"the store %s is damaged: %v", filepath.Join(dir, File), cause)}
}

// newestCopy finds the youngest copy of a store in its own folder: one kept
// before a migration, or a backup.
func newestCopy(dir string) (path string, at time.Time) {
	var all []string
	for _, pattern := range []string{File + ".schema-*", "*.backup"} {
		found, _ := filepath.Glob(filepath.Join(globbed(dir), pattern)) // the patterns are right
		all = append(all, found...)
	}
	slices.Sort(all)
	for _, candidate := range all {
		info, err := os.Stat(candidate)
		if err == nil && info.Mode().IsRegular() && !strings.HasSuffix(candidate, ".rehearsal") && info.ModTime().After(at) {
			path, at = candidate, info.ModTime()
		}
	}
	return path, at
}

// IsStorage tells a full or failing disk under the database from other errors.
func IsStorage(err error) bool {
	code := sqliteCode(err)
	return code == sqlite3.SQLITE_FULL || code == sqlite3.SQLITE_IOERR
}

// isDamage tells that what is on disk is not a sound database.
func isDamage(err error) bool {
	code := sqliteCode(err)
	return code == sqlite3.SQLITE_CORRUPT || code == sqlite3.SQLITE_NOTADB || errors.Is(err, errDamaged)
}

// errDamaged is damage that a check found.
var errDamaged = errors.New("the check found damage")

func sqliteCode(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() & 0xff
	}
	return 0
}
