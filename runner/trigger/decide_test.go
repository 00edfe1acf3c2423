package trigger

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/schedule"
)

func TestDecide(t *testing.T) {
	hourly, daily, frequent := every("1h"), cron("0 2 * * *", "Europe/Berlin"), every("2m")
	tests := []struct {
		name        string
		rule        *api.Schedule
		cursor, now string
		change      func(*situation)
		want        string // decisions, then the next due time
		cursorAt    string // where it ends up; empty: at now
	}{
		{name: "nothing is due before its time", rule: hourly,
			cursor: "2026-01-01T00:00:00Z", now: "2026-01-01T00:59:59Z", want: "next 01T01:00:00", cursorAt: "2026-01-01T00:00:00Z"},
		{name: "an occurrence is due at its very instant", rule: hourly,
			cursor: "2026-01-01T00:30:00Z", now: "2026-01-01T01:00:00Z", want: "run due 01T01:00:00 schedule | next 01T02:00:00"},
		{name: "the cursor's own instant is decided already", rule: hourly,
			cursor: "2026-01-01T01:00:00Z", now: "2026-01-01T01:00:00Z", want: "next 01T02:00:00", cursorAt: "2026-01-01T01:00:00Z"},
		{name: "at the end of its grace of 5 minutes an occurrence is an ordinary run", rule: hourly,
			cursor: "2026-01-01T00:30:00Z", now: "2026-01-01T01:05:00Z", want: "run due 01T01:00:00 schedule | next 01T02:00:00"},
		{name: "past its grace it is missed and caught up", rule: hourly,
			cursor: "2026-01-01T00:30:00Z", now: "2026-01-01T01:05:01Z", want: "run catch_up 01T01:00:00 catch_up | next 01T02:00:00"},
		{name: "a short interval has a grace of half of it", rule: frequent,
			cursor: "2026-01-01T00:00:00Z", now: "2026-01-01T00:03:00Z", want: "run due 01T00:02:00 schedule | next 01T00:04:00"},
		{name: "and not more", rule: frequent,
			cursor: "2026-01-01T00:00:00Z", now: "2026-01-01T00:03:01Z", want: "run catch_up 01T00:02:00 catch_up | next 01T00:04:00"},
		{name: "after an outage only the newest missed one runs", rule: hourly,
			cursor: "2026-01-01T00:00:00Z", now: "2026-01-01T06:30:00Z",
			want: "missed outage 01T01:00:00-01T05:00:00 x5 | run catch_up 01T06:00:00 catch_up | next 01T07:00:00"},
		{name: "a catch-up run is queued behind an active one, never skipped", rule: hourly, change: active(1),
			cursor: "2026-01-01T00:00:00Z", now: "2026-01-01T02:30:00Z",
			want: "missed outage 01T01:00:00 | run catch_up 01T02:00:00 catch_up | next 01T03:00:00"},
		{name: "an occurrence in its grace overlaps the catch-up that the same wake queues", rule: hourly,
			cursor: "2026-01-01T00:00:00Z", now: "2026-01-01T04:01:00Z",
			want: "missed outage 01T01:00:00-01T02:00:00 x2 | run catch_up 01T03:00:00 catch_up | skipped overlap 01T04:00:00 | next 01T05:00:00"},
		{name: "a single missed one before one in its grace leaves no outage row", rule: hourly,
			cursor: "2026-01-01T00:00:00Z", now: "2026-01-01T02:01:00Z",
			want: "run catch_up 01T01:00:00 catch_up | skipped overlap 01T02:00:00 | next 01T03:00:00"},
		{name: "a paused job skips all that is due, however late", rule: hourly, change: func(s *situation) { s.paused = true },
			cursor: "2026-01-01T00:00:00Z", now: "2026-01-01T04:01:00Z", want: "skipped paused 01T01:00:00-01T04:00:00 x4 | next 01T05:00:00"},
		{name: "a held job does so too", rule: hourly, change: func(s *situation) { s.held = true },
			cursor: "2026-01-01T00:00:00Z", now: "2026-01-01T04:01:00Z", want: "skipped held 01T01:00:00-01T04:00:00 x4 | next 01T05:00:00"},
		{name: "and paused is the word of one that is both", rule: hourly, change: func(s *situation) { s.paused, s.held = true, true },
			cursor: "2026-01-01T00:00:00Z", now: "2026-01-01T01:00:00Z", want: "skipped paused 01T01:00:00 | next 01T02:00:00"},
		{name: "the calendar is the zone's", rule: daily,
			cursor: "2026-03-28T12:00:00Z", now: "2026-03-29T01:00:00Z", want: "run due 29T01:00:00 schedule | next 30T00:00:00"},
		{name: "a monthly job whose host was down for 25 hours over the 1st runs when it is back", rule: cron("0 2 1 * *", "UTC"),
			cursor: "2026-01-31T12:00:00Z", now: "2026-02-02T03:00:00Z", want: "run catch_up 01T02:00:00 catch_up | next 01T02:00:00"},
		{name: "a clock that went back decides nothing", rule: hourly,
			cursor: "2026-01-01T05:10:00Z", now: "2026-01-01T03:00:00Z", want: "next 01T06:00:00", cursorAt: "2026-01-01T05:10:00Z"},
		{name: "no schedule, nothing due", rule: nil,
			cursor: "2026-01-01T00:00:00Z", now: "2027-01-01T00:00:00Z", want: "next never", cursorAt: "2026-01-01T00:00:00Z"},

		{name: "jitter holds an occurrence back", rule: hourly, change: jitter(7 * time.Minute),
			cursor: "2026-01-01T00:00:00Z", now: "2026-01-01T01:06:59Z", want: "next 01T01:07:00", cursorAt: "2026-01-01T00:00:00Z"},
		{name: "until its own time, and no further", rule: hourly, change: jitter(7 * time.Minute),
			cursor: "2026-01-01T00:00:00Z", now: "2026-01-01T01:07:00Z", want: "run due 01T01:00:00 schedule | next 01T02:07:00", cursorAt: "2026-01-01T01:00:00Z"},
		{name: "and grace counts from there", rule: hourly, change: jitter(7 * time.Minute),
			cursor: "2026-01-01T00:00:00Z", now: "2026-01-01T01:12:00Z", want: "run due 01T01:00:00 schedule | next 01T02:07:00", cursorAt: "2026-01-01T01:05:00Z"},
		{name: "the end of the rule decides what jitter still holds back", rule: hourly,
			change: func(s *situation) { s.offset, s.early = 7*time.Minute, true },
			cursor: "2026-01-01T00:00:00Z", now: "2026-01-01T01:00:01Z", want: "run due 01T01:00:00 schedule | next 01T02:07:00"},

		{name: "catch_up none runs nothing that was missed", rule: hourly, change: catchUp("none", "", 0),
			cursor: "2026-01-01T00:00:00Z", now: "2026-01-01T04:01:00Z",
			want: "missed outage 01T01:00:00-01T03:00:00 x3 | run due 01T04:00:00 schedule | next 01T05:00:00"},
		{name: "the newest missed one runs if it is within the window", rule: hourly, change: catchUp("latest", "10m", 0),
			cursor: "2026-01-01T00:00:00Z", now: "2026-01-01T03:10:00Z",
			want: "missed outage 01T01:00:00-01T02:00:00 x2 | run catch_up 01T03:00:00 catch_up | next 01T04:00:00"},
		{name: "and is too old if it is not", rule: hourly, change: catchUp("latest", "10m", 0),
			cursor: "2026-01-01T00:00:00Z", now: "2026-01-01T03:10:01Z",
			want: "missed outage 01T01:00:00-01T02:00:00 x2 | missed too_old 01T03:00:00 | next 01T04:00:00"},
		{name: "what is too old is no active run", rule: hourly, change: catchUp("latest", "10m", 0),
			cursor: "2026-01-01T00:00:00Z", now: "2026-01-01T02:00:00Z",
			want: "missed too_old 01T01:00:00 | run due 01T02:00:00 schedule | next 01T03:00:00"},
		{name: "catch_up all runs the newest max_runs, oldest first", rule: hourly, change: catchUp("all", "", 2),
			cursor: "2026-01-01T00:00:00Z", now: "2026-01-01T05:30:00Z",
			want: "missed max_runs 01T01:00:00-01T03:00:00 x3 | run catch_up 01T04:00:00 catch_up | run catch_up 01T05:00:00 catch_up | next 01T06:00:00"},
		{name: "all of them where they are fewer", rule: hourly, change: catchUp("all", "", 9),
			cursor: "2026-01-01T00:00:00Z", now: "2026-01-01T02:30:00Z",
			want: "run catch_up 01T01:00:00 catch_up | run catch_up 01T02:00:00 catch_up | next 01T03:00:00"},
		{name: "window bounds all too", rule: hourly, change: catchUp("all", "150m", 9),
			cursor: "2026-01-01T00:00:00Z", now: "2026-01-01T05:30:00Z",
			want: "missed too_old 01T01:00:00-01T02:00:00 x2 | run catch_up 01T03:00:00 catch_up | run catch_up 01T04:00:00 catch_up | run catch_up 01T05:00:00 catch_up | next 01T06:00:00"},
		{name: "and each of the two bounds has its rows", rule: hourly, change: catchUp("all", "150m", 1),
			cursor: "2026-01-01T00:00:00Z", now: "2026-01-01T05:30:00Z",
			want: "missed too_old 01T01:00:00-01T02:00:00 x2 | missed max_runs 01T03:00:00-01T04:00:00 x2 | run catch_up 01T05:00:00 catch_up | next 01T06:00:00"},
		{name: "all too old", rule: hourly, change: catchUp("all", "10m", 3),
			cursor: "2026-01-01T00:00:00Z", now: "2026-01-01T03:30:00Z", want: "missed too_old 01T01:00:00-01T03:00:00 x3 | next 01T04:00:00"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := situationOf(t, test.rule, test.cursor, test.now)
			if test.change != nil {
				test.change(&s)
			}

			out := decide(s)

			if got := show(out); got != test.want {
				t.Errorf("decided\n%s, want\n%s", got, test.want)
			}
			want := s.now
			if test.cursorAt != "" {
				want = instant(test.cursorAt)
			}
			if !out.cursor.Equal(want) {
				t.Errorf("cursor is %s, want %s", out.cursor, want)
			}
		})
	}
}

