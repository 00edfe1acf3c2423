package store

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

func TestAJobIsEchoedAsSubmitted(t *testing.T) {
	s, c := open(t)
	spec := api.Job{Name: "iris", Labels: map[string]string{}, KeepWithheld: "48h", Output: api.Output{Keep: []string{}}}
	settings := api.ClientSettings{RunOnCreate: "5m", OnDestroy: &api.OnDestroy{Purge: true}}
	job := made(t, s, func(tx *Tx) (Job, error) {
		return tx.InsertJob(Job{StoredJob: api.StoredJob{Spec: spec, Settings: settings, Owner: "me"}, Cursor: tx.Now})
	})
	got := must(s.Job("iris"))(t)
	if !reflect.DeepEqual(got, job) || !reflect.DeepEqual(got.Spec, spec) || !reflect.DeepEqual(got.Settings, settings) {
		t.Errorf("got %+v\nwant %+v", got, job)
	}
	if got.UID == "" || got.Generation != 1 || got.Hash != spec.Hash() || !got.CreatedAt.Equal(c.now()) || !got.NextDueAt.IsZero() {
		t.Errorf("got %+v", got)
	}
	if _, err := s.Job("other"); !errors.Is(err, ErrNotFound) {
		t.Errorf("an unknown job: %v", err)
	}
	doErr(t, s, ErrTaken, func(tx *Tx) error { _, err := tx.InsertJob(job); return err })
}

func TestAnUpdateIsGuardedByTheGeneration(t *testing.T) {
	s, c := open(t)
	first := newJob(t, s, "iris")
	c.advance(time.Minute)
	changed := first
	changed.Spec.MaxFailed = "5%"
	second := made(t, s, func(tx *Tx) (Job, error) { return tx.UpdateJob(changed) })
	if second.Generation != 2 || second.Hash == first.Hash || second.UID != first.UID || !second.CreatedAt.Equal(first.CreatedAt) || !second.UpdatedAt.Equal(c.now()) {
		t.Errorf("got %+v", second)
	}
	before := dump(t, s)
	doErr(t, s, ErrFenced, func(tx *Tx) error { _, err := tx.UpdateJob(first); return err })
	if dump(t, s) != before {
		t.Error("the late update left something behind")
	}
	if got := must(s.Job("iris"))(t); !reflect.DeepEqual(got, second) {
		t.Errorf("stored is %+v\nwant %+v", got, second)
	}
	specs := must(list(s.reader(), scanText, `SELECT generation || ' ' || spec FROM job_generations ORDER BY generation`))(t)
	if len(specs) != 2 || strings.Contains(specs[0], "5%") || !strings.Contains(specs[1], "5%") {
		t.Errorf("the generations are %v", specs)
	}
}

func TestABuriedJobIsOutOfSightUntilDugUp(t *testing.T) {
	s, c := open(t)
	job := newJob(t, s, "iris")
	run := newRun(t, s, job, api.Run{})
	c.advance(time.Minute)
	do(t, s, func(tx *Tx) error { return tx.BuryJob(job.UID) })

	if _, err := s.Job("iris"); !errors.Is(err, ErrNotFound) {
		t.Errorf("find: %v", err)
	}
	if jobs := must(s.Jobs())(t); len(jobs) != 0 {
		t.Errorf("listed: %v", jobs)
	}
	if due := made(t, s, func(tx *Tx) ([]DueJob, error) { return tx.ClaimDue(begin.Add(1000*time.Hour), 10) }); len(due) != 0 {
		t.Errorf("due: %v", due)
	}
	doErr(t, s, ErrNotFound, func(tx *Tx) error { _, err := tx.DueJob(job.UID); return err })
	doErr(t, s, ErrNotFound, func(tx *Tx) error { return tx.Hold(job.UID, &api.Hold{}, "me") })
	doErr(t, s, ErrFenced, func(tx *Tx) error { return tx.BuryJob(job.UID) })
	doErr(t, s, ErrFenced, func(tx *Tx) error { return tx.MoveCursor(job, begin.Add(time.Hour), begin.Add(2*time.Hour)) })
	if _, err := s.Run(run.ID); err != nil {
		t.Errorf("its run: %v", err)
	}

	buried := made(t, s, func(tx *Tx) (Job, error) { return tx.BuriedJob("iris") })
	if buried.UID != job.UID || !buried.BuriedAt.Equal(c.now()) || !buried.NextDueAt.IsZero() {
		t.Errorf("buried is %+v", buried)
	}
	dug := made(t, s, func(tx *Tx) (Job, error) { return tx.UpdateJob(buried) })
	if got := must(s.Job("iris"))(t); got.UID != job.UID || got.Generation != 2 || !got.BuriedAt.IsZero() || !reflect.DeepEqual(got, dug) {
		t.Errorf("dug up is %+v", got)
	}
}

