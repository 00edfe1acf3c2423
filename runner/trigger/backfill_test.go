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

// week is a room with a nightly job (02:00 in Berlin, 01:00Z) that has run
// once, on 4 January 2026, with this end. It is noon of 5 January.
func week(t *testing.T, end api.RunState) (*room, string) {
	r := newRoom(t, "2026-01-03T12:00:00Z")
	uid := r.put(validJob("churn", cron("0 2 * * *", "Europe/Berlin"))).UID
	r.set(instant("2026-01-04T01:00:00Z"))
	r.wakeUp()
	r.move(r.active(uid)[0], end)
	if _, err := r.SetCursor(t.Context(), "churn", api.SetCursor{To: "now"}, "test"); err != nil {
		t.Fatal(err)
	}
	r.set(instant("2026-01-05T12:00:00Z"))
	r.setCursor("churn", "now") // the 5th is skipped
	return r, uid
}

func (r *room) backfill(ask api.AskBackfill) api.Backfill {
	r.t.Helper()
	b, created, err := r.Backfill(r.t.Context(), "churn", ask, "", "cli:ann")
	if err != nil || created == ask.DryRun {
		r.t.Fatal(b, created, err)
	}
	return b
}

// stands is how the newest backfill stands.
func (r *room) stands() api.Backfill {
	r.t.Helper()
	all, err := r.Backfills(r.t.Context(), "churn", 1)
	if err != nil || len(all) != 1 {
		r.t.Fatal(all, err)
	}
	return all[0]
}

func days(instants []time.Time) string {
	var list []string
	for _, at := range instants {
		list = append(list, at.Format("2"))
	}
	return strings.Join(list, " ")
}

func daysOf(runs []store.Run) string {
	var list []time.Time
	for _, run := range runs {
		list = append(list, run.Occurrence)
	}
	return days(list)
}

func TestWhichOccurrencesABackfillMeans(t *testing.T) {
	tests := []struct {
		name    string
		end     api.RunState // of the run of the 4th
		active  bool         // the 2nd has a run that goes on
		ask     api.AskBackfill
		want    string
		leftOut int64
	}{
		{"missing leaves out what succeeded", api.RunSucceeded, false, api.AskBackfill{From: "2026-01-01", To: "2026-01-05"}, "1 2 3 5", 1},
		{"and what is incomplete", api.RunIncomplete, false, api.AskBackfill{From: "2026-01-01", To: "2026-01-05", Only: "missing"}, "1 2 3 5", 1},
		{"but not what failed", api.RunFailed, false, api.AskBackfill{From: "2026-01-01", To: "2026-01-05"}, "1 2 3 4 5", 0},
		{"failed", api.RunFailed, false, api.AskBackfill{From: "2026-01-01", To: "2026-01-05", Only: "failed"}, "4", 4},
		{"stopped counts as failed", api.RunStopped, false, api.AskBackfill{From: "2026-01-01", To: "2026-01-05", Only: "failed"}, "4", 4},
		{"so does cancelled", api.RunCancelled, false, api.AskBackfill{From: "2026-01-01", To: "2026-01-05", Only: "failed"}, "4", 4},
		{"succeeded does not", api.RunSucceeded, false, api.AskBackfill{From: "2026-01-01", To: "2026-01-05", Only: "failed"}, "", 5},
		{"all", api.RunSucceeded, false, api.AskBackfill{From: "2026-01-01", To: "2026-01-05", Only: "all"}, "1 2 3 4 5", 0},
		{"all but what goes on", api.RunSucceeded, true, api.AskBackfill{From: "2026-01-01", To: "2026-01-05", Only: "all"}, "1 3 4 5", 1},
		{"newest first", api.RunSucceeded, false, api.AskBackfill{From: "2026-01-01", To: "2026-01-05", Order: "newest_first"}, "5 3 2 1", 1},
		{"instants, both included", api.RunSucceeded, false, api.AskBackfill{From: "2026-01-01T02:00", To: "2026-01-03T01:00:00Z"}, "1 2 3", 0},
		{"nothing that is yet to come", api.RunSucceeded, false, api.AskBackfill{From: "2026-01-05", To: "2027-01-01"}, "5", 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r, uid := week(t, test.end)
			if test.active {
				if _, _, err := r.Rerun(t.Context(), "churn", api.Rerun{Occurrence: "2026-01-02"}, "", "test"); err != nil {
					t.Fatal(err)
				}
			}
			before := len(r.runs(uid))
			test.ask.DryRun = true

			got := r.backfill(test.ask)

			if days(got.Occurrences) != test.want || got.LeftOut != test.leftOut || got.Total != int64(len(got.Occurrences)) || got.ID != "" {
				t.Errorf("it means %q and leaves out %d: %+v", days(got.Occurrences), got.LeftOut, got)
			}
			if all, err := r.Backfills(t.Context(), "churn", 10); err != nil || len(all) != 0 || len(r.runs(uid)) != before {
				t.Errorf("a dry run stored %+v, %v", all, err)
			}
		})
	}
}