// situationOf is that of an idle job under the default words.
func situationOf(t testing.TB, declared *api.Schedule, cursor, now string) situation {
	t.Helper()
	rule, err := ruleOf(declared)
	if err != nil {
		t.Fatal(err)
	}
	return situation{
		rule: rule, cursor: instant(cursor), now: instant(now),
		catchUp: api.CatchUp{Mode: api.DefaultCatchUp}, overlap: api.DefaultOverlap,
	}
}

func active(n int) func(*situation) { return func(s *situation) { s.active = n } }

func jitter(d time.Duration) func(*situation) { return func(s *situation) { s.offset = d } }

func catchUp(mode string, window api.Duration, maxRuns int64) func(*situation) {
	return func(s *situation) {
		s.catchUp = api.CatchUp{Mode: mode, Window: window}
		if maxRuns > 0 {
			s.catchUp.MaxRuns = &maxRuns
		}
	}
}

// Each word of overlap, for an occurrence that is due while the job is idle,
// while a run is under way, and while scheduled runs wait in the queue; and
// for one in its grace behind a catch-up that the same wake queues.
func TestOverlap(t *testing.T) {
	const (
		runs     = "run due 01T02:00:00 schedule"
		skipped  = "skipped overlap 01T02:00:00"
		full     = "skipped queue_full 01T02:00:00"
		shared   = "run due 01T02:00:00 schedule shared"
		caughtUp = "run catch_up 01T01:00:00 catch_up | "
	)
	tests := []struct{ overlap, idle, busy, waiting, behindCatchUp string }{
		{api.OverlapSkip, runs, skipped, skipped, caughtUp + skipped},
		{api.OverlapQueueOne, runs, runs + " replaces", runs + " replaces", caughtUp + runs + " replaces"},
		{api.OverlapQueueAll, runs, runs, full, caughtUp + runs},
		{api.OverlapCancelRunning, runs, runs + " replaces cancels", runs + " replaces cancels", caughtUp + runs + " replaces cancels"},
		{api.OverlapAllow, shared, shared, shared, caughtUp + shared},
	}
	for _, test := range tests {
		for _, cell := range []struct {
			name            string
			cursor          string
			active, waiting int
			want            string
		}{
			{"idle", "2026-01-01T01:30:00Z", 0, 0, test.idle},
			{"busy", "2026-01-01T01:30:00Z", 1, 1, test.busy}, // max_queued is 2
			{"waiting", "2026-01-01T01:30:00Z", 3, 2, test.waiting},
			{"behind a catch-up", "2026-01-01T00:30:00Z", 0, 0, test.behindCatchUp},
		} {
			t.Run(test.overlap+" "+cell.name, func(t *testing.T) {
				s := situationOf(t, every("1h"), cell.cursor, "2026-01-01T02:00:30Z")
				s.overlap, s.maxQueued, s.active, s.waiting = test.overlap, 2, cell.active, cell.waiting

				if got, want := show(decide(s)), cell.want+" | next 01T03:00:00"; got != want {
					t.Errorf("decided\n%s, want\n%s", got, want)
				}
			})
		}
		t.Run(test.overlap+" does not touch catch-ups", func(t *testing.T) {
			s := situationOf(t, every("1h"), "2026-01-01T00:30:00Z", "2026-01-01T01:30:00Z")
			s.overlap, s.maxQueued, s.active, s.waiting = test.overlap, 1, 2, 1

			if got, want := show(decide(s)), "run catch_up 01T01:00:00 catch_up | next 01T02:00:00"; got != want {
				t.Errorf("decided\n%s, want\n%s", got, want)
			}
		})
	}
}

