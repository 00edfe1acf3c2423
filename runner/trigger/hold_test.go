package trigger

import (
	"slices"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

func TestHoldingSkipsFromThenOnUntilTheRelease(t *testing.T) {
	r := newRoom(t, "2026-01-01T00:00:00Z")
	uid := r.put(validJob("churn", every("1h"))).UID
	r.set(instant("2026-01-01T01:00:01Z"))

	status, err := r.Hold(t.Context(), "churn", api.HoldJob{Reason: "the model is wrong"}, "cli:ann") // 01:00 was due before
	if err != nil || status.Held == nil || status.Held.By != "cli:ann" || status.Healthy {
		t.Fatalf("Hold gave %+v, %v", status, err)
	}
	if want := "held by cli:ann since 2026-01-01 01:00:01 UTC: the model is wrong; release it with batch-runner release churn"; status.Summary != want {
		t.Errorf("the summary is %q, want %q", status.Summary, want)
	}
	r.finish(uid)
	r.set(instant("2026-01-01T02:00:00Z"))
	r.wakeUp()
	r.set(instant("2026-01-01T03:00:01Z"))
	status, err = r.Release(t.Context(), "churn", "cli:ben") // 03:00 was due while held
	if err != nil || status.Held != nil || !status.Healthy || status.Skipped[api.DecidedHeld] != 2 {
		t.Fatalf("Release gave %+v, %v", status, err)
	}
	r.set(instant("2026-01-01T04:00:00Z"))
	r.wakeUp()

	if got, want := r.history(uid), []string{"run due 01T01:00", "skipped held 01T02:00-01T03:00 x2", "run due 01T04:00"}; !slices.Equal(got, want) {
		t.Errorf("decided %q, want %q", got, want)
	}
}

func TestANewHoldTakesThePlaceOfTheOld(t *testing.T) {
	r := newRoom(t, "2026-01-01T00:00:00Z")
	r.put(validJob("churn", every("1h")))
	hold := func(reason, actor string) error {
		_, err := r.Hold(t.Context(), "churn", api.HoldJob{Reason: reason}, actor)
		return err
	}
	refused(t, hold("", "cli:ann"), api.CodeInvalid, "reason")
	if err := hold("wrong model", "cli:ann"); err != nil {
		t.Fatal(err)
	}
	r.add(time.Minute)
	if err := hold("lunch", "cli:ben"); err != nil {
		t.Fatal(err)
	}
	if held := r.job("churn").Held; held.By != "cli:ben" || held.Reason != "lunch" || !held.Since.Equal(r.clock.now()) {
		t.Errorf("the hold is %+v", held)
	}
	if _, err := r.Release(t.Context(), "churn", "cli:ben"); err != nil {
		t.Error(err)
	}
	_, err := r.Release(t.Context(), "churn", "cli:ben")
	refused(t, err, api.CodeConflict, "is not held")
	_, err = r.Release(t.Context(), "none", "cli:ben")
	refused(t, err, api.CodeNotFound, "none")
}

func TestAnApplyDoesNotReleaseAJob(t *testing.T) {
	r := newRoom(t, "2026-01-01T00:00:00Z")
	spec := validJob("churn", every("1h"))
	r.put(spec)
	if _, err := r.Hold(t.Context(), "churn", api.HoldJob{Reason: "test"}, "cli:ann"); err != nil {
		t.Fatal(err)
	}
	spec.Schedule = every("2h")
	r.put(spec)
	if err := r.Delete(t.Context(), "churn", "", 0, false, "test"); err != nil {
		t.Fatal(err)
	}

	if stored := r.put(spec); stored.Held == nil || !stored.Resumed {
		t.Errorf("the job is %+v", stored)
	}
}

func TestAJobIsHeldAfterFailuresInARow(t *testing.T) {
	r := newRoom(t, "2026-01-01T00:00:00Z")
	spec := validJob("churn", every("1h"))
	three := int64(3)
	spec.HoldAfterFailures = &three
	uid := r.put(spec).UID
	end := func(state api.RunState, reason api.Reason) string {
		r.add(time.Hour)
		r.wakeUp()
		runs := r.active(uid)
		if len(runs) != 1 {
			t.Fatalf("there are %d active runs", len(runs))
		}
		return r.moveFor(runs[0], state, reason).ID
	}
	expect := func(held bool, after string) {
		t.Helper()
		if got := r.job("churn").Held; (got != nil) != held {
			t.Fatalf("after %s the hold is %+v", after, got)
		}
	}
	end(api.RunFailed, api.ReasonInputMissing)
	end(api.RunStopped, "")
	end(api.RunIncomplete, "")
	expect(false, "an incomplete run, which is no failure")
	end(api.RunFailed, "")
	end(api.RunFailed, "")
	end(api.RunCancelled, "")
	expect(false, "two failures and a cancelled run")
	last := end(api.RunFailed, api.Reason(api.ClassConfig))
	expect(true, "the third failure, the cancelled run aside")
	if held := r.job("churn").Held; held.By != "hold_after_failures" || held.Reason != "3 runs in a row failed, the last one "+last+": config" {
		t.Errorf("the hold is %+v", held)
	}

	r.add(time.Hour)
	r.wakeUp()
	if active := r.active(uid); len(active) != 0 {
		t.Errorf("a held job runs %+v", active)
	}
	if _, err := r.Release(t.Context(), "churn", "cli:ann"); err != nil {
		t.Fatal(err)
	}
	end(api.RunFailed, "")
	end(api.RunFailed, "")
	expect(false, "two failures since the release")
	end(api.RunFailed, "")
	expect(true, "three failures since the release")
}

func TestWhatWasDueBeforeAHoldForFailuresIsDecidedFirst(t *testing.T) {
	r := newRoom(t, "2026-01-01T00:00:00Z")
	spec := validJob("churn", every("1h"))
	one := int64(1)
	spec.HoldAfterFailures = &one
	uid := r.put(spec).UID
	r.add(time.Hour)
	r.wakeUp()
	r.add(3 * time.Hour) // the trigger has not looked since
	r.moveFor(r.active(uid)[0], api.RunFailed, "")
	r.add(time.Hour)
	r.wakeUp()

	want := []string{"run due 01T01:00", "missed outage 01T02:00", "run catch_up 01T03:00", "skipped overlap 01T04:00", "skipped held 01T05:00"}
	if got := r.history(uid); !slices.Equal(got, want) {
		t.Errorf("decided %q, want %q", got, want)
	}
}