// An occurrence that is due and not decided is the schedule's to run: no
// occurrence runs twice.
func TestABackfillLeavesWhatIsNotDecidedToTheSchedule(t *testing.T) {
	r, _ := week(t, api.RunSucceeded)
	r.set(instant("2026-01-06T01:00:30Z")) // and nobody woke
	got := r.backfill(api.AskBackfill{From: "2026-01-01", To: "2026-01-06", Only: "all", DryRun: true})
	if days(got.Occurrences) != "1 2 3 4 5" {
		t.Errorf("it means %q", days(got.Occurrences))
	}
}

func TestABackfillRunsItsOccurrencesOneAfterAnother(t *testing.T) {
	r, uid := week(t, api.RunSucceeded)
	wakes := r.wakes.Load()

	b := r.backfill(api.AskBackfill{From: "2026-01-01", To: "2026-01-05"})

	if b.ID == "" || b.Total != 4 || b.Active != 1 || b.Waiting != 3 || b.Actor != "cli:ann" || r.wakes.Load() == wakes {
		t.Errorf("the backfill is %+v", b)
	}
	for _, want := range []struct {
		day string
		end api.RunState
	}{{"1", api.RunSucceeded}, {"2", api.RunFailed}, {"3", api.RunCancelled}, {"5", api.RunSucceeded}} {
		active := r.active(uid)
		if daysOf(active) != want.day || active[0].Origin != api.OriginBackfill || active[0].Backfill != b.ID || active[0].Shared {
			t.Fatalf("the active runs are %+v, want that of the %s", active, want.day)
		}
		if status := r.status("churn"); status.Backfill == nil || status.Backfill.ID != b.ID {
			t.Errorf("the status tells of %+v", status.Backfill)
		}
		r.move(active[0], want.end)
	}
	if b := r.stands(); b.EndedAt.IsZero() || b.Succeeded != 2 || b.Failed != 2 || b.Waiting != 0 || b.Active != 0 {
		t.Errorf("it stands at %+v", b)
	}
	if status := r.status("churn"); status.Backfill != nil || len(r.active(uid)) != 0 {
		t.Errorf("it goes on: %+v", status.Backfill)
	}
}

func TestParallelBackfillRunsAreShared(t *testing.T) {
	r, uid := week(t, api.RunSucceeded)
	r.backfill(api.AskBackfill{From: "2026-01-01", To: "2026-01-05", Only: "all", MaxParallel: 2})
	active := r.active(uid)
	if daysOf(active) != "1 2" || !active[0].Shared || !active[1].Shared {
		t.Fatalf("the active runs are %+v", active)
	}
	r.move(active[1], api.RunSucceeded)
	if got := daysOf(r.active(uid)); got != "1 3" {
		t.Errorf("the active runs are of %s", got)
	}
}