func TestAnOccurrenceThatHasRunKeepsItsRun(t *testing.T) {
	s := situationOf(t, every("1h"), "2026-01-01T00:00:00Z", "2026-01-01T06:01:00Z")
	s.overlap = api.OverlapQueueOne
	tests := []struct {
		name string
		have []string
		want string
	}{
		{"none", nil,
			"missed outage 01T01:00:00-01T04:00:00 x4 | run catch_up 01T05:00:00 catch_up | run due 01T06:00:00 schedule replaces"},
		{"in the middle of a row", []string{"01:00:00", "03:00:00"},
			"run due 01T01:00:00 r0 | missed outage 01T02:00:00 | run due 01T03:00:00 r1 | missed outage 01T04:00:00 | run catch_up 01T05:00:00 catch_up | run due 01T06:00:00 schedule replaces"},
		{"the one to catch up with, which then keeps nobody waiting", []string{"05:00:00"},
			"missed outage 01T01:00:00-01T04:00:00 x4 | run due 01T05:00:00 r0 | run due 01T06:00:00 schedule"},
		{"the one that is due", []string{"06:00:00"},
			"missed outage 01T01:00:00-01T04:00:00 x4 | run catch_up 01T05:00:00 catch_up | run due 01T06:00:00 r0"},
		{"an instant that is no occurrence", []string{"02:30:00", "07:00:00"},
			"missed outage 01T01:00:00-01T04:00:00 x4 | run catch_up 01T05:00:00 catch_up | run due 01T06:00:00 schedule replaces"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := s
			for i, at := range test.have {
				s.ran = append(s.ran, ran{instant("2026-01-01T" + at + "Z"), fmt.Sprintf("r%d", i)})
			}

			out := decide(s)

			if got, want := show(out), test.want+" | next 01T07:00:00"; got != want {
				t.Errorf("decided\n%s, want\n%s", got, want)
			}
		})
	}
}

