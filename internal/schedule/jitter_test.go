package schedule_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

func TestJitterStaysBelowTheShortestTimeBetweenOccurrences(t *testing.T) {
	tests := []struct {
		declared api.Schedule
		shortest string
	}{
		{api.Schedule{Every: "15m"}, "15m"},
		{api.Schedule{Cron: "* * * * * *"}, "1s"},
		{api.Schedule{Cron: "5,20,59 * * * * *"}, "6s"},
		{api.Schedule{Cron: "0,15,50 * * * *"}, "10m"},
		{api.Schedule{Cron: "15,45 8,9 * * *"}, "30m"},
		{api.Schedule{Cron: "0,59 8,9 * * *"}, "1m"},
		{api.Schedule{Cron: "0 1,22 * * *"}, "3h"},
		{api.Schedule{Cron: "0 6 * * MON,THU"}, "72h"},
		{api.Schedule{Cron: "0 0 1 * *"}, "672h"},
		{api.Schedule{Cron: "0 0 15 1,7 *"}, "4344h"},
		{api.Schedule{Cron: "0 0 29 2 *"}, "35064h"},
		{api.Schedule{Cron: "0 2 * * *"}, "24h"},
		{api.Schedule{Cron: "0 12 * * *", TimeZone: "Europe/Berlin"}, "23h"},
		{api.Schedule{Cron: "30 2 * * *", TimeZone: "Europe/Berlin"}, "23h30m"},
		{api.Schedule{Cron: "30 2 * * *", TimeZone: "Europe/Berlin", DST: &api.DST{Repeated: "both", Missing: "skip"}}, "1h"},
		{api.Schedule{Cron: "0 * * * *", TimeZone: "Europe/Berlin"}, "1h"},
		{api.Schedule{Cron: "0 * * * *", TimeZone: "Australia/Lord_Howe"}, "1h"},
		{api.Schedule{Cron: "45 * * * *", TimeZone: "Australia/Lord_Howe"}, "30m"},
		{api.Schedule{Cron: "15 2,3 * * *", TimeZone: "Europe/Berlin"}, "15m"}, // 02:15 falls on 03:00
		{api.Schedule{At: []string{"2026-01-01T00:00", "2026-01-03T00:00", "2026-01-02T23:00:00Z"}}, "1h"},
	}
	for _, tt := range tests {
		shortest, err := time.ParseDuration(tt.shortest)
		if err != nil {
			t.Fatal(err)
		}
		tt.declared.Jitter = api.Duration(tt.shortest)
		assertRefused(t, tt.declared, "is not shorter than "+tt.shortest+", the shortest time between two occurrences")
		if below := shortest - time.Second; below > 0 {
			tt.declared.Jitter = api.Duration(below.String())
			if got := mustParse(t, tt.declared).Jitter(); got != below {
				t.Errorf("%+v: Jitter() = %s, want %s", tt.declared, got, below)
			}
		}
	}
	// A single occurrence has no next one to come too close to.
	mustParse(t, api.Schedule{At: []string{"2026-01-01T00:00"}, Jitter: "30d"})
}

func TestOffsetIsAStablePartOfTheJitter(t *testing.T) {
	s := mustParse(t, api.Schedule{Cron: "0 2 * * *", Jitter: "10m"})
	seen := map[time.Duration]bool{}
	for i := range 1000 {
		key := fmt.Sprintf("job-%d", i)
		offset := s.Offset(key)
		if offset < 0 || offset >= 10*time.Minute || offset%time.Second != 0 {
			t.Fatalf("Offset(%q) = %s, want whole seconds below 10m", key, offset)
		}
		seen[offset] = true
	}
	if len(seen) < 400 {
		t.Errorf("1,000 jobs have %d different offsets in 600 s", len(seen))
	}
	// Written down: an offset that changed would move every job's due times.
	if got := s.Offset("4f9c2b1e"); got != 9*time.Minute+37*time.Second {
		t.Errorf("Offset = %s", got)
	}
	if got := mustParse(t, api.Schedule{Cron: "0 2 * * *"}).Offset("4f9c2b1e"); got != 0 {
		t.Errorf("Offset without jitter = %s", got)
	}
}