func TestTheJobBuriedLastIsFoundFirst(t *testing.T) {
	s, c := open(t)
	var last Job
	for range 3 {
		c.advance(time.Hour)
		last = newJob(t, s, "iris")
		do(t, s, func(tx *Tx) error { return tx.BuryJob(last.UID) })
	}
	if got := made(t, s, func(tx *Tx) (Job, error) { return tx.BuriedJob("iris") }); got.UID != last.UID {
		t.Error("an older one was found")
	}
	doErr(t, s, ErrNotFound, func(tx *Tx) error { _, err := tx.BuriedJob("other"); return err })
}

func TestPurgeLeavesNothingOfAJobAndAllOfTheOthers(t *testing.T) {
	s, _ := open(t)
	fill := func(name string) Job {
		job := newJob(t, s, name)
		run := runningRun(t, s, job, begin, 10, 10)
		claimed := claim(t, s, run, 2)
		stage(t, s, run, claimed[0], 2)
		do(t, s, func(tx *Tx) error {
			return errors.Join(
				tx.StartAttempt(run.ID, 1, 1, "exec"), tx.InsertLaunch(Launch{ID: "launch-" + name, Run: run.ID}),
				tx.Know(job.UID, inputOf, KnownFile{Path: "/in/a.csv", Run: run.ID}), tx.BeginMark(job.UID, inputOf, "1", run.ID),
				tx.exec(`INSERT INTO known_keys (uid, identity, key, input, run_id, at) VALUES ($1, $2, 'k', 'i', $3, 1)`, job.UID, inputOf, run.ID),
				decide(tx, job.UID, verdict(api.VerdictRun, api.DecidedDue, 1), verdict(api.VerdictMissed, api.DecidedOutage, 2)))
		})
		backfill := made(t, s, func(tx *Tx) (Backfill, error) {
			return tx.InsertBackfill(Backfill{UID: job.UID}, "", []time.Time{begin})
		})
		newRun(t, s, job, api.Run{Origin: api.OriginBackfill, Backfill: backfill.ID})
		return job
	}
	fill("other")
	want := dump(t, s)
	job := fill("iris")
	full := dump(t, s)
	do(t, s, func(tx *Tx) error { return errors.Join(tx.PurgeJob(job.UID), tx.ForgetJob(job.UID)) })
	for _, run := range must(s.PurgedRuns(10))(t) { // until their files are gone, too
		do(t, s, func(tx *Tx) error { return tx.PurgedSwept(run.Run) })
	}
	if got := dump(t, s); got != want {
		t.Errorf("the store is\n%s\nwant\n%s", got, want)
	}
	for table := range strings.FieldsSeq("jobs job_specs job_generations decisions decision_counts backfills backfill_occurrences runs plans run_attempts mini_batches attempts dead_letters launches events known_files known_keys marks") {
		if n := must(list(s.reader(), scanText, `SELECT COUNT(*) FROM `+table))(t); n[0] == "0" {
			t.Errorf("table %s was empty: the test proves nothing of it", table)
		}
	}
	if full == want {
		t.Error("nothing was there to purge")
	}
}

func TestTheCursorMovesOnlyFromWhereItWasRead(t *testing.T) {
	s, _ := open(t)
	job := newJob(t, s, "iris")
	next := begin.Add(2 * time.Hour)
	do(t, s, func(tx *Tx) error { return tx.MoveCursor(job, job.NextDueAt, next) })
	moved := must(s.Job("iris"))(t)
	if !moved.Cursor.Equal(job.NextDueAt) || !moved.NextDueAt.Equal(next) || moved.Generation != 1 {
		t.Errorf("got %+v", moved)
	}
	doErr(t, s, ErrFenced, func(tx *Tx) error { return tx.MoveCursor(job, job.NextDueAt, next) }) // twice from one place
	made(t, s, func(tx *Tx) (Job, error) { return tx.UpdateJob(moved) })
	doErr(t, s, ErrFenced, func(tx *Tx) error { return tx.MoveCursor(moved, next, next) }) // by the old rule
	if got := must(s.Job("iris"))(t); !got.Cursor.Equal(moved.Cursor) {
		t.Errorf("the cursor is at %s", got.Cursor)
	}
}

func TestDueInstants(t *testing.T) {
	s, _ := open(t)
	for name, hours := range map[string]int{"a": 3, "b": 1, "c": 1, "d": 2, "manual": 0, "later": 9} {
		dueIn(t, s, name, hours)
	}
	until := begin.Add(3 * time.Hour)
	want := []time.Time{begin.Add(time.Hour), begin.Add(2 * time.Hour), until}
	if instants := must(s.DueInstants(until, 10))(t); !reflect.DeepEqual(instants, want) {
		t.Errorf("due instants: %v", instants)
	}
}

