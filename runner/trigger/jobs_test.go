package trigger

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// refused asserts that an error is the API's, of one code, and names a remedy.
func refused(t *testing.T, err error, code api.Code, texts ...string) {
	t.Helper()
	e, ok := errors.AsType[*api.Error](err)
	if !ok || e.Code != code {
		t.Fatalf("the error is %v, want code %s", err, code)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("the error %q does not say %q", err, text)
		}
	}
}

func TestPutRefusesWhatIsNotValidWithPointers(t *testing.T) {
	r := newRoom(t, "2026-01-01T00:00:00Z")
	tests := []struct {
		name    string
		change  func(*api.PutJob)
		pointer string
		text    string
	}{
		{"shared folder", func(b *api.PutJob) {
			b.Spec.Schedule, b.Spec.Output.Files = cron("@hourly", ""), &api.OutputFiles{URI: "/out/{date}"}
		}, "/output/files/uri", "{hour}"},
		{"hour", func(b *api.PutJob) { b.Spec.Schedule = cron("0 25 * * *", "") }, "/schedule/cron", `schedule.cron "0 25 * * *": `},
		{"zone", func(b *api.PutJob) { b.Spec.Schedule = cron("0 2 * * *", "Europe/Berlln") }, "/schedule/time_zone", "Europe/Berlln"},
		{"fraction", func(b *api.PutJob) { b.Spec.Schedule = every("1500ms") }, "/schedule/every", "1500ms"},
		{"both", func(b *api.PutJob) { b.Spec.Schedule = &api.Schedule{Cron: "@daily", Every: "1h"} }, "/schedule", "keep one"},
		{"input", func(b *api.PutJob) { b.Spec.Input.Files = nil }, "/input", "files"},
		{"another name", func(b *api.PutJob) { b.Spec.Name = "other" }, "/name", `"churn"`}, // renames what is not there
		{"settings", func(b *api.PutJob) { b.Settings.RunOnCreate = "soon" }, "/settings/run_on_create", "soon"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			body := api.PutJob{Spec: validJob("churn", every("1h"))}
			test.change(&body)
			_, _, err := r.Put(t.Context(), "churn", body, Condition{}, "test")
			refused(t, err, api.CodeInvalid, test.text)
			e, _ := errors.AsType[*api.Error](err)
			if !slices.ContainsFunc(e.Problems, func(p api.Error) bool { return p.Pointer == test.pointer }) {
				t.Errorf("no problem points to %s: %+v", test.pointer, e.Problems)
			}
		})
	}
	if jobs, err := r.store.Jobs(); err != nil || len(jobs) != 0 {
		t.Errorf("something was stored: %v %v", jobs, err)
	}
}

func TestAJobFromTableToTableHasNoFolders(t *testing.T) {
	r := newRoom(t, "2026-01-01T12:00:00Z")
	spec, dsn := validJob("churn", every("1h")), api.SecretRef{Secret: "dsn"}
	spec.Input = api.Input{SQL: &api.InputSQL{DSN: dsn, Query: "SELECT * FROM items"}, Key: []string{"id"}}
	spec.Output = api.Output{SQL: &api.OutputSQL{DSN: dsn, Table: "items", Write: api.WriteUpdate, JSONColumn: "prediction"}}
	if _, created, err := r.Put(t.Context(), "churn", api.PutJob{Spec: spec}, Condition{}, "test"); err != nil || !created {
		t.Errorf("Put gave %v, %v", created, err)
	}
}

func TestANewJobIsNotDueForThePast(t *testing.T) {
	r := newRoom(t, "2026-01-01T12:00:00Z")
	stored, created, err := r.Put(t.Context(), "churn", api.PutJob{Spec: validJob("churn", every("1h"))}, Condition{}, "test")
	if err != nil || !created || stored.Generation != 1 || stored.UID == "" || stored.Resumed {
		t.Fatalf("Put gave %+v, %v, %v", stored, created, err)
	}
	job := r.job("churn")
	if !job.Cursor.Equal(job.CreatedAt) || !job.NextDueAt.Equal(instant("2026-01-01T13:00:00Z")) {
		t.Errorf("cursor %s, next due %s", job.Cursor, job.NextDueAt)
	}
}

