package trigger

import (
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

func TestRerunFindsTheOccurrenceThatIsMeant(t *testing.T) {
	r := newRoom(t, "2026-01-01T00:00:00Z")
	uid := r.put(validJob("nightly", cron("0 2 * * *", "Europe/Berlin"))).UID
	r.put(validJob("hourly", every("1h")))
	r.put(validJob("manual", nil))
	manual := instant("2025-12-24T18:00:00Z")
	if _, _, err := r.Run(t.Context(), "manual", api.Trigger{Occurrence: manual}, "", "test"); err != nil {
		t.Fatal(err)
	}
	r.set(instant("2026-01-03T12:00:00Z"))
	r.wakeUp()
	tests := []struct{ job, text, want string }{
		{"nightly", "2026-01-02", "2026-01-02T01:00:00Z"}, // missed, and never run
		{"nightly", "2026-01-03", "2026-01-03T01:00:00Z"},
		{"nightly", "2026-01-03T02:00", "2026-01-03T01:00:00Z"},
		{"nightly", "2026-01-03T01:00:00Z", "2026-01-03T01:00:00Z"},
		{"nightly", "2025-12-24", "2025-12-24T01:00:00Z"}, // before the job was there
		{"hourly", "2026-01-03T07:00", "2026-01-03T07:00:00Z"},
		{"manual", "2025-12-24", "2025-12-24T18:00:00Z"},
	}
	for _, test := range tests {
		run, created, err := r.Rerun(t.Context(), test.job, api.Rerun{Occurrence: test.text}, "", "cli:ann")
		if err != nil || !created || run.Origin != api.OriginManual || !run.Occurrence.Equal(instant(test.want)) {
			t.Errorf("%s of %s gave %+v, %v, %v", test.text, test.job, run, created, err)
		}
	}
	for _, test := range []struct {
		job, text string
		code      api.Code
		says      string
	}{
		{"hourly", "2026-01-03", api.CodeConflict, "2026-01-03T00:00:00Z, 2026-01-03T01:00:00Z"},
		{"nightly", "2026-01-04", api.CodeInvalid, "future"},
		{"nightly", "2026-01-03T03:00", api.CodeInvalid, "batch-runner run nightly --occurrence"},
		{"nightly", "soon", api.CodeInvalid, "is not an instant"},
		{"manual", "2026-01-01", api.CodeInvalid, "no occurrence"},
		{"none", "2026-01-01", api.CodeNotFound, "none"},
	} {
		_, _, err := r.Rerun(t.Context(), test.job, api.Rerun{Occurrence: test.text}, "", "cli:ann")
		refused(t, err, test.code, test.says)
	}

	first, created, err := r.Rerun(t.Context(), "nightly", api.Rerun{Occurrence: "2026-01-02"}, "k1", "cli:ann")
	again, twice, err2 := r.Rerun(t.Context(), "nightly", api.Rerun{Occurrence: "2026-01-02"}, "k1", "cli:ann")
	if err != nil || err2 != nil || !created || twice || again.ID != first.ID {
		t.Errorf("the same key gave %+v and %+v (%v, %v)", first, again, err, err2)
	}
	_, _, err = r.Rerun(t.Context(), "nightly", api.Rerun{Occurrence: "2026-01-02", IfIdle: true}, "", "cli:ann")
	refused(t, err, api.CodeConflict)
	r.finish(uid)
	if _, _, err := r.Rerun(t.Context(), "nightly", api.Rerun{Occurrence: "2026-01-02", IfIdle: true}, "", "cli:ann"); err != nil {
		t.Error(err)
	}
}

// What is due but not decided is the schedule's to run.
func TestRerunLeavesWhatIsNotDecidedToTheSchedule(t *testing.T) {
	r := newRoom(t, "2026-01-01T00:30:00Z")
	r.put(validJob("hourly", every("1h")))
	r.add(31 * time.Minute)

	_, _, err := r.Rerun(t.Context(), "hourly", api.Rerun{Occurrence: "2026-01-01T01:00"}, "", "test")

	refused(t, err, api.CodeInvalid)
}
