package trigger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/schedule"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

var someRules = []*api.Schedule{
	nil,
	every("1s"), every("7m"), every("1h"), every("36h"),
	cron("*/5 * * * *", "UTC"), cron("30 * * * *", "America/New_York"), cron("30 2 * * *", "America/New_York"),
	cron("0 9 * * MON-FRI", "Europe/Berlin"), cron("0 0 1 * *", "Asia/Kolkata"),
	{Every: "1h", Jitter: "50m"}, {Every: "7m", Jitter: "6m"},
}

// era is a stretch of time under one rule, as the law of the cursor cuts them.
type era struct {
	rule   *schedule.Schedule
	offset time.Duration
	cursor time.Time // where it began
	until  time.Time // up to which occurrences were due in it
}

// wake decides what is due by now; what jitter holds back is not.
func (e *era) wake(now time.Time) { e.until = later(e.until, now.Add(-e.offset)) }

// end decides the rest.
func (e *era) end(now time.Time) { e.until = later(e.until, now) }

func (e *era) count() int64 {
	if e.rule == nil {
		return 0
	}
	return int64(e.rule.Span(e.cursor, e.until).Count)
}

// ledger is the reference that a job's decisions are compared with: its eras,
// enumerated afresh.
type ledger struct {
	r    *room
	uid  string
	spec api.Job
	eras []era
	// cut are the runs whose decisions somebody had forgotten.
	cut map[string]bool
}

func newLedger(r *room, spec api.Job) *ledger {
	l := &ledger{r: r, uid: r.put(spec).UID, spec: spec, cut: map[string]bool{}}
	l.begin()
	return l
}

// begin begins an era at the job's cursor.
func (l *ledger) begin() {
	rule, err := ruleOf(l.spec.Schedule)
	if err != nil {
		l.r.t.Fatal(err)
	}
	cursor := l.r.job(l.spec.Name).Cursor
	l.eras = append(l.eras, era{rule: rule, offset: offset(rule, l.uid), cursor: cursor, until: cursor})
}

func (l *ledger) current() *era { return &l.eras[len(l.eras)-1] }

func (l *ledger) wake() {
	l.r.wakeUp()
	l.current().wake(l.r.clock.now())
}

// edit changes the rule.
func (l *ledger) edit(rule *api.Schedule) {
	changes := !sameRule(l.spec.Schedule, rule)
	l.spec.Schedule = rule
	l.r.put(l.spec)
	if changes {
		l.current().end(l.r.clock.now())
		l.begin()
	}
}

// word changes what decides beside the rule, which decides what was due.
func (l *ledger) word(change func(*api.Job)) {
	old := l.spec
	change(&l.spec)
	l.r.put(l.spec)
	if !sameWords(old, l.spec) {
		l.current().wake(l.r.clock.now())
	}
}

// hold holds the job, or releases it; both decide what was due.
func (l *ledger) hold() {
	var err error
	if l.r.job(l.spec.Name).Held == nil {
		_, err = l.r.Hold(context.Background(), l.spec.Name, api.HoldJob{Reason: "test"}, "test")
	} else {
		_, err = l.r.Release(context.Background(), l.spec.Name, "test")
	}
	if err != nil {
		l.r.t.Fatal(err)
	}
	l.current().wake(l.r.clock.now())
}

// move sets the cursor to an instant within the current era.
func (l *ledger) move(to time.Time) {
	if to.Before(l.current().cursor) {
		return
	}
	for _, run := range l.r.runs(l.uid) {
		if run.Occurrence.After(to) {
			l.cut[run.ID] = true
		}
	}
	if _, err := l.r.SetCursor(context.Background(), l.spec.Name, api.SetCursor{To: to.Format(time.RFC3339)}, "test"); err != nil {
		l.r.t.Fatal(err)
	}
	l.current().until = to
}

// begin a run, or end what is there.
func (l *ledger) start() {
	for _, run := range l.r.active(l.uid) {
		if run.State == api.RunQueued {
			l.r.move(run, api.RunRunning)
			return
		}
	}
}

func (l *ledger) finish(as api.RunState) {
	for _, run := range l.r.active(l.uid) {
		l.r.move(run, as)
	}
}

