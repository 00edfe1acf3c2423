package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

func TestMain(m *testing.M) {
	// Each step of a property is on disk: 25 walks here, more by the flag.
	if err := flag.Set("rapid.checks", "25"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

var begin = time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)

// clock is a hand-set clock; each reading moves it on by step.
type clock struct {
	nanos atomic.Int64
	step  time.Duration
}

func (c *clock) now() time.Time {
	return begin.Add(time.Duration(c.nanos.Add(int64(c.step))))
}

func (c *clock) advance(d time.Duration) { c.nanos.Add(int64(d)) }

// migrated is the database of a new data dir, made once: migrating one costs more
// than most tests.
var migrated = sync.OnceValues(func() (fresh struct{ text, runner []byte }, err error) {
	dir, err := os.MkdirTemp("", "batch-store-")
	if err != nil {
		return fresh, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	s, err := Open(context.Background(), dir, time.Now)
	if err != nil {
		return fresh, err
	}
	fresh.runner = []byte(s.RunnerID())
	err = s.Write(context.Background(), func(tx *Tx) error { return tx.exec(`DELETE FROM meta WHERE key = 'epoch'`) })
	if err = errors.Join(err, s.Close()); err == nil {
		fresh.text, err = os.ReadFile(filepath.Join(dir, File))
	}
	return fresh, err
})

// openAt opens a store that the test closes at its end. A new one has an identity
// of its own, and no past.
func openAt(t testing.TB, dir string, c *clock) *Store {
	t.Helper()
	if entries, err := os.ReadDir(dir); err == nil && len(entries) == 0 {
		fresh, err := migrated()
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, File), bytes.ReplaceAll(fresh.text, fresh.runner, []byte(rand.Text())), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	s, err := Open(t.Context(), dir, c.now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeStore(t, s) })
	return s
}

func open(t testing.TB) (*Store, *clock) {
	t.Helper()
	c := &clock{}
	return openAt(t, t.TempDir(), c), c
}

func closeStore(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

// fataler is testing.TB or *rapid.T.
type fataler interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

// do makes one write that must succeed.
func do(t fataler, s *Store, f func(*Tx) error) {
	t.Helper()
	if err := s.Write(context.Background(), f); err != nil {
		t.Fatal(err)
	}
}

// doErr makes one write that must fail so.
func doErr(t fataler, s *Store, want error, f func(*Tx) error) {
	t.Helper()
	if err := s.Write(context.Background(), f); !errors.Is(err, want) {
		t.Fatalf("got %v, want %v", err, want)
	}
}

// must is the value of a call that must not fail: must(f())(t).
func must[T any](value T, err error) func(fataler) T {
	return func(t fataler) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// made is the value that a write makes.
func made[T any](t fataler, s *Store, f func(*Tx) (T, error)) (value T) {
	t.Helper()
	do(t, s, func(tx *Tx) (err error) {
		value, err = f(tx)
		return err
	})
	return value
}

func newJob(t fataler, s *Store, name string) Job {
	t.Helper()
	return made(t, s, func(tx *Tx) (Job, error) {
		return tx.InsertJob(Job{StoredJob: api.StoredJob{Spec: api.Job{Name: name}, Owner: "me"}, Cursor: tx.Now, NextDueAt: tx.Now.Add(time.Hour)})
	})
}

func newRun(t fataler, s *Store, job Job, r api.Run) Run {
	t.Helper()
	r.Job, r.JobUID, r.Generation = job.Spec.Name, job.UID, job.Generation
	if r.Origin == "" {
		r.Origin = api.OriginSchedule
	}
	if r.Occurrence.IsZero() {
		r.Occurrence = begin
	}
	return made(t, s, func(tx *Tx) (Run, error) { return tx.InsertRun(Run{Run: r}, "", "test") })
}

func move(t fataler, s *Store, run Run, states ...api.RunState) Run {
	t.Helper()
	for _, to := range states {
		run = made(t, s, func(tx *Tx) (Run, error) { return tx.MoveRun(run, RunChange{To: to, Actor: "test"}) })
	}
	return run
}

// plan stores a plan of mini-batches with so many records each.
func plan(t fataler, s *Store, run Run, sizes ...int64) {
	t.Helper()
	do(t, s, func(tx *Tx) error {
		var all []MiniBatch
		total := int64(0)
		for i, size := range sizes {
			all = append(all, MiniBatch{Number: int64(i + 1), FirstLine: total + 1, Offset: total * 10, Length: size * 10, Records: size})
			total += size
		}
		return errors.Join(tx.InsertMiniBatches(run.ID, all),
			tx.InsertPlan(Plan{Run: run.ID, Format: 1, Files: []byte(`[{"path":"/in/a.csv"}]`), Records: total, Hash: "plan-" + run.ID}))
	})
}

// runningRun is a run in state running with such a plan.
func runningRun(t fataler, s *Store, job Job, occurrence time.Time, sizes ...int64) Run {
	t.Helper()
	run := newRun(t, s, job, api.Run{Occurrence: occurrence})
	plan(t, s, run, sizes...)
	return move(t, s, run, api.RunPlanning, api.RunProvisioning, api.RunRunning)
}

func claim(t fataler, s *Store, run Run, limit int) []MiniBatch {
	t.Helper()
	return made(t, s, func(tx *Tx) ([]MiniBatch, error) { return tx.Claim(run, limit, false) })
}

// result is a result for m with so many dead letters.
func result(m MiniBatch, dead int64) Staged {
	s := Staged{Path: fmt.Sprintf("%d.%d", m.Number, m.Fence), Records: m.Records - dead, Bytes: 100, SHA256: "sum", Effort: Effort{Requests: 1}}
	for i := range dead {
		s.DeadLetters = append(s.DeadLetters, PlacedDeadLetter{Position: i, DeadLetter: api.DeadLetter{
			MiniBatch: m.Number, Class: api.ClassBadRecord, Source: api.Place{File: "/in/a.csv", Line: m.FirstLine + i}}})
	}
	return s
}

func stage(t fataler, s *Store, run Run, m MiniBatch, dead int64) {
	t.Helper()
	do(t, s, func(tx *Tx) error { return tx.Stage(run, m, result(m, dead)) })
}

// states are a run's mini-batch states by number, "staged pending".
func states(t fataler, s *Store, run Run) string {
	t.Helper()
	var words []string
	for _, m := range must(s.MiniBatches(run.ID, 0, 1000))(t) {
		words = append(words, string(m.State))
	}
	return strings.Join(words, " ")
}

// dump is everything that the store holds, to compare before and after.
func dump(t fataler, s *Store) string {
	t.Helper()
	var b strings.Builder
	tables := must(list(s.reader(), scanText, `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name`))(t)
	for _, table := range tables {
		columns := must(list(s.reader(), scanText, `SELECT '"' || name || '"' FROM pragma_table_info($1) ORDER BY cid`, table))(t)
		rows := must(list(s.reader(), scanText, `SELECT json_array(`+strings.Join(columns, ", ")+`) FROM `+table+` ORDER BY 1`))(t)
		fmt.Fprintf(&b, "%s\n%s\n", table, strings.Join(rows, "\n"))
	}
	return b.String()
}

func scanText(rows *sql.Rows) (text string, err error) {
	err = rows.Scan(&text)
	return text, err
}

func TestASecondOpenerIsTurnedAwayWithThePid(t *testing.T) {
	s, c := open(t)
	_, err := Open(t.Context(), s.Dir(), c.now)
	want := "is in use by another runner (pid " + strconv.Itoa(os.Getpid()) + "); stop it, or choose another data dir"
	if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), s.Dir()) {
		t.Fatalf("got %v, want %s", err, want)
	}
	newJob(t, s, "still-served")
	closeStore(t, s)
	openAt(t, s.Dir(), c)
}

func TestAStoreOfANewerVersionIsRefusedAndLeftAlone(t *testing.T) {
	s, c := open(t)
	newJob(t, s, "iris")
	closeStore(t, s)
	path := filepath.Join(s.Dir(), File)
	setVersion(t, path, 999)
	if _, err := Open(t.Context(), s.Dir(), c.now); err == nil || !strings.Contains(err.Error(), "has schema 999; this batch-runner knows up to") || !strings.Contains(err.Error(), "run the newer batch-runner") {
		t.Fatalf("got %v", err)
	}
	setVersion(t, path, len(must(loadMigrations())(t)))
	if _, err := openAt(t, s.Dir(), c).Job("iris"); err != nil {
		t.Errorf("the refused store lost its job: %v", err)
	}
}

func setVersion(t *testing.T, path string, version int) {
	t.Helper()
	db := must(openDB(path))(t)
	_, err := db.Exec("PRAGMA user_version = " + strconv.Itoa(version))
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestADamagedStoreIsNamed(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, File)
	if err := os.WriteFile(path, []byte(strings.Repeat("this is no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), dir, time.Now); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "backup") {
		t.Fatalf("got %v", err)
	}
}

func TestADataDirMayHaveAnyName(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "a b?c#d%20"), &clock{})
	if _, err := os.Stat(filepath.Join(s.Dir(), File)); err != nil {
		t.Error(err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAfterCloseThereAreErrorsAndNoPanics(t *testing.T) {
	s, _ := open(t)
	closeStore(t, s)
	closeStore(t, s)
	if err := s.Write(t.Context(), func(*Tx) error { return nil }); !errors.Is(err, errClosed) {
		t.Errorf("write: %v", err)
	}
	if _, err := s.Jobs(); err == nil {
		t.Error("a closed store lists jobs")
	}
}

func TestANewEpochTakesOverWhatTheOldOneLeft(t *testing.T) {
	s, c := open(t)
	job := newJob(t, s, "iris")
	at := func(n int) time.Time { return begin.Add(time.Duration(n) * time.Hour) }

	running := runningRun(t, s, job, at(1), 10, 10, 10)
	claimed := claim(t, s, running, 2)
	stage(t, s, running, claimed[0], 0)
	planning := move(t, s, newRun(t, s, job, api.Run{Occurrence: at(2)}), api.RunPlanning)
	do(t, s, func(tx *Tx) error { return tx.InsertMiniBatches(planning.ID, []MiniBatch{{Number: 1, Records: 7}}) })
	provisioning := newRun(t, s, job, api.Run{Occurrence: at(3)})
	plan(t, s, provisioning, 5)
	provisioning = move(t, s, provisioning, api.RunPlanning, api.RunProvisioning)
	committing := runningRun(t, s, job, at(4), 10)
	stage(t, s, committing, claim(t, s, committing, 1)[0], 0)
	committing = move(t, s, committing, api.RunCommitting)
	failed := runningRun(t, s, job, at(5), 10)
	late := claim(t, s, failed, 1)[0]
	failed = move(t, s, failed, api.RunFailed)
	epoch, id := s.Epoch(), s.RunnerID()
	closeStore(t, s)

	s = openAt(t, s.Dir(), c)

	if s.Epoch() != epoch+1 || s.RunnerID() != id || id == "" {
		t.Errorf("epoch %d after %d, runner %s after %s", s.Epoch(), epoch, s.RunnerID(), id)
	}
	for run, want := range map[string]struct {
		state       api.RunState
		miniBatches string
		planned     int64
	}{
		running.ID:      {api.RunQueued, "staged pending pending", 30},
		planning.ID:     {api.RunQueued, "pending", 0}, // planning never ended: nothing is planned
		provisioning.ID: {api.RunQueued, "pending", 5},
		committing.ID:   {api.RunCommitting, "staged", 10},
		failed.ID:       {api.RunFailed, "running", 10},
	} {
		got := must(s.Run(run))(t)
		if got.State != want.state || states(t, s, got) != want.miniBatches || got.Counts.Planned != want.planned || !got.Counts.Balanced() {
			t.Errorf("%s: %s, mini-batches %s, %+v; want %+v", run, got.State, states(t, s, got), got.Counts, want)
		}
	}
	if got := must(s.Run(committing.ID))(t); got.Version != committing.Version {
		t.Errorf("the committing run moved from version %d to %d", committing.Version, got.Version)
	}
	if _, err := s.Plan(running.ID); err != nil {
		t.Errorf("the stored plan is gone: %v", err)
	}
	doErr(t, s, ErrFenced, func(tx *Tx) error { return tx.Stage(failed, late, result(late, 0)) }) // same fence, older epoch
	doErr(t, s, ErrFenced, func(tx *Tx) error {
		return tx.Release(running, claimed[1], Release{To: api.MiniBatchGivenUp, UsesAttempt: true})
	})
	events := must(s.Events(running.ID))(t)
	if last := events[len(events)-1]; last.From != "running" || last.To != "queued" || last.Actor != "runner" {
		t.Errorf("the takeover is not in the history: %+v", last)
	}
}
