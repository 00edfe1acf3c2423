package trigger

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/batchpattern/terraform-provider-batch/internal/schedule"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := schedule.LoadZone(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func TestReadingInstants(t *testing.T) {
	tests := []struct{ text, zone, from, to string }{ // to: empty where it is one instant
		{"2026-11-21T02:00:00Z", "Europe/Berlin", "2026-11-21T02:00:00Z", ""},
		{"2026-11-21T02:00:00+01:00", "UTC", "2026-11-21T01:00:00Z", ""},
		{"2026-11-21T02:00", "Europe/Berlin", "2026-11-21T01:00:00Z", ""},
		{"2026-11-21T02:00:07", "Europe/Berlin", "2026-11-21T01:00:07Z", ""},
		{"2026-11-21", "Europe/Berlin", "2026-11-20T23:00:00Z", "2026-11-21T22:59:59Z"},
		{"2026-03-08", "America/New_York", "2026-03-08T05:00:00Z", "2026-03-09T03:59:59Z"},  // of 23 hours
		{"2018-11-04", "America/Sao_Paulo", "2018-11-04T03:00:00Z", "2018-11-05T01:59:59Z"}, // begins at 01:00
	}
	for _, test := range tests {
		if test.to == "" {
			test.to = test.from
		}
		got, problem := readStretch("/from", test.text, zone(t, test.zone))
		if problem != nil || !got.from.Equal(instant(test.from)) || !got.to.Equal(instant(test.to)) {
			t.Errorf("%s in %s is %v, %v", test.text, test.zone, got, problem)
		}
	}
	for _, test := range []struct{ text, zone, says string }{
		{"2026-03-08T02:30", "America/New_York", "write 2026-03-08T03:00:00-04:00, the first instant after"},
		{"2026-11-01T01:30", "America/New_York", "2026-11-01T01:30:00-04:00 or 2026-11-01T01:30:00-05:00"},
		{"2026-11-21T02:00:00.5Z", "UTC", "fraction"},
		{"9999-01-01", "UTC", "1970–2200"},
		{"yesterday", "Europe/Berlin", "2026-11-21T02:00 or 2026-11-21 in Europe/Berlin"},
		{"", "UTC", "is not an instant"},
	} {
		_, problem := readStretch("/from", test.text, zone(t, test.zone))
		if problem == nil || problem.Pointer != "/from" || !strings.Contains(problem.Message, test.says) {
			t.Errorf("%q in %s: %v, want it to say %q", test.text, test.zone, problem, test.says)
		}
	}
}

// Every instant is found again by what the clock shows at it.
func TestShownIsTheInverseOfTheClock(t *testing.T) {
	zones := []string{"UTC", "America/New_York", "Australia/Lord_Howe", "Antarctica/Troll", "Pacific/Apia", "Africa/Casablanca"}
	rapid.Check(t, func(p *rapid.T) {
		z := zone(t, rapid.SampledFrom(zones).Draw(p, "zone"))
		at := time.Unix(rapid.Int64Range(1_200_000_000, 2_000_000_000).Draw(p, "at"), 0).UTC()
		local := at.In(z)
		wall := time.Date(local.Year(), local.Month(), local.Day(), local.Hour(), local.Minute(), local.Second(), 0, time.UTC)

		found := false
		for _, instant := range shown(wall, z) {
			found = found || instant.Equal(at)
		}
		if !found {
			p.Fatalf("%s is %s, and that is %v", at, local, shown(wall, z))
		}
		if first := shownFirst(wall, z); first.After(at) || at.Sub(first) > 3*time.Hour {
			p.Fatalf("%s is first shown at %s", local, first)
		}
	})
}