// audit compares: the rows are in order and each occurrence is in one of them,
// as many as were due; each verdict to run has its run, each run its verdict,
// and no occurrence ran twice.
func (l *ledger) audit(fail func(string, ...any)) {
	var want, got int64
	for i := range l.eras {
		want += l.eras[i].count()
	}
	runs, ran := map[string]store.Run{}, map[time.Time]string{}
	for _, run := range l.r.runs(l.uid) {
		runs[run.ID] = run
		if run.State == api.RunSkipped {
			continue
		}
		if other := ran[run.Occurrence]; other != "" {
			fail("occurrence %s has run twice: %s and %s", run.Occurrence, other, run.ID)
		}
		ran[run.Occurrence] = run.ID
	}
	var last time.Time
	for _, d := range l.r.decisions(l.uid) {
		got += d.Count
		if !d.First.After(last) || d.Last.Before(d.First) {
			fail("decision %+v reaches back to or before %s", d, last)
		}
		last = d.Last
		run, hasRun := runs[d.Run]
		if hasRun != (d.Verdict == api.VerdictRun) || hasRun && (!run.Occurrence.Equal(d.First) || d.Count != 1) {
			fail("decision %+v has run %+v", d, run.Run)
		}
		delete(runs, d.Run)
	}
	if got != want {
		fail("%d occurrences were due, %d decided", want, got)
	}
	for id, run := range runs {
		if !l.cut[id] {
			fail("run without a decision: %+v", run.Run)
		}
	}
	status := l.r.status(l.spec.Name)
	tallied := map[string]int64{}
	for _, d := range l.r.decisions(l.uid) {
		if d.Verdict != api.VerdictRun {
			tallied[d.Reason] += d.Count
		}
	}
	shown := maps.Clone(status.Missed)
	maps.Copy(shown, status.Skipped)
	if !maps.Equal(shown, tallied) {
		fail("the status counts %v, the rows %v", shown, tallied)
	}
}

// TestEveryOccurrenceIsDecidedExactlyOnce drives a job through wakes, outages,
// edits, pauses, holds, clock steps, cursors set by hand and runs that end at
// any time.
func TestEveryOccurrenceIsDecidedExactlyOnce(t *testing.T) {
	r := newRoom(t, "2026-01-01T00:00:00Z")
	number := 0
	rapid.Check(t, func(p *rapid.T) {
		number++
		r.set(instant("2026-03-01T00:00:00Z").Add(time.Duration(rapid.IntRange(0, 30*24*3600).Draw(p, "start")) * time.Second))
		spec := validJob(fmt.Sprintf("job-%d", number), rapid.SampledFrom(someRules[1:]).Draw(p, "rule"))
		spec.Output.Files.URI = "/out/{scheduled_at}/{run}"
		limit := int64(2)
		spec.HoldAfterFailures = &limit
		l := newLedger(r, spec)
		for range rapid.IntRange(1, 15).Draw(p, "steps") {
			step(p, r, l)
		}
		l.wake()

		l.audit(p.Fatalf)
		if err := r.Delete(t.Context(), spec.Name, "", 0, true, "test"); err != nil {
			p.Fatal(err)
		}
	})
}

func step(p *rapid.T, r *room, l *ledger) {
	seconds := func(most int) time.Duration {
		return time.Duration(rapid.IntRange(0, most).Draw(p, "seconds")) * time.Second
	}
	switch rapid.SampledFrom([]string{
		"wait", "wait", "outage", "back", "edit", "pause", "hold", "overlap", "catch up", "relabel", "start", "finish", "fail", "crash", "cursor",
	}).Draw(p, "step") {
	case "wait":
		r.add(seconds(400))
		l.wake()
	case "outage":
		r.add(seconds(40 * 3600))
		l.wake()
	case "back":
		r.add(-seconds(7200))
		l.wake()
	case "edit":
		r.add(seconds(7200))
		rule := rapid.SampledFrom(someRules).Draw(p, "new rule")
		if rule == nil { // goes with no words about due occurrences
			l.word(func(spec *api.Job) { spec.Overlap, spec.CatchUp = "", nil })
		}
		l.edit(rule)
	case "pause":
		yes := l.spec.Paused == nil || !*l.spec.Paused
		l.word(func(spec *api.Job) { spec.Paused = &yes })
	case "hold":
		l.hold()
	case "overlap":
		r.add(seconds(7200))
		if word := rapid.SampledFrom([]string{"", "queue_one", "queue_all", "cancel_running", "allow"}).Draw(p, "word"); l.spec.Schedule != nil {
			l.word(func(spec *api.Job) { spec.Overlap = word })
		}
	case "catch up":
		r.add(seconds(7200))
		mode := rapid.SampledFrom([]string{"latest", "all", "none"}).Draw(p, "mode")
		words := &api.CatchUp{Mode: mode}
		if mode != "none" && rapid.Bool().Draw(p, "bounded") {
			words.Window = "3h"
		}
		if l.spec.Schedule != nil {
			l.word(func(spec *api.Job) { spec.CatchUp = words })
		}
	case "relabel":
		cursor := r.job(l.spec.Name).Cursor
		l.word(func(spec *api.Job) {
			spec.Labels = map[string]string{"n": fmt.Sprint(rapid.Int().Draw(p, "label"))}
		})
		if !r.job(l.spec.Name).Cursor.Equal(cursor) {
			p.Fatal("a new label moved the cursor")
		}
	case "start":
		l.start()
	case "finish":
		l.finish(api.RunSucceeded)
	case "fail":
		l.finish(api.RunFailed)
	case "cursor":
		l.move(r.clock.now().Add(-seconds(7200)).Truncate(time.Second))
	case "crash": // inside the transaction, after everything was decided
		err := r.store.Write(context.Background(), func(tx *store.Tx) error {
			if _, err := r.decideJob(tx, l.uid, true); err != nil {
				return err
			}
			return errors.New("killed")
		})
		if err == nil || err.Error() != "killed" {
			p.Fatal(err)
		}
	}
}

