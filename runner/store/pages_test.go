package store

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// walked reads a list of runs page by page.
func walked(t fataler, s *Store, f RunFilter, limit int) (ids []string) {
	t.Helper()
	for after := ""; ; after = ids[len(ids)-1] {
		page, err := s.RunsPage(f, after, limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, run := range page {
			ids = append(ids, run.ID)
		}
		if len(page) < limit {
			return ids
		}
	}
}

func TestPagesOfRunsHoldEachRunOnceInOrder(t *testing.T) {
	s, _ := open(t)
	jobs := []Job{newJob(t, s, "iris"), newJob(t, s, "rose")}
	var all []Run // in the order of their making
	rapid.Check(t, func(t *rapid.T) {
		for range rapid.IntRange(1, 8).Draw(t, "runs") {
			run := newRun(t, s, rapid.SampledFrom(jobs).Draw(t, "job"), api.Run{
				Occurrence: begin.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "hour")) * time.Hour),
				Origin:     rapid.SampledFrom([]api.Origin{api.OriginSchedule, api.OriginManual}).Draw(t, "origin"),
			})
			if rapid.Bool().Draw(t, "cancelled") {
				run = move(t, s, run, api.RunCancelled)
			}
			all = append(all, run)
		}
		limit := rapid.IntRange(1, 10).Draw(t, "limit")
		newest := slices.Clone(all)
		slices.Reverse(newest)
		if got := walked(t, s, RunFilter{}, limit); !slices.Equal(got, ids(newest)) {
			t.Fatalf("all runs: %v, want %v", got, ids(newest))
		}
		filter := RunFilter{UID: jobs[0].UID, States: []api.RunState{api.RunQueued, api.RunFailed}, Origins: []api.Origin{api.OriginManual},
			Since: begin.Add(time.Hour), Until: begin.Add(2 * time.Hour)}
		want := slices.DeleteFunc(newest, func(r Run) bool {
			return r.JobUID != jobs[0].UID || r.State != api.RunQueued || r.Origin != api.OriginManual || r.Occurrence.Before(filter.Since) || r.Occurrence.After(filter.Until)
		})
		slices.SortStableFunc(want, func(a, b Run) int {
			if c := b.Occurrence.Compare(a.Occurrence); c != 0 {
				return c
			}
			return b.CreatedAt.Compare(a.CreatedAt)
		})
		if got := walked(t, s, filter, limit); !slices.Equal(got, ids(want)) {
			t.Fatalf("some runs of a job: %v, want %v", got, ids(want))
		}
	})
	if _, err := s.RunsPage(RunFilter{}, "nosuch", 1); !errors.Is(err, ErrNotFound) {
		t.Errorf("behind a run that is not there: %v", err)
	}
}

func TestDeadLettersAreReadPageByPageAndSummedUp(t *testing.T) {
	s, _ := open(t)
	run := runningRun(t, s, newJob(t, s, "iris"), begin, 5, 5)
	claimed := claim(t, s, run, 2)
	stage(t, s, run, claimed[0], 3)
	second := result(claimed[1], 2)
	for i := range second.DeadLetters {
		second.DeadLetters[i].Class, second.DeadLetters[i].Group = api.ClassNotIsolated, "g1"
	}
	do(t, s, func(tx *Tx) error { return tx.Stage(run, claimed[1], second) })

	var spots []Spot
	for after := (Spot{}); ; {
		page := must(s.DeadLettersPage(run.ID, after, 2))(t)
		for _, letter := range page {
			after = Spot{letter.MiniBatch, letter.Position}
			spots = append(spots, after)
		}
		if len(page) < 2 {
			break
		}
	}
	if want := []Spot{{1, 0}, {1, 1}, {1, 2}, {2, 0}, {2, 1}}; !slices.Equal(spots, want) {
		t.Errorf("read %v, want %v", spots, want)
	}
	want := []DeadKind{
		{Class: api.ClassBadRecord, Records: 3, File: "/in/a.csv", FirstLine: claimed[0].FirstLine, LastLine: claimed[0].FirstLine + 2},
		{Class: api.ClassNotIsolated, Group: "g1", Records: 2, File: "/in/a.csv", FirstLine: claimed[1].FirstLine, LastLine: claimed[1].FirstLine + 1},
	}
	if got := must(s.DeadKinds(run.ID, 10))(t); !slices.Equal(got, want) {
		t.Errorf("summed up %+v, want %+v", got, want)
	}
}

func TestEventsAreReadFromAnyOneOn(t *testing.T) {
	s, _ := open(t)
	other := newRun(t, s, newJob(t, s, "rose"), api.Run{})
	run := newRun(t, s, newJob(t, s, "iris"), api.Run{})
	move(t, s, other, api.RunPlanning)
	move(t, s, run, api.RunPlanning, api.RunProvisioning)
	all := must(s.EventsPage(run.ID, -1, 10))(t)
	var told []string
	for _, e := range all {
		told = append(told, e.To)
	}
	if got := strings.Join(told, " "); got != "queued planning provisioning" || all[0].ID != 0 {
		t.Fatalf("the history is %q: %+v", got, all)
	}
	if rest := must(s.EventsPage(run.ID, all[1].ID, 10))(t); !slices.Equal(rest, all[2:]) {
		t.Errorf("behind the second come %+v", rest)
	}
	if first := must(s.EventsPage(run.ID, 0, 1))(t); !slices.Equal(first, all[1:2]) {
		t.Errorf("behind the first comes %+v", first)
	}
}