func TestPutConditions(t *testing.T) {
	r := newRoom(t, "2026-01-01T12:00:00Z")
	body := api.PutJob{Spec: validJob("churn", every("1h")), Owner: "stack-a"}
	put := func(change func(*api.PutJob), cond Condition) (api.StoredJob, bool, error) {
		b := body
		if change != nil {
			change(&b)
		}
		return r.Put(t.Context(), "churn", b, cond, "test")
	}
	relabel := func(b *api.PutJob) { b.Spec.Labels = map[string]string{"team": "growth"} }

	_, _, err := put(nil, Condition{IfMatch: 1})
	refused(t, err, api.CodeNotFound, "churn")

	first, created, err := put(nil, Condition{IfNoneMatch: true, Key: "k1"})
	if err != nil || !created {
		t.Fatal(first, created, err)
	}
	again, created, err := put(nil, Condition{IfNoneMatch: true, Key: "k1"})
	if err != nil || created || again.UID != first.UID || again.Generation != 1 {
		t.Errorf("the same Create again gave %+v, %v, %v", again, created, err)
	}
	_, _, err = put(nil, Condition{IfNoneMatch: true, Key: "k2"})
	refused(t, err, api.CodeExists, "churn", "stack-a", "import")
	_, _, err = put(nil, Condition{IfNoneMatch: true})
	refused(t, err, api.CodeExists)

	same, created, err := put(func(b *api.PutJob) { b.Spec.Schedule = every("60m") }, Condition{})
	if err != nil || created || same.Generation != 1 || same.Spec.Schedule.Every != "60m" {
		t.Errorf("another spelling gave %+v, %v, %v", same, created, err)
	}
	_, _, err = put(func(b *api.PutJob) { b.Owner = "stack-b" }, Condition{})
	refused(t, err, api.CodeOwner, "stack-a", "stack-b")
	_, _, err = put(func(b *api.PutJob) { b.Owner = "" }, Condition{})
	refused(t, err, api.CodeOwner)

	changed, created, err := put(relabel, Condition{IfMatch: 1})
	if err != nil || created || changed.Generation != 2 {
		t.Errorf("the edit gave %+v, %v, %v", changed, created, err)
	}
	_, _, err = put(nil, Condition{IfMatch: 1})
	refused(t, err, api.CodePrecondition, "generation 2", "generation 1")
	if sent, _, err := put(relabel, Condition{IfMatch: 1}); err != nil || sent.Generation != 2 {
		t.Errorf("the same edit sent twice gave %+v, %v", sent, err)
	}
	settled, _, err := put(func(b *api.PutJob) { relabel(b); b.Settings.RunOnCreate = "10m" }, Condition{})
	if err != nil || settled.Generation != 3 {
		t.Errorf("new settings gave %+v, %v", settled, err)
	}
}

func TestAnEditOfTheScheduleDecidesTheOldRuleAndNeverFiresIntoThePast(t *testing.T) {
	r := newRoom(t, "2026-01-01T00:00:00Z")
	spec := validJob("churn", every("1h"))
	uid := r.put(spec).UID
	r.set(instant("2026-01-01T02:20:00Z")) // nobody woke: 01:00 and 02:00 are undecided

	spec.Schedule = every("10m")
	r.put(spec)

	job := r.job("churn")
	if !job.Cursor.Equal(r.clock.now()) || !job.NextDueAt.Equal(instant("2026-01-01T02:30:00Z")) {
		t.Errorf("cursor %s, next due %s", job.Cursor, job.NextDueAt)
	}
	runs := r.runs(uid)
	if len(runs) != 1 || runs[0].Origin != api.OriginCatchUp || !runs[0].Occurrence.Equal(instant("2026-01-01T02:00:00Z")) || runs[0].Generation != 1 {
		t.Errorf("the old rule's runs are %+v", runs)
	}
	if decided := r.decisions(uid); len(decided) != 2 || decided[0].Count != 1 || decided[0].Verdict != api.VerdictMissed {
		t.Errorf("decided %+v", decided)
	}
	if r.wakes.Load() != 1 {
		t.Errorf("the engine was woken %d times, want 1", r.wakes.Load())
	}

	spec.Schedule = nil
	r.put(spec)
	if job := r.job("churn"); !job.NextDueAt.IsZero() {
		t.Errorf("a manual job is due at %s", job.NextDueAt)
	}
}