func TestAHeldJobsBackfillWaitsForTheRelease(t *testing.T) {
	r, uid := week(t, api.RunSucceeded)
	ask := api.AskBackfill{From: "2026-01-01", To: "2026-01-05"}
	b := r.backfill(ask)
	if _, err := r.Hold(t.Context(), "churn", api.HoldJob{Reason: "look at it first"}, "cli:ann"); err != nil {
		t.Fatal(err)
	}
	r.finish(uid)
	if active := r.active(uid); len(active) != 0 {
		t.Fatalf("a held job runs %+v", active)
	}
	if _, err := r.CancelBackfill(t.Context(), "churn", b.ID, "cli:ann"); err != nil {
		t.Fatal(err)
	}
	ask.DryRun = true
	if told := r.backfill(ask); len(told.Warnings) != 1 || !strings.Contains(told.Warnings[0], "once it is released") {
		t.Errorf("the warnings are %q", told.Warnings)
	}
	ask.DryRun = false
	if b := r.backfill(ask); b.Waiting != 3 || b.Active != 0 {
		t.Errorf("the backfill is %+v", b)
	}

	if _, err := r.Release(t.Context(), "churn", "cli:ann"); err != nil {
		t.Fatal(err)
	}
	if got := daysOf(r.active(uid)); got != "2" {
		t.Errorf("the active runs are of %q", got)
	}
}

func TestAPausedJobsBackfillGoesOn(t *testing.T) {
	r, uid := week(t, api.RunSucceeded)
	r.put(paused(validJob("churn", cron("0 2 * * *", "Europe/Berlin")), true))
	r.backfill(api.AskBackfill{From: "2026-01-01", To: "2026-01-02"})
	r.finish(uid)
	if got := daysOf(r.active(uid)); got != "2" {
		t.Errorf("the active runs are of %q", got)
	}
}

func TestCancellingABackfill(t *testing.T) {
	r, uid := week(t, api.RunSucceeded)
	b := r.backfill(api.AskBackfill{From: "2026-01-01", To: "2026-01-05"})
	for range 2 {
		cancelled, err := r.CancelBackfill(t.Context(), "churn", b.ID, "cli:ann")
		if err != nil || cancelled.EndedAt.IsZero() || cancelled.Waiting != 3 || cancelled.Active != 1 {
			t.Errorf("cancelling gave %+v, %v", cancelled, err)
		}
	}
	r.finish(uid) // the run that was there went on
	if len(r.active(uid)) != 0 || r.stands().Succeeded != 1 {
		t.Errorf("it stands at %+v", r.stands())
	}
	_, err := r.CancelBackfill(t.Context(), "churn", "b-none", "cli:ann")
	refused(t, err, api.CodeNotFound, "b-none")
}

func TestDeletingEndsTheBackfill(t *testing.T) {
	r, uid := week(t, api.RunSucceeded)
	b := r.backfill(api.AskBackfill{From: "2026-01-01", To: "2026-01-05"})

	if err := r.Delete(t.Context(), "churn", "", 0, false, "test"); err != nil {
		t.Fatal(err)
	}

	stored, err := r.store.Backfill(b.ID)
	if err != nil || stored.EndedAt.IsZero() || len(r.active(uid)) != 0 {
		t.Errorf("it stands at %+v, %v, and %d runs are active", stored, err, len(r.active(uid)))
	}
}

func TestOneBackfillAtATimeAndEachOnce(t *testing.T) {
	r, uid := week(t, api.RunSucceeded)
	ask := api.AskBackfill{From: "2026-01-01", To: "2026-01-02"}
	first, created, err := r.Backfill(t.Context(), "churn", ask, "k1", "cli:ann")
	if err != nil || !created {
		t.Fatal(first, created, err)
	}
	again, created, err := r.Backfill(t.Context(), "churn", ask, "k1", "cli:ann")
	if err != nil || created || again.ID != first.ID {
		t.Errorf("the same key gave %+v, %v, %v", again, created, err)
	}
	_, _, err = r.Backfill(t.Context(), "churn", ask, "k2", "cli:ann")
	refused(t, err, api.CodeConflict, first.ID, "0 of 2", "cancel")
	r.finish(uid)
	r.finish(uid)
	third, created, err := r.Backfill(t.Context(), "churn", ask, "k3", "cli:ann")
	if err != nil || !created || third.Total != 0 || third.LeftOut != 2 || third.EndedAt.IsZero() {
		t.Errorf("one with nothing to do gave %+v, %v, %v", third, created, err)
	}
}