func TestAttemptsAreListed(t *testing.T) {
	s, _ := open(t)
	run := runningRun(t, s, newJob(t, s, "iris"), begin, 5, 5)
	do(t, s, func(tx *Tx) error { return tx.StartAttempt(run.ID, 1, 1, "exec") })
	claimed := claim(t, s, run, 2)
	do(t, s, func(tx *Tx) error {
		return tx.Release(run, claimed[1], Release{To: api.MiniBatchPending, Failure: Failure{Class: api.ClassTransient, Status: 502, Error: "bad gateway"}})
	})
	again := claim(t, s, run, 1)
	stage(t, s, run, again[0], 0)
	got := must(s.MiniBatchAttempts(run.ID, 2))(t)
	if len(got) != 2 || got[0].Class != api.ClassTransient || got[0].Status != 502 || got[0].Outcome != api.MiniBatchPending || got[1].Outcome != api.MiniBatchStaged {
		t.Errorf("the attempts at mini-batch 2 are %+v", got)
	}
	if passes := must(s.RunAttempts(run.ID))(t); len(passes) != 1 || passes[0].Number != 1 || passes[0].ExecSpecHash != "exec" {
		t.Errorf("the run attempts are %+v", passes)
	}
}

// What a run left to the next is looked for where it went, and what a run took
// over is known to be another's.
func TestTheLedgerTellsWhereCarriedRecordsAre(t *testing.T) {
	s, _ := open(t)
	job := newJob(t, s, "iris")
	first := runningRun(t, s, job, begin, 5, 7)
	second := runningRun(t, s, job, begin.Add(time.Hour), 7, 4)
	do(t, s, func(tx *Tx) error {
		return errors.Join(
			tx.exec(`INSERT INTO ledger (id, uid, run_id, mini_batch, occurrence, file, offset, length, first_line, records, carries, since, taken_by)
				VALUES (3, $1, $2, 2, 0, '{"path":"/in/a.csv"}', 0, 0, 7, 7, 1, 0, $3)`, job.UID, first.ID, second.ID),
			tx.exec(`UPDATE mini_batches SET ledger = 3, carried = 1 WHERE run_id = $1 AND number = 2`, first.ID),
			tx.exec(`UPDATE mini_batches SET ledger = 3 WHERE run_id = $1 AND number = 1`, second.ID))
	})
	if got := must(s.CarriedBy(first.ID))(t); !slices.Equal(got, []Carried{{Records: 7, Slices: 1, TakenBy: second.ID}}) {
		t.Errorf("the first run carried %+v", got)
	}
	if got := must(s.CarriedBy(second.ID))(t); len(got) != 0 {
		t.Errorf("the second run carried %+v", got)
	}
	if got := must(s.InheritedBy(second.ID))(t); !slices.Equal(got, []Inherited{{From: first.ID, Records: 7, Slices: 1}}) {
		t.Errorf("the second run took over %+v", got)
	}
	if got := must(s.Debtors(second.ID, 1, 2))(t); len(got) != 1 || got[1] != first.ID {
		t.Errorf("the second run's mini-batches come from %v", got)
	}
	owed := must(s.LedgerPage(job.UID, 0, 10))(t)
	if len(owed) != 1 || owed[0].ID != 3 || owed[0].File != "/in/a.csv" || owed[0].TakenBy != second.ID || owed[0].Records != 7 {
		t.Errorf("the ledger is %+v", owed)
	}
	if rest := must(s.LedgerPage(job.UID, 3, 10))(t); len(rest) != 0 {
		t.Errorf("behind the last comes %+v", rest)
	}
}

// A page costs the same however long its list is.
func TestPagesGoByAnIndex(t *testing.T) {
	ofJob, _ := RunFilter{UID: "u"}.query("r", 1)
	ofAll, _ := RunFilter{}.query("r", 1)
	s, _ := open(t)
	for _, test := range []struct{ query, by, never string }{
		{`SELECT id FROM runs ` + ofJob, "sqlite_autoindex_runs_2 (uid=?", "SCAN"},
		{`SELECT id FROM runs ` + ofAll, "INTEGER PRIMARY KEY (rowid<?)", "TEMP B-TREE"},
		{deadLettersPage, "PRIMARY KEY (run_id=? AND (mini_batch,position)>(?,?))", "TEMP B-TREE"},
		{ledgerPage, "ledger_owed (uid=? AND id>?)", "TEMP B-TREE"},
		{eventsPage, "events_by_job (uid=? AND run_id=? AND id>?)", "SCAN events"},
	} {
		expectPlan(t, s, test.query, test.by, test.never)
	}
}