func TestOtherEditsLeaveTheCursorAlone(t *testing.T) {
	r := newRoom(t, "2026-01-01T00:00:00Z")
	spec := validJob("churn", every("1h"))
	uid := r.put(spec).UID
	before := r.job("churn")
	r.set(instant("2026-01-01T01:00:01Z"))

	parallelism := int64(3)
	spec.Parallelism = &parallelism
	r.put(spec)

	after := r.job("churn")
	if !after.Cursor.Equal(before.Cursor) || !after.NextDueAt.Equal(before.NextDueAt) || len(r.decisions(uid)) != 0 {
		t.Errorf("cursor %s → %s, next due %s → %s", before.Cursor, after.Cursor, before.NextDueAt, after.NextDueAt)
	}
	r.wakeUp()
	if runs := r.runs(uid); len(runs) != 1 || runs[0].Generation != 2 {
		t.Errorf("the due occurrence became %+v", runs)
	}
}

func TestPausingSkipsFromThenOnOnly(t *testing.T) {
	r := newRoom(t, "2026-01-01T00:00:00Z")
	spec := validJob("churn", every("1h"))
	uid := r.put(spec).UID
	r.set(instant("2026-01-01T01:00:01Z"))
	r.put(paused(spec, true)) // 01:00 was due before
	r.finish(uid)
	r.set(instant("2026-01-01T03:00:01Z"))
	r.put(paused(spec, false)) // 02:00 and 03:00 were due while paused
	r.set(instant("2026-01-01T04:00:00Z"))
	r.wakeUp()

	got := []string{}
	for _, d := range r.decisions(uid) {
		got = append(got, string(d.Verdict)+" "+d.Reason+" "+d.First.Format("15")+"-"+d.Last.Format("15"))
	}
	want := []string{"run due 01-01", "skipped paused 02-03", "run due 04-04"}
	if !slices.Equal(got, want) {
		t.Errorf("decided %q, want %q", got, want)
	}
}

func TestAnEditMendsARuleThatCanNotBeRead(t *testing.T) {
	r := newRoom(t, "2026-01-01T00:00:00Z")
	sound := r.put(validJob("sound", every("1h")))
	due := instant("2026-01-01T01:00:00Z")
	r.write(func(tx *store.Tx) error { // as an older release may have taken it
		_, err := tx.InsertJob(store.Job{StoredJob: api.StoredJob{Spec: validJob("old", cron("@fortnightly", ""))}, Cursor: tx.Now, NextDueAt: due})
		return err
	})
	r.set(due)
	r.wakeUp()
	if len(r.runs(sound.UID)) != 1 {
		t.Error("the sound job was kept from its run")
	}
	status, err := r.Status(t.Context(), "old")
	if err != nil || status.Healthy || !strings.Contains(status.Summary, "@fortnightly") {
		t.Errorf("status %+v, %v", status, err)
	}

	r.put(validJob("old", every("1h")))

	if job := r.job("old"); !job.Cursor.Equal(due) || !job.NextDueAt.Equal(due.Add(time.Hour)) {
		t.Errorf("cursor %s, next due %s", job.Cursor, job.NextDueAt)
	}
}

func TestDeletingBuriesAndACreateResumes(t *testing.T) {
	r := newRoom(t, "2026-01-01T00:00:00Z")
	body := api.PutJob{Spec: validJob("churn", every("1h")), Owner: "stack-a"}
	first, _, err := r.Put(t.Context(), "churn", body, Condition{IfNoneMatch: true, Key: "k1"}, "test")
	if err != nil {
		t.Fatal(err)
	}
	r.add(time.Hour)
	r.wakeUp()
	if _, _, err := r.Run(t.Context(), "churn", api.Trigger{}, "", "test"); err != nil {
		t.Fatal(err)
	}
	committing := r.move(r.runs(first.UID)[1], api.RunCommitting)

	refused(t, r.Delete(t.Context(), "churn", "stack-b", 0, false, "test"), api.CodeOwner)
	refused(t, r.Delete(t.Context(), "churn", "stack-a", 7, false, "test"), api.CodePrecondition)
	refused(t, r.Delete(t.Context(), "churn", "stack-a", 0, true, "test"), api.CodeConflict, committing.ID)
	if err := r.Delete(t.Context(), "churn", "stack-a", 1, false, "test"); err != nil {
		t.Fatal(err)
	}
	refused(t, r.Delete(t.Context(), "churn", "stack-a", 0, false, "test"), api.CodeNotFound)

	states := map[api.RunState]int{}
	for _, run := range r.runs(first.UID) {
		states[run.State]++
	}
	if states[api.RunCommitting] != 1 || states[api.RunCancelled] != 1 {
		t.Errorf("the runs are %v; want the committing one left and the other cancelled", states)
	}
	r.add(5 * time.Hour)
	r.wakeUp()

	again, created, err := r.Put(t.Context(), "churn", body, Condition{IfNoneMatch: true, Key: "k2"}, "test")
	if err != nil || !created || !again.Resumed || again.UID != first.UID || again.Generation != 2 {
		t.Fatalf("the second Create gave %+v, %v, %v", again, created, err)
	}
	if job := r.job("churn"); !job.Cursor.Equal(r.clock.now()) || !job.NextDueAt.Equal(instant("2026-01-01T07:00:00Z")) {
		t.Errorf("cursor %s, next due %s", job.Cursor, job.NextDueAt)
	}
	if len(r.runs(first.UID)) != 2 || len(r.decisions(first.UID)) != 1 {
		t.Error("the history is not the old one, or the time in the grave was caught up")
	}
	if sent, created, err := r.Put(t.Context(), "churn", body, Condition{IfNoneMatch: true, Key: "k2"}, "test"); err != nil || created || !sent.Resumed {
		t.Errorf("the second Create again gave %+v, %v, %v", sent, created, err)
	}
}

