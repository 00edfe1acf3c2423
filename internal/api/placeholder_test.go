package api

import (
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"pgregory.net/rapid"
)

func in(t *testing.T, zone, instant string) time.Time {
	t.Helper()
	location, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	at, err := time.Parse(time.RFC3339, instant)
	if err != nil {
		t.Fatal(err)
	}
	return at.In(location)
}

func TestExpandURI(t *testing.T) {
	const berlin, newYork = "Europe/Berlin", "America/New_York"
	for _, test := range []struct{ zone, instant, uri, want string }{
		{berlin, "2026-11-21T01:05:09Z", "/o/{date}", "/o/2026-11-21"},
		{berlin, "2026-11-21T01:05:09Z", "/o/{year}/{month}/{day}/{hour}", "/o/2026/11/21/02"},
		{berlin, "2026-11-21T01:05:09Z", "/o/{scheduled_at}-{run}", "/o/20261121T010509Z-r7"},
		{berlin, "2026-11-21T23:30:00Z", "/o/{date}", "/o/2026-11-22"}, // the zone's day
		{"UTC", "2026-03-01T00:00:00Z", "{date-1d} {date+1d} {date-365d}", "2026-02-28 2026-03-02 2025-03-01"},
		{"UTC", "2026-03-01T00:00:00Z", "{hour-2h} {date-2h} {hour+25h}", "22 2026-02-28 01"},
		{"UTC", "2026-03-10T00:00:00Z", "{date-08d} {date-0010d}", "2026-03-02 2026-02-28"}, // decimal, zeros in front or not
		{"UTC", "2026-11-21T02:03:04Z", "{date:%Y%m%d} {date:%H:%M:%S %y %j %%}", "20261121 02:03:04 26 325 %"},
		{"UTC", "2026-11-21T02:03:04Z", "{date-1d:%Y/%m/%d}", "2026/11/20"},
		{"UTC", "2026-11-21T02:03:04Z", "{{date}} {{{date}}} }", "{date} {2026-11-21} }"},
		// A day is a calendar day, also where it has 23 or 25 hours.
		{newYork, "2026-03-09T00:30:00-04:00", "{date-1d} {hour-1d}", "2026-03-08 00"},
		{newYork, "2026-03-09T02:30:00-04:00", "{scheduled_at-2d}", "20260307T073000Z"},
		{newYork, "2026-11-01T23:30:00-05:00", "{date-1d} {hour-1d} {scheduled_at-1d}", "2026-10-31 23 20261101T033000Z"},
		// An hour is 60 minutes.
		{newYork, "2026-11-01T06:30:00Z", "{hour} {hour-1h} {hour-2h}", "01 01 00"},
	} {
		got, err := ExpandURI(test.uri, Occasion{Occurrence: in(t, test.zone, test.instant), Run: "r7"})
		if err != nil || got != test.want {
			t.Errorf("%s at %s in %s is %q, %v; want %q", test.uri, test.instant, test.zone, got, err, test.want)
		}
	}
}

func TestWhatIsNoPlaceholderIsRefusedWithARemedy(t *testing.T) {
	for uri, text := range map[string]string{
		"/o/{dat}":        "unknown placeholder {dat}; known are {date}, {year}",
		"/o/{}":           "unknown placeholder {}",
		"/o/{Date}":       "unknown placeholder {Date}",
		"/o/{date-1w}":    "unknown placeholder {date-1w}",
		"/o/{date-1}":     "unknown placeholder",
		"/o/{date:}":      "unknown placeholder",
		"/o/{port}":       "unknown placeholder {port}",
		"/o/{date-9999d}": "",
		"/o/{date":        `is not closed; write {{ for a literal brace`,
		"/o/{{x}} {":      "is not closed",
		"/o/{date:%Q}":    "unknown format %Q; known are %Y",
		"/o/{date:%Y%}":   "ends in a lone %",
		"/o/{run-1d}":     "run takes neither offset nor format",
		"/o/{run:%Y}":     "run takes neither offset nor format",
	} {
		err := CheckURI(uri)
		if text == "" {
			if err != nil {
				t.Errorf("%s: %v", uri, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v; want %q", uri, err, text)
		}
	}
}

func TestExpandCommand(t *testing.T) {
	values := map[string]string{"port": "8081", "model_name": "iris", "model_version": "3"}
	got, err := ExpandCommand(`--listen=:{port} {model_name}/{model_version} {{"a":1}}`, values)
	if want := `--listen=:8081 iris/3 {"a":1}`; err != nil || got != want {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
	for _, word := range []string{"{date}", `{"a":1}`, "{port", "{ports}"} {
		if err := CheckCommand(word); err == nil {
			t.Errorf("%s passes", word)
		}
	}
	if err := CheckCommand("{ports}"); !strings.Contains(err.Error(), "known are {port}, {model_name}, {model_version}") {
		t.Error(err)
	}
}

func TestHasOccurrencePlaceholder(t *testing.T) {
	for uri, want := range map[string]bool{
		"/o": false, "/o/{run}": false, "/o/{{date}}": false, "/o/{date}": true, "/o/{run}/{hour-1h}": true, "/o/{date:%Y}": true,
	} {
		if got := HasOccurrencePlaceholder(uri); got != want {
			t.Errorf("%s: %t", uri, got)
		}
	}
}

func TestRoot(t *testing.T) {
	for uri, want := range map[string]string{
		"/out/dt={date}/":     "/out",
		"/out/x{date}":        "/out",
		"/out":                "/out",
		"/out/":               "/out",
		"file:///a/b/{hour}":  "/a/b",
		"file:///a/b":         "/a/b",
		"/{date}":             "/",
		"/":                   "/",
		"/a/{run}/{date}":     "/a",
		"/a/{{b}}/c":          "/a/{b}/c",
		"/a/{{b}}/{date}/c":   "/a/{b}",
		"/a/{{{date}}}/c":     "/a",
		"/a/{{b}}x{date:%Y}/": "/a",
	} {
		if got := Root(uri); got != want {
			t.Errorf("the root of %s is %s, not %s", uri, got, want)
		}
	}
}

func TestEveryFolderOfAURILiesBelowItsRoot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.SampledFrom([]string{"/", "a", "b=", "{date}", "{hour-1h}", "{run}", "{{", "}}", "{date:%Y}"}), 0, 8).Draw(t, "parts")
		uri := "/" + strings.Join(parts, "")
		folder, err := ExpandURI(uri, Occasion{Occurrence: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Run: "r1"})
		if err != nil {
			return // braces that happen to make no placeholder
		}
		root := Root(uri)
		if !strings.HasPrefix(folder+"/", strings.TrimRight(root, "/")+"/") {
			t.Fatalf("%s expands to %s, outside of its root %s", uri, folder, root)
		}
	})
}