func show(out outcome) string {
	short := func(t time.Time) string { return t.UTC().Format("02T15:04:05") }
	var parts []string
	for _, d := range out.decisions {
		text := fmt.Sprintf("%s %s %s", d.Verdict, d.Reason, short(d.First))
		if d.Count > 1 {
			text += fmt.Sprintf("-%s x%d", short(d.Last), d.Count)
		}
		if d.Origin != "" {
			text += " " + string(d.Origin)
		}
		if d.Run != "" {
			text += " " + d.Run
		}
		if d.Shared {
			text += " shared"
		}
		parts = append(parts, text)
	}
	if out.replace {
		parts[len(parts)-1] += " replaces"
	}
	if out.cancel {
		parts[len(parts)-1] += " cancels"
	}
	next := "next never"
	if !out.nextDue.IsZero() {
		next = "next " + short(out.nextDue)
	}
	return strings.Join(append(parts, next), " | ")
}

func TestALongOutageOfAFrequentJobIsTwoRows(t *testing.T) {
	rule, err := schedule.Parse(*cron("*/5 * * * *", "America/New_York"))
	if err != nil {
		t.Fatal(err)
	}
	now := instant("2026-06-01T00:04:00Z")
	began := time.Now()

	out := decide(situation{rule: rule, cursor: now.AddDate(0, 0, -100), now: now})

	t.Logf("decided in %s", time.Since(began))
	counts := []int64{}
	for _, d := range out.decisions {
		counts = append(counts, d.Count)
	}
	if !slices.Equal(counts, []int64{28_799, 1}) {
		t.Errorf("decided %s", show(out))
	}
}

