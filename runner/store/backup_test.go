package store

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// backUp writes a copy of a store to a file.
func backUp(t *testing.T, s *Store) (path string, info BackupInfo) {
	t.Helper()
	b, err := s.Backup(t.Context(), "1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "iris.backup")
	file := must(os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600))(t)
	n := must(io.Copy(file, b))(t)
	if n != b.Size() || n == 0 {
		t.Errorf("%d bytes are copied, and its size is said to be %d", n, b.Size())
	}
	if err := errors.Join(file.Close(), b.Close()); err != nil {
		t.Fatal(err)
	}
	return path, b.Info
}

// left lists what is in a data dir beside the store itself.
func left(t *testing.T, dir string) (names []string) {
	t.Helper()
	for _, entry := range must(os.ReadDir(dir))(t) {
		switch entry.Name() {
		case File, File + "-wal", File + "-shm", "lock":
		default:
			names = append(names, entry.Name())
		}
	}
	return names
}

func TestABackupIsTheStoreAtOneMomentWhileOthersWrite(t *testing.T) {
	s, c := open(t)
	newJob(t, s, "first")
	ctx, cancel := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	writing.Go(func() {
		for i := 0; ctx.Err() == nil; i++ { // two rows at a time
			_ = s.Write(ctx, func(tx *Tx) error {
				return errors.Join(tx.Event(Event{UID: "a"}), tx.Event(Event{UID: "b"}))
			})
		}
	})
	c.advance(time.Hour)
	path, info := backUp(t, s)
	cancel()
	writing.Wait()
	checked, err := CheckBackup(t.Context(), path)
	if err != nil || checked != info {
		t.Fatalf("the copy says %+v, %v, want %+v", checked, err, info)
	}
	if info.RunnerID != s.RunnerID() || info.Version != "1.2.3" || info.Epoch != 1 || !info.At.Equal(begin.Add(time.Hour)) {
		t.Errorf("the copy says %+v", info)
	}
	db := openRaw(t, path)
	if a, b := count(t, db, `SELECT COUNT(*) FROM events WHERE uid = 'a'`), count(t, db, `SELECT COUNT(*) FROM events WHERE uid = 'b'`); a != b {
		t.Errorf("a transaction is torn: %d and %d rows", a, b)
	}
	if count(t, db, `SELECT COUNT(*) FROM jobs`) != 1 {
		t.Error("the job is not in the copy")
	}
	if names := left(t, s.Dir()); len(names) > 0 {
		t.Errorf("the data dir also holds %v", names)
	}
	// The store itself does not say that it is a copy.
	doErr(t, s, ErrNotFound, func(tx *Tx) error { return tx.row(getMeta, backupKey)(new(string)) })
}

func TestADataDirIsBackedUpWithoutARunnerButNotBesideOne(t *testing.T) {
	s, _ := open(t)
	newJob(t, s, "iris")
	if _, err := BackupDir(t.Context(), s.Dir(), "1.2.3", begin); err == nil || !strings.Contains(err.Error(), "in use by another runner") {
		t.Errorf("beside a runner: %v", err)
	}
	closeStore(t, s)
	b, err := BackupDir(t.Context(), s.Dir(), "1.2.3", begin)
	if err != nil || b.Info.RunnerID != s.RunnerID() || b.Info.Epoch != 1 {
		t.Fatalf("without one: %+v, %v", b, err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if _, err := BackupDir(t.Context(), t.TempDir(), "1.2.3", begin); err == nil {
		t.Error("a folder without a store is backed up")
	}
}

func TestWhatIsNoBackupIsSaidToBeNone(t *testing.T) {
	s, _ := open(t)
	newJob(t, s, "iris")
	path, _ := backUp(t, s)
	sound := must(os.ReadFile(path))(t)
	dir := t.TempDir()
	other := filepath.Join(dir, "other.db")
	db := openRaw(t, other)
	must(db.Exec(`CREATE TABLE birds (name TEXT)`))(t)
	newer := filepath.Join(dir, "newer.db")
	if err := os.WriteFile(newer, sound, 0o600); err != nil {
		t.Fatal(err)
	}
	setVersion(t, newer, 999)
	for name, c := range map[string]struct{ path, want string }{
		"missing":   {filepath.Join(dir, "none"), "no such file"},
		"empty":     {written(t, nil), "empty"},
		"text":      {written(t, []byte(strings.Repeat("not a database\n", 500))), "not a database"},
		"truncated": {written(t, sound[:len(sound)/2]), "malformed"},
		"flipped":   {written(t, flipped(sound)), ""},
		"another":   {other, "not a runner's store"},
		"newer":     {newer, "newer batch-runner"},
	} {
		if _, err := CheckBackup(t.Context(), c.path); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.path) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func written(t *testing.T, content []byte) (path string) {
	t.Helper()
	file := must(os.CreateTemp(t.TempDir(), "file"))(t)
	must(file.Write(content))(t)
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Name()
}

// flipped is a database in which every page but the first has its head spoilt.
func flipped(sound []byte) []byte {
	const page = 4096
	bad := append([]byte(nil), sound...)
	for at := page; at < len(bad); at += page {
		for i := range 64 {
			bad[at+i] ^= 0xff
		}
	}
	return bad
}
