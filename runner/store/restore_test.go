package store

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestARestoredStoreIsTheBackupInAnEpochAboveAll(t *testing.T) {
	s, c := open(t)
	newJob(t, s, "kept")
	file, info := backUp(t, s)
	newJob(t, s, "lost")
	closeStore(t, s)
	for range 3 { // the runner goes on and restarts
		closeStore(t, openAt(t, s.Dir(), c))
	}
	at := begin.Add(24 * time.Hour)
	r, err := Restore(t.Context(), file, s.Dir(), true, at)
	if err != nil {
		t.Fatal(err)
	}
	if r.Backup != info || !r.At.Equal(at) || filepath.Dir(r.Replaced) != s.Dir() {
		t.Errorf("the restoration is %+v", r)
	}
	again := openAt(t, s.Dir(), c)
	jobs := must(again.Jobs())(t)
	if len(jobs) != 1 || jobs[0].Spec.Name != "kept" {
		t.Errorf("the jobs are %v", jobs)
	}
	if again.RunnerID() != s.RunnerID() || again.Epoch() <= 5 || again.Epoch() <= at.Unix() {
		t.Errorf("runner %s in epoch %d, was %s in 4", again.RunnerID(), again.Epoch(), s.RunnerID())
	}
	do(t, again, func(tx *Tx) error {
		told, err := tx.Restoration()
		if err != nil || !told.At.Equal(at) || told.Backup != info {
			t.Errorf("the store says %+v, %v", told, err)
		}
		return tx.SettleRestoration()
	})
	doErr(t, again, ErrNotFound, func(tx *Tx) error { _, err := tx.Restoration(); return err })
	// What was put aside is whole, its log included.
	aside := openRaw(t, r.Replaced)
	if n := count(t, aside, `SELECT COUNT(*) FROM jobs`); n != 2 {
		t.Errorf("the store put aside has %d jobs", n)
	}
}

func TestRestoreRefusesWhatItWouldSpoil(t *testing.T) {
	s, _ := open(t)
	file, _ := backUp(t, s)
	_, err := Restore(t.Context(), file, s.Dir(), true, begin)
	expectError(t, err, "in use by another runner")
	closeStore(t, s)
	_, err = Restore(t.Context(), file, s.Dir(), false, begin)
	expectError(t, err, "--replace")
	_, err = Restore(t.Context(), written(t, []byte("nothing")), s.Dir(), true, begin)
	expectError(t, err, "not a database")
	if names := left(t, s.Dir()); len(names) > 0 {
		t.Errorf("the data dir holds %v", names)
	}
	if got := openAt(t, s.Dir(), &clock{}); got.Epoch() != 2 {
		t.Errorf("the store was touched: epoch %d", got.Epoch())
	}
}

func expectError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want an error that says %q", err, want)
	}
}

func TestARestorationIntoANewFolderNeedsNoStoreThere(t *testing.T) {
	s, c := open(t)
	newJob(t, s, "iris")
	file, _ := backUp(t, s)
	dir := filepath.Join(t.TempDir(), "new")
	r, err := Restore(t.Context(), file, dir, false, begin)
	if err != nil || r.Replaced != "" {
		t.Fatalf("got %+v, %v", r, err)
	}
	if jobs := must(openAt(t, dir, c).Jobs())(t); len(jobs) != 1 {
		t.Errorf("the jobs are %v", jobs)
	}
}

// A restoration that is cut short between any two of its steps is finished by
// the next start: never is there no store, or the log of another one.
func TestARestorationCutShortIsFinishedByTheNextStart(t *testing.T) {
	for _, cut := range []struct {
		name  string
		moved []string // of the old store
	}{{"before the old one went", nil}, {"after its log went", []string{"-wal"}}, {"after all of it went", []string{"-wal", "-shm", ""}}} {
		t.Run(cut.name, func(t *testing.T) {
			s, c := open(t)
			newJob(t, s, "kept")
			file, _ := backUp(t, s)
			newJob(t, s, "lost")
			image := t.TempDir() // as a crash leaves it, with a log
			for _, suffix := range []string{"", "-wal", "-shm"} {
				content := must(os.ReadFile(filepath.Join(s.Dir(), File+suffix)))(t)
				if err := os.WriteFile(filepath.Join(image, File+suffix), content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			elsewhere := t.TempDir() // or else reading the old epoch would end the log
			if err := prepareRestore(t.Context(), file, elsewhere, Restoration{At: begin}); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(filepath.Join(elsewhere, restoring), filepath.Join(image, restoring)); err != nil {
				t.Fatal(err)
			}
			for _, suffix := range cut.moved {
				_ = os.Rename(filepath.Join(image, File+suffix), filepath.Join(image, "aside"+suffix))
			}
			again := openAt(t, image, c)
			if jobs := must(again.Jobs())(t); len(jobs) != 1 || jobs[0].Spec.Name != "kept" {
				t.Errorf("the jobs are %v", jobs)
			}
			if err := again.Check(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}