// A cursor set back by a month of a frequent job: each of its occurrences has
// run, and keeps its run.
func TestAMonthThatHasRunKeepsItsRuns(t *testing.T) {
	s := situationOf(t, every("1m"), "2026-06-01T00:00:00Z", "2026-07-01T00:00:30Z")
	for at := range s.rule.Between(s.cursor, s.now) {
		s.ran = append(s.ran, ran{at, "r"})
	}
	began := time.Now()

	out := decide(s)

	t.Logf("decided in %s", time.Since(began))
	if len(out.decisions) != len(s.ran) || out.queued() > 0 {
		t.Errorf("decided %d rows and %d runs for %d occurrences that have run", len(out.decisions), out.queued(), len(s.ran))
	}
}

func TestAnotherSpellingIsTheSameRule(t *testing.T) {
	same := [][2]*api.Schedule{
		{every("90m"), every("1h30m")},
		{every("1h"), {Every: "1h", Anchor: api.DefaultAnchor, TimeZone: "UTC"}},
		{{Every: "1h", Anchor: "2026-01-01T01:00:00+01:00"}, {Every: "1h", Anchor: "2026-01-01T00:00:00Z"}},
		{cron("0  2 * * *", ""), cron("0 2 * * *", "UTC")},
		{nil, nil},
	}
	for _, pair := range same {
		if !sameRule(pair[0], pair[1]) {
			t.Errorf("%+v and %+v are told apart", pair[0], pair[1])
		}
	}
	different := [][2]*api.Schedule{
		{every("1h"), every("2h")},
		{every("1h"), nil},
		{cron("0 2 * * *", "UTC"), cron("0 2 * * *", "Europe/Berlin")},
		{every("1h"), {Every: "1h", Anchor: "2026-01-01T00:30:00Z"}},
	}
	for _, pair := range different {
		if sameRule(pair[0], pair[1]) || sameRule(pair[1], pair[0]) {
			t.Errorf("%+v and %+v are taken for one", pair[0], pair[1])
		}
	}
}