func TestBackfillWarnsOfWhatItKeepsFromRunning(t *testing.T) {
	r, _ := week(t, api.RunSucceeded)
	spec := validJob("churn", cron("0 2 * * *", "Europe/Berlin"))
	spec.Output.Files.URI += "/{run}"
	for overlap, want := range map[string]string{
		"":               `the next occurrence is due at 2026-01-06 02:00 Europe/Berlin; while the backfill goes on, due occurrences are skipped; overlap = "queue_one" lets them wait`,
		"cancel_running": "cancels", "queue_one": "", "queue_all": "", "allow": "",
	} {
		spec.Overlap = overlap
		r.put(spec)
		told := r.backfill(api.AskBackfill{From: "2026-01-01", To: "2026-01-05", DryRun: true})
		if said := strings.Join(told.Warnings, "\n"); (want == "") != (said == "") || !strings.Contains(said, want) {
			t.Errorf("overlap %q: the warnings are %q", overlap, told.Warnings)
		}
	}
}

func TestWhatABackfillRefuses(t *testing.T) {
	r, _ := week(t, api.RunSucceeded)
	r.put(validJob("often", every("1s")))
	r.put(validJob("manual", nil))
	tests := []struct {
		job     string
		ask     api.AskBackfill
		code    api.Code
		pointer string
		says    string
	}{
		{"churn", api.AskBackfill{To: "2026-01-01"}, api.CodeInvalid, "/from", "is required"},
		{"churn", api.AskBackfill{From: "2026-01-01"}, api.CodeInvalid, "/to", "is required"},
		{"churn", api.AskBackfill{From: "2026-01-02", To: "2026-01-01"}, api.CodeInvalid, "/to", "before"},
		{"churn", api.AskBackfill{From: "2025-03-30T02:30", To: "2026-01-01"}, api.CodeInvalid, "/from", "does not exist"},
		{"churn", api.AskBackfill{From: "2026-01-01", To: "2026-01-05", Only: "some"}, api.CodeInvalid, "/only", "missing, failed, all"},
		{"churn", api.AskBackfill{From: "2026-01-01", To: "2026-01-05", Order: "random"}, api.CodeInvalid, "/order", "oldest_first"},
		{"churn", api.AskBackfill{From: "2026-01-01", To: "2026-01-05", MaxParallel: 101}, api.CodeInvalid, "/max_parallel", "1–100"},
		{"churn", api.AskBackfill{From: "2026-01-06", To: "2026-01-09"}, api.CodeInvalid, "/from", "no occurrence"},
		{"often", api.AskBackfill{From: "2025-12-01", To: "2026-01-01"}, api.CodeInvalid, "/to", "the first may end at 2025-12-02T03:46:39Z"},
		{"manual", api.AskBackfill{From: "2026-01-01", To: "2026-01-05"}, api.CodeConflict, "", "has no schedule"},
		{"none", api.AskBackfill{From: "2026-01-01", To: "2026-01-05"}, api.CodeNotFound, "", "none"},
	}
	for _, test := range tests {
		_, _, err := r.Backfill(t.Context(), test.job, test.ask, "", "test")
		refused(t, err, test.code, test.says)
		if e, _ := errors.AsType[*api.Error](err); test.pointer != "" &&
			!slices.ContainsFunc(e.Problems, func(p api.Error) bool { return p.Pointer == test.pointer }) {
			t.Errorf("no problem points to %s: %+v", test.pointer, e.Problems)
		}
	}
}
