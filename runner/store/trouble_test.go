package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// filled is the data dir of a closed store of many pages.
func filled(t *testing.T) (dir string) {
	t.Helper()
	s, _ := open(t)
	do(t, s, func(tx *Tx) error {
		for range 2000 {
			if err := tx.Event(Event{UID: "a", Event: api.Event{Kind: "job", Detail: strings.Repeat("x", 200)}}); err != nil {
				return err
			}
		}
		return nil
	})
	newJob(t, s, "iris")
	closeStore(t, s)
	return s.Dir()
}

func TestADamagedStoreIsRefusedWithTheWayOut(t *testing.T) {
	damage := map[string]func([]byte) []byte{
		"empty":                    func([]byte) []byte { return nil },
		"cut in a page":            func(b []byte) []byte { return b[:len(b)/2+100] },
		"cut between pages":        func(b []byte) []byte { return b[:len(b)/2/4096*4096] },
		"one page":                 func(b []byte) []byte { return b[:4096] },
		"flipped pages":            flipped,
		"a page of zeros":          func(b []byte) []byte { clear(b[3*4096 : 4*4096]); return b },
		"its head is lost":         func(b []byte) []byte { clear(b[:100]); return b },
		"another kind of file":     func([]byte) []byte { return []byte(strings.Repeat("id,a,b\n", 2000)) },
		"pages in each other's…":   func(b []byte) []byte { copy(b[2*4096:], append([]byte(nil), b[5*4096:6*4096]...)); return b },
		"the schema's page spoilt": func(b []byte) []byte { clear(b[200:4096]); return b },
	}
	for name, spoil := range damage {
		t.Run(name, func(t *testing.T) {
			dir := filled(t)
			path := filepath.Join(dir, File)
			sound := must(os.ReadFile(path))(t)
			older, newer := path+".schema-2", filepath.Join(dir, "monday.backup")
			for _, copied := range []string{older, newer} {
				if err := os.WriteFile(copied, sound, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chtimes(older, begin, begin.Add(-time.Hour)); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, spoil(append([]byte(nil), sound...)), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Open(t.Context(), dir, (&clock{}).now)
			for _, want := range []string{path, "damaged", "batch-runner restore " + newer + " --data-dir " + dir + " --replace"} {
				expectError(t, err, want)
			}
			if _, err := Restore(t.Context(), newer, dir, true, begin); err != nil {
				t.Fatalf("the way out is closed: %v", err)
			}
			if jobs := must(openAt(t, dir, &clock{}).Jobs())(t); len(jobs) != 1 {
				t.Errorf("the restored jobs are %v", jobs)
			}
		})
	}
}

func TestDamageFoundWhileRunningEndsAllWritingButNotReading(t *testing.T) {
	dir := filled(t)
	path := filepath.Join(dir, File)
	s := openAt(t, dir, &clock{})
	if err := s.Trouble(t.Context()); err != nil {
		t.Fatalf("a sound store is in trouble: %v", err)
	}
	// The pages behind the first ones, which hold the events, are spoilt under
	// the running store.
	file := must(os.OpenFile(path, os.O_WRONLY, 0))(t)
	size := must(file.Stat())(t).Size()
	for at := size / 2; at < size; at += 4096 {
		must(file.WriteAt([]byte(strings.Repeat("\xff", 64)), at/4096*4096))(t)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); !isDamage(err) {
		t.Fatalf("the check finds %v", err)
	}
	trouble := s.Trouble(t.Context())
	expectError(t, trouble, "damaged")
	expectError(t, trouble, "batch-runner restore FILE --data-dir "+dir)
	err := s.Write(t.Context(), func(*Tx) error { t.Error("it is written"); return nil })
	if api.CodeOf(err) != api.CodeUnavailable {
		t.Errorf("a write gets %v", err)
	}
	if jobs := must(s.Jobs())(t); len(jobs) != 1 {
		t.Errorf("the jobs are %v", jobs)
	}
}

// pages bounds the database file, as a full disk does.
func pages(t *testing.T, s *Store, limit string) {
	t.Helper()
	if _, err := s.writer.conn.ExecContext(t.Context(), "PRAGMA max_page_count = "+limit); err != nil {
		t.Fatal(err)
	}
}

func TestAFullDiskPassesByItself(t *testing.T) {
	s, _ := open(t)
	big := func(tx *Tx) error {
		return tx.Event(Event{UID: "a", Event: api.Event{Detail: strings.Repeat("x", 1<<20)}})
	}
	pages(t, s, "1") // no page more than there are
	err := s.Write(t.Context(), big)
	if !IsStorage(err) || api.CodeOf(err) != api.CodeUnavailable {
		t.Fatalf("a write to a full disk gets %v", err)
	}
	expectError(t, err, "make room")
	if err := s.Check(t.Context()); err != nil { // which says nothing about room
		t.Error(err)
	}
	if err := s.Trouble(t.Context()); !IsStorage(err) {
		t.Fatalf("the store's trouble is %v", err)
	}
	if _, err := s.Jobs(); err != nil {
		t.Errorf("reading goes on: %v", err)
	}
	pages(t, s, "1000000")
	if err := s.Trouble(t.Context()); err != nil {
		t.Errorf("there is room, and the store is in trouble still: %v", err)
	}
	do(t, s, big)
	doErr(t, s, ErrNotFound, func(tx *Tx) error { return tx.row(getMeta, "probe")(new(string)) })
}

func TestOneWriteOnAFullDiskFailsItsWholeGroup(t *testing.T) {
	s, _ := open(t)
	pages(t, s, "1")
	// What shares a commit with a write that met the full disk is not on disk
	// either, and must not be told that it is.
	small := &write{f: func(tx *Tx) error { _, err := tx.meta("small", "1"); return err }, done: make(chan struct{})}
	large := &write{f: func(tx *Tx) error { _, err := tx.meta("large", strings.Repeat("x", 1<<20)); return err }, done: make(chan struct{})}
	s.writer.commit([]*write{small, large})
	if !IsStorage(small.err) || !IsStorage(large.err) {
		t.Errorf("they end with %v and %v", small.err, large.err)
	}
}

func TestOtherErrorsAreNoTrouble(t *testing.T) {
	s, _ := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Check(ctx); err == nil || isDamage(err) {
		t.Errorf("a check that is cut short gives %v", err)
	}
	mine := errors.New("mine")
	doErr(t, s, mine, func(*Tx) error { return mine })
	if err := s.Trouble(t.Context()); err != nil {
		t.Error(err)
	}
}