// The same for the pure function, over far more and longer spans: whatever the
// situation, the decisions tile what was due.
func TestDecisionsTileWhatWasDue(t *testing.T) {
	rapid.Check(t, func(p *rapid.T) {
		rule, err := ruleOf(rapid.SampledFrom(someRules[2:]).Draw(p, "rule"))
		if err != nil {
			p.Fatal(err)
		}
		cursor := instant("2026-01-01T00:00:00Z").Add(time.Duration(rapid.Int64Range(0, 1e17).Draw(p, "cursor")))
		now := cursor.Add(time.Duration(rapid.Int64Range(-1e12, 1e16).Draw(p, "elapsed")))
		runs := rapid.Int64Range(1, 40).Draw(p, "max_runs")
		s := situation{
			rule: rule, cursor: cursor, now: now,
			offset: time.Duration(rapid.IntRange(0, 400).Draw(p, "offset")) * time.Second, early: rapid.Bool().Draw(p, "early"),
			active: rapid.IntRange(0, 3).Draw(p, "active"), waiting: rapid.IntRange(0, 3).Draw(p, "waiting"), maxQueued: 2,
			paused: rapid.IntRange(0, 9).Draw(p, "paused") == 0, held: rapid.IntRange(0, 9).Draw(p, "held") == 0,
			overlap: rapid.SampledFrom([]string{"skip", "queue_one", "queue_all", "cancel_running", "allow"}).Draw(p, "overlap"),
			catchUp: api.CatchUp{
				Mode: rapid.SampledFrom([]string{"latest", "all", "none"}).Draw(p, "mode"), MaxRuns: &runs,
				Window: rapid.SampledFrom([]api.Duration{"", "1s", "90m", "20d"}).Draw(p, "window"),
			},
		}
		out := decide(s)
		if rapid.Bool().Draw(p, "ran") {
			var have []ran
			for at := range rule.Between(cursor, now) {
				if len(have) == 5 {
					break
				}
				if rapid.Bool().Draw(p, "this one") {
					have = append(have, ran{at, "r"})
				}
			}
			out.link(rule, have)
		}

		at := cursor
		for _, d := range out.decisions {
			if first, _ := rule.Next(at); !first.Equal(d.First) {
				p.Fatalf("decision %+v does not begin at %s", d, first)
			}
			if span := rule.Span(at, d.Last); int64(span.Count) != d.Count || !span.Last.Equal(d.Last) {
				p.Fatalf("decision %+v covers %d occurrences", d, span.Count)
			}
			if (d.Verdict == api.VerdictRun) != (d.Origin != "" || d.Run != "") {
				p.Fatalf("decision %+v and its run do not agree", d)
			}
			at = d.Last
		}
		until := now
		if !s.early {
			until = now.Add(-s.offset)
		}
		if rule.Span(at, until).Count != 0 {
			p.Fatalf("nothing is decided after %s", at)
		}
		if next, _ := rule.Next(later(at, out.cursor)); !next.Add(s.offset).Equal(out.nextDue) {
			p.Fatalf("next due is %s, want %s", out.nextDue, next)
		}
	})
}
