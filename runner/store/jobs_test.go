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
	if err := s.Write(t.Context(), func(tx *Tx) error { _, err := tx.InsertJob(job); return err }); err == nil {
		t.Error("a second job of that name was stored")
	}
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
	if due := made(t, s, func(tx *Tx) ([]Job, error) { return tx.DueJobs(begin.Add(1000*time.Hour), 10) }); len(due) != 0 {
		t.Errorf("due: %v", due)
	}
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
				tx.StartAttempt(run.ID, 1, 1, "exec"), tx.InsertLaunch(run.ID, "launch-"+name),
				tx.Decide(job.UID, api.Decision{Verdict: api.VerdictRun, First: begin, Last: begin, Count: 1, Run: run.ID}))
		})
		return job
	}
	fill("other")
	want := dump(t, s)
	job := fill("iris")
	full := dump(t, s)
	do(t, s, func(tx *Tx) error { return tx.PurgeJob(job.UID) })
	if got := dump(t, s); got != want {
		t.Errorf("the store is\n%s\nwant\n%s", got, want)
	}
	for table := range strings.FieldsSeq("jobs job_generations decisions runs plans run_attempts mini_batches attempts dead_letters launches events") {
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

func TestDueJobsAndInstants(t *testing.T) {
	s, _ := open(t)
	for name, hours := range map[string]int{"a": 3, "b": 1, "c": 1, "d": 2, "manual": 0, "later": 9} {
		do(t, s, func(tx *Tx) error {
			j := Job{StoredJob: api.StoredJob{Spec: api.Job{Name: name}}}
			if hours > 0 {
				j.NextDueAt = begin.Add(time.Duration(hours) * time.Hour)
			}
			_, err := tx.InsertJob(j)
			return err
		})
	}
	until := begin.Add(3 * time.Hour)
	var hours []int
	for _, j := range made(t, s, func(tx *Tx) ([]Job, error) { return tx.DueJobs(until, 10) }) {
		hours = append(hours, int(j.NextDueAt.Sub(begin).Hours()))
	}
	if !reflect.DeepEqual(hours, []int{1, 1, 2, 3}) {
		t.Errorf("due jobs: %v", hours)
	}
	if got := made(t, s, func(tx *Tx) ([]Job, error) { return tx.DueJobs(until, 2) }); len(got) != 2 {
		t.Errorf("%d jobs for a limit of 2", len(got))
	}
	instants := must(s.DueInstants(until, 10))(t)
	if want := []time.Time{begin.Add(time.Hour), begin.Add(2 * time.Hour), until}; !reflect.DeepEqual(instants, want) {
		t.Errorf("due instants: %v", instants)
	}
}

func TestEqualNeighbouringDecisionsAreOneRow(t *testing.T) {
	s, _ := open(t)
	job := newJob(t, s, "iris")
	at := func(n int) time.Time { return begin.Add(time.Duration(n) * time.Hour) }
	one := func(v api.Verdict, reason string, n int, run string) api.Decision {
		return api.Decision{Verdict: v, Reason: reason, First: at(n), Last: at(n), Count: 1, Run: run}
	}
	outage := api.Decision{Verdict: api.VerdictMissed, Reason: "outage", First: at(3), Last: at(8), Count: 6}
	do(t, s, func(tx *Tx) error {
		return errors.Join(
			tx.Decide(job.UID, one(api.VerdictSkipped, "paused", 1, "")),
			tx.Decide(job.UID, one(api.VerdictSkipped, "paused", 2, "")),
			tx.Decide(job.UID, outage),
			tx.Decide(job.UID, one(api.VerdictMissed, "outage", 9, "")),
			tx.Decide(job.UID, one(api.VerdictMissed, "other", 10, "")),
			tx.Decide(job.UID, one(api.VerdictMissed, "other", 11, "r1")), // runs stay apart
			tx.Decide(job.UID, one(api.VerdictMissed, "other", 12, "r2")),
			tx.Decide("somebody-else", one(api.VerdictRun, "due", 13, "")))
	})
	want := []api.Decision{
		one(api.VerdictMissed, "other", 12, "r2"), one(api.VerdictMissed, "other", 11, "r1"), one(api.VerdictMissed, "other", 10, ""),
		{Verdict: api.VerdictMissed, Reason: "outage", First: at(3), Last: at(9), Count: 7},
		{Verdict: api.VerdictSkipped, Reason: "paused", First: at(1), Last: at(2), Count: 2},
	}
	if got := must(s.Decisions(job.UID, 10))(t); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got := must(s.LastDecision(job.UID))(t); !reflect.DeepEqual(got, want[0]) {
		t.Errorf("the last decision is %+v", got)
	}
	if _, err := s.LastDecision("nobody"); !errors.Is(err, ErrNotFound) {
		t.Errorf("of nobody: %v", err)
	}
	// An occurrence is never decided twice.
	if err := s.Write(t.Context(), func(tx *Tx) error { return tx.Decide(job.UID, one(api.VerdictRun, "due", 12, "r3")) }); err == nil {
		t.Error("one occurrence was decided twice")
	}
}