func TestPurgingLeavesNothing(t *testing.T) {
	r := newRoom(t, "2026-01-01T00:00:00Z")
	spec := validJob("churn", every("1h"))
	first := r.put(spec)
	r.add(time.Hour)
	r.wakeUp()
	if err := r.Delete(t.Context(), "churn", "", 0, false, "test"); err != nil {
		t.Fatal(err)
	}
	if err := r.Delete(t.Context(), "churn", "", 0, true, "test"); err != nil { // of the buried one
		t.Fatal(err)
	}
	refused(t, r.Delete(t.Context(), "churn", "", 0, true, "test"), api.CodeNotFound)
	if len(r.runs(first.UID)) != 0 || len(r.decisions(first.UID)) != 0 {
		t.Error("runs or decisions are left")
	}
	if again := r.put(spec); again.UID == first.UID || again.Resumed || again.Generation != 1 {
		t.Errorf("the name is not free: %+v", again)
	}
}

func TestManualRuns(t *testing.T) {
	r := newRoom(t, "2026-01-01T12:00:00Z")
	r.set(instant("2026-01-01T12:00:00Z").Add(700 * time.Millisecond))
	r.put(paused(validJob("churn", nil), true))

	first, created, err := r.Run(t.Context(), "churn", api.Trigger{}, "k1", "cli:ann")
	if err != nil || !created || first.State != api.RunQueued || first.Origin != api.OriginManual || !first.Occurrence.Equal(instant("2026-01-01T12:00:00Z")) {
		t.Fatalf("Run gave %+v, %v, %v", first, created, err)
	}
	again, created, err := r.Run(t.Context(), "churn", api.Trigger{IfIdle: true}, "k1", "cli:ann")
	if err != nil || created || again.ID != first.ID {
		t.Errorf("the same key gave %+v, %v, %v", again, created, err)
	}
	_, _, err = r.Run(t.Context(), "churn", api.Trigger{IfIdle: true}, "k2", "cli:ann")
	refused(t, err, api.CodeConflict, first.ID, "queued")
	second, created, err := r.Run(t.Context(), "churn", api.Trigger{}, "k2", "cli:ann")
	if err != nil || !created || second.Sequence != 2 {
		t.Errorf("a run behind an active one: %+v, %v, %v", second, created, err)
	}
	r.finish(first.JobUID)
	chosen := instant("2025-12-31T02:00:00+01:00")
	if third, _, err := r.Run(t.Context(), "churn", api.Trigger{Occurrence: chosen, IfIdle: true}, "", "cli:ann"); err != nil || !third.Occurrence.Equal(chosen) {
		t.Errorf("a chosen occurrence: %+v, %v", third, err)
	}
	if r.wakes.Load() != 3 {
		t.Errorf("the engine was woken %d times, want 3", r.wakes.Load())
	}

	_, _, err = r.Run(t.Context(), "churn", api.Trigger{Occurrence: chosen.Add(time.Millisecond)}, "", "cli:ann")
	refused(t, err, api.CodeInvalid, "occurrence", "fraction")
	_, _, err = r.Run(t.Context(), "churn", api.Trigger{Occurrence: chosen.AddDate(5000, 0, 0)}, "", "cli:ann")
	refused(t, err, api.CodeInvalid, "occurrence", "years")
	_, _, err = r.Run(t.Context(), "none", api.Trigger{}, "", "cli:ann")
	refused(t, err, api.CodeNotFound, "none")
}
