package schedule

import (
	"errors"
	"regexp"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"pgregory.net/rapid"
)

func TestLoadZone(t *testing.T) {
	for _, name := range []string{"UTC", "Europe/Berlin", "Asia/Kolkata", "America/Argentina/Buenos_Aires", "Etc/GMT+5"} {
		location, err := LoadZone(name)
		if err != nil || location.String() != name {
			t.Errorf("LoadZone(%q) = %v, %v", name, location, err)
		}
	}
}

func TestLoadZoneIgnoresTheHost(t *testing.T) {
	t.Setenv("ZONEINFO", t.TempDir())
	t.Setenv("TZ", "Asia/Tokyo")
	if _, err := LoadZone("Pacific/Chatham"); err != nil {
		t.Error(err)
	}
}

func TestLoadZoneErrorsNameTheRemedy(t *testing.T) {
	tests := []struct{ name, want string }{
		{"Europe/Atlantis", `schedule.time_zone "Europe/Atlantis": is not an IANA time zone; write one like Europe/Berlin`},
		{"europe/berlin", `schedule.time_zone "europe/berlin": is not an IANA time zone; did you mean Europe/Berlin?`},
		{"New York", `schedule.time_zone "New York": is not an IANA time zone; did you mean America/New_York?`},
		{"../../etc/passwd", `schedule.time_zone "../../etc/passwd": is not an IANA time zone; write one like Europe/Berlin`},
		{"Local", `schedule.time_zone "Local": the host's zone is never used; name one, like Europe/Berlin`},
		{"", `schedule.time_zone "": the host's zone is never used; name one, like Europe/Berlin`},
	}
	for _, tt := range tests {
		_, err := LoadZone(tt.name)
		if _, ok := errors.AsType[*api.Error](err); !ok || err.Error() != tt.want {
			t.Errorf("LoadZone(%q) = %v, want %s", tt.name, err, tt.want)
		}
	}
}

func TestZoneReleaseNamesAnIANARelease(t *testing.T) {
	if got := ZoneRelease(); !regexp.MustCompile(`^20\d\d[a-z]$`).MatchString(got) {
		t.Errorf("ZoneRelease() = %q", got)
	}
}

// The table of periods must say what time.Location says, at every instant.
func TestPeriodsAgreeWithTheLocation(t *testing.T) {
	zones := allZones(t)
	rapid.Check(t, func(rt *rapid.T) {
		z := rapid.SampledFrom(zones).Draw(rt, "zone")
		u := rapid.Int64Range(minUnix, endUnix-1).Draw(rt, "instant")
		if rapid.Bool().Draw(rt, "near a transition") {
			p := rapid.SampledFrom(z.periods[min(1, len(z.periods)-1):]).Draw(rt, "period")
			u = min(max(p.start, minUnix+2)+rapid.Int64Range(-2, 2).Draw(rt, "distance"), endUnix-1)
		}
		_, want := time.Unix(u, 0).In(z.location).Zone()
		if got := z.periods[z.periodAt(u)].offset; got != int64(want) {
			rt.Fatalf("%s at %d: offset %d, want %d", z.location, u, got, want)
		}
	})
}

// localRule needs this of the data: a wall time that a gap skipped is not shown
// later, so "the first instant at which the clock shows w or later" is the end
// of the gap only for times that are really missing.
func TestNoZoneFallsBackIntoAGap(t *testing.T) {
	for _, z := range allZones(t) {
		for i := 1; i < len(z.periods); i++ {
			start := z.periods[i].start
			before, after := start+z.periods[i-1].offset, start+z.periods[i].offset
			for j := i + 1; j < len(z.periods) && after > before && z.periods[j].start < start+2*maxOffset; j++ {
				if shown := z.periods[j].start + z.periods[j].offset; shown < after {
					t.Errorf("%s: the gap at %s is fallen back into at %s", z.location,
						time.Unix(start, 0).UTC(), time.Unix(z.periods[j].start, 0).UTC())
				}
			}
		}
	}
}

func allZones(t *testing.T) []*zone {
	t.Helper()
	var all []*zone
	for name := range zoneFiles() {
		z, err := loadZone(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, z)
	}
	if len(all) < 400 {
		t.Fatalf("the embedded data has %d zones only", len(all))
	}
	return all
}