func TestARenamedJobKeepsItsRunsAndItsPlace(t *testing.T) {
	s, _ := open(t)
	job, other := newJob(t, s, "iris"), newJob(t, s, "other")
	run := newRun(t, s, job, api.Run{})
	before := dump(t, s)
	doErr(t, s, ErrTaken, func(tx *Tx) error { return tx.RenameJob(job.UID, "other") })
	clash := job
	clash.Spec.Name = "other"
	doErr(t, s, ErrTaken, func(tx *Tx) error { _, err := tx.UpdateJob(clash); return err })
	if dump(t, s) != before {
		t.Error("a refused name left something behind")
	}

	do(t, s, func(tx *Tx) error { return errors.Join(tx.RenameJob(job.UID, "orchid"), tx.BuryJob(other.UID)) })
	got := must(s.Job("orchid"))(t)
	want := job
	want.Spec.Name, want.Hash = "orchid", got.Hash
	if !reflect.DeepEqual(got, want) || got.Hash != got.Spec.Hash() {
		t.Errorf("renamed: %+v\nwant %+v", got, want)
	}
	if got := must(s.Run(run.ID))(t); got.Job != "orchid" {
		t.Errorf("its run is of %s", got.Job)
	}
	if due := made(t, s, func(tx *Tx) (DueJob, error) { return tx.DueJob(job.UID) }); due.Name != "orchid" {
		t.Errorf("it is due as %s", due.Name)
	}
	do(t, s, func(tx *Tx) error { return tx.RenameJob(job.UID, "other") }) // its holder is buried
	made(t, s, func(tx *Tx) (Job, error) { return tx.UpdateJob(clash) })
}

func TestAHoldStaysUntilReleased(t *testing.T) {
	s, c := open(t)
	job := newJob(t, s, "iris")
	hold := &api.Hold{By: "hold_after_failures", Reason: "3 runs failed", Since: begin}
	do(t, s, func(tx *Tx) error { return tx.Hold(job.UID, hold, "runner") })
	held := must(s.Job("iris"))(t)
	if !reflect.DeepEqual(held.Held, hold) || held.Generation != 1 {
		t.Errorf("held: %+v", held)
	}
	made(t, s, func(tx *Tx) (Job, error) { return tx.UpdateJob(held) })
	released := func() time.Time { return made(t, s, func(tx *Tx) (time.Time, error) { return tx.ReleasedAt(job.UID) }) }
	if at := released(); !at.IsZero() {
		t.Errorf("released at %s", at)
	}
	if due := made(t, s, func(tx *Tx) (DueJob, error) { return tx.DueJob(job.UID) }); !reflect.DeepEqual(due.Held, hold) {
		t.Errorf("after an edit: %+v", due.Held)
	}
	do(t, s, func(tx *Tx) error { return tx.Hold(job.UID, nil, "me") })
	at := c.now()
	c.advance(time.Minute)
	do(t, s, func(tx *Tx) error { return tx.Hold(job.UID, hold, "me") })
	if !released().Equal(at) {
		t.Errorf("released at %s, want %s", released(), at)
	}
	do(t, s, func(tx *Tx) error { return tx.Hold(job.UID, nil, "me") })
	if got := must(s.Job("iris"))(t); got.Held != nil || !released().Equal(c.now()) {
		t.Errorf("released: %+v at %s", got.Held, released())
	}
	events := must(list(s.reader(), scanText, `SELECT "to" || ' ' || actor || ' ' || detail FROM events WHERE uid = $1 ORDER BY id`, job.UID))(t)
	if !reflect.DeepEqual(events, []string{"held runner 3 runs failed", "released me ", "held me 3 runs failed", "released me "}) {
		t.Errorf("events %q", events)
	}
}

func TestARespelledJobMustSayTheSame(t *testing.T) {
	s, _ := open(t)
	job := newJob(t, s, "iris")
	respelled := job
	respelled.Spec.Overlap, respelled.Spec.MaxFailed = "", api.DefaultMaxFailed
	do(t, s, func(tx *Tx) error { return tx.RespellJob(respelled) })
	if got := must(s.Job("iris"))(t); !reflect.DeepEqual(got, respelled) {
		t.Errorf("got %+v\nwant %+v", got, respelled)
	}
	respelled.Spec.MaxFailed = "7%"
	doErr(t, s, ErrFenced, func(tx *Tx) error { return tx.RespellJob(respelled) })
}
