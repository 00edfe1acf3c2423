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
		active      bool
		paused      bool
		want        string // decisions, then the next due time
		keepsCursor bool
	}{
		{name: "nothing is due before its time", rule: hourly,
			cursor: "2026-01-01T00:00:00Z", now: "2026-01-01T00:59:59Z", want: "next 01T01:00:00", keepsCursor: true},
		{name: "an occurrence is due at its very instant", rule: hourly,
			cursor: "2026-01-01T00:30:00Z", now: "2026-01-01T01:00:00Z", want: "run due 01T01:00:00 schedule | next 01T02:00:00"},
		{name: "the cursor's own instant is decided already", rule: hourly,
			cursor: "2026-01-01T01:00:00Z", now: "2026-01-01T01:00:00Z", want: "next 01T02:00:00", keepsCursor: true},
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
		{name: "a catch-up run is queued behind an active one, never skipped", rule: hourly, active: true,
			cursor: "2026-01-01T00:00:00Z", now: "2026-01-01T02:30:00Z",
			want: "missed outage 01T01:00:00 | run catch_up 01T02:00:00 catch_up | next 01T03:00:00"},
		{name: "a due occurrence is skipped while a run is active", rule: hourly, active: true,
			cursor: "2026-01-01T00:00:00Z", now: "2026-01-01T01:00:00Z", want: "skipped overlap 01T01:00:00 | next 01T02:00:00"},
		{name: "an occurrence in its grace overlaps the catch-up that the same wake queues", rule: hourly,
			cursor: "2026-01-01T00:00:00Z", now: "2026-01-01T04:01:00Z",
			want: "missed outage 01T01:00:00-01T02:00:00 x2 | run catch_up 01T03:00:00 catch_up | skipped overlap 01T04:00:00 | next 01T05:00:00"},
		{name: "a single missed one before one in its grace leaves no outage row", rule: hourly,
			cursor: "2026-01-01T00:00:00Z", now: "2026-01-01T02:01:00Z",
			want: "run catch_up 01T01:00:00 catch_up | skipped overlap 01T02:00:00 | next 01T03:00:00"},
		{name: "a paused job skips all that is due, however late", rule: hourly, paused: true,
			cursor: "2026-01-01T00:00:00Z", now: "2026-01-01T04:01:00Z", want: "skipped paused 01T01:00:00-01T04:00:00 x4 | next 01T05:00:00"},
		{name: "the calendar is the zone's", rule: daily,
			cursor: "2026-03-28T12:00:00Z", now: "2026-03-29T01:00:00Z", want: "run due 29T01:00:00 schedule | next 30T00:00:00"},
		{name: "a clock that went back decides nothing", rule: hourly,
			cursor: "2026-01-01T05:10:00Z", now: "2026-01-01T03:00:00Z", want: "next 01T06:00:00", keepsCursor: true},
		{name: "no schedule, nothing due", rule: nil,
			cursor: "2026-01-01T00:00:00Z", now: "2027-01-01T00:00:00Z", want: "next never", keepsCursor: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			rule, err := ruleOf(test.rule)
			if err != nil {
				t.Fatal(err)
			}
			cursor, now := instant(test.cursor), instant(test.now)

			out := decide(situation{rule: rule, cursor: cursor, now: now, active: test.active, paused: test.paused})

			if got := show(out); got != test.want {
				t.Errorf("decided\n%s, want\n%s", got, test.want)
			}
			want := now
			if test.keepsCursor {
				want = cursor
			}
			if !out.cursor.Equal(want) {
				t.Errorf("cursor is %s, want %s", out.cursor, want)
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
		if d.origin != "" {
			text += " " + string(d.origin)
		}
		parts = append(parts, text)
	}
	next := "next never"
	if !out.nextDue.IsZero() {
		next = "next " + short(out.nextDue)
	}
	return strings.Join(append(parts, next), " | ")
}

func TestALongOutageOfAFrequentJobIsDecidedAtOnce(t *testing.T) {
	rule, err := schedule.Parse(schedule.Spec{Cron: "*/5 * * * *", TimeZone: "America/New_York"})
	if err != nil {
		t.Fatal(err)
	}
	now := instant("2026-06-01T00:04:00Z")
	began := time.Now()

	out := decide(situation{rule: rule, cursor: now.AddDate(0, 0, -100), now: now})

	if took := time.Since(began); took > time.Second {
		t.Errorf("took %s", took)
	}
	counts := []int64{}
	for _, d := range out.decisions {
		counts = append(counts, d.Count)
	}
	if !slices.Equal(counts, []int64{28_799, 1}) {
		t.Errorf("decided %s", show(out))
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
