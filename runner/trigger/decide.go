package trigger

import (
	"slices"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/schedule"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// maxGrace bounds how late an occurrence may be decided and still be an
// ordinary run.
const maxGrace = 5 * time.Minute

// situation is all that a decision depends on.
type situation struct {
	rule *schedule.Schedule // nil: manual runs only
	// offset is the job's part of the jitter: it is due so much after its
	// nominal occurrences.
	offset time.Duration
	// cursor is the nominal instant up to which everything is decided.
	cursor time.Time
	now    time.Time
	// early decides by now also what the jitter still holds back, because the
	// rule ends with this decision.
	early bool

	paused, held bool
	catchUp      api.CatchUp
	overlap      string
	maxQueued    int
	active       int // main runs of the job that have not ended
	waiting      int // of them, scheduled ones that wait in the queue and never started
	// ran are the occurrences after the cursor that have run already.
	ran []ran
}

// outcome is what is decided about one job.
type outcome struct {
	decisions []store.Verdict // oldest first; together they cover all that was due
	cursor    time.Time
	nextDue   time.Time // zero: nothing is due by itself
	// replace says that the newest run takes the place of the scheduled ones
	// that wait; cancel, that it also ends those under way.
	replace, cancel bool
}

// decide judges every occurrence that is due, each exactly once.
//
// Occurrences are judged in the order they were due, as if there had been a
// wake for each. So where a wake finds missed occurrences and one that is
// still in its grace, the missed ones are queued as catch-ups first, and the
// one in grace overlaps them: a catch-up run, even a queued one, is an active
// run like any other. The runner that comes back a minute before a due time and
// the one that comes back a minute after it do the same.
//
// Nothing is enumerated one by one but the span itself, so that an outage costs
// a few rows, however long it was.
func decide(s situation) outcome {
	out := outcome{cursor: s.cursor}
	if s.rule == nil {
		return out
	}
	until := s.now
	if !s.early {
		until = until.Add(-s.offset)
	}
	if due := s.rule.Span(s.cursor, until); due.Count > 0 {
		out.cursor = until
		s.judge(due, &out)
		out.link(s.rule, s.ran)
	}
	out.nextDue = dueAfter(s.rule, out.cursor, s.offset)
	return out
}

func (s situation) judge(due schedule.Span, out *outcome) {
	switch {
	case s.paused:
		out.add(api.VerdictSkipped, api.DecidedPaused, due)
		return
	case s.held:
		out.add(api.VerdictSkipped, api.DecidedHeld, due)
		return
	}
	missed, inGrace := s.split(due)
	if missed.Count > 0 {
		s.judgeMissed(missed, out)
		out.link(s.rule, s.ran) // what has run already is not queued, and so keeps nobody waiting
		s.active += out.queued()
	}
	if inGrace {
		s.judgeDue(due.Last, out)
	}
}

// split parts what is due into the missed occurrences and, possibly, the last
// one in its grace. Two can't be: a grace ends before the next due time.
func (s situation) split(due schedule.Span) (missed schedule.Span, inGrace bool) {
	if s.now.Sub(due.Last.Add(s.offset)) > grace(s.rule, due.Last) {
		return due, false
	}
	return s.without(due), true
}

// judgeMissed says which missed occurrences are caught up with.
func (s situation) judgeMissed(missed schedule.Span, out *outcome) {
	switch s.catchUp.Mode {
	case api.CatchUpNone:
		out.add(api.VerdictMissed, api.DecidedOutage, missed)
		return
	case api.CatchUpAll:
		s.catchUpAll(missed, out)
		return
	}
	out.add(api.VerdictMissed, api.DecidedOutage, s.without(missed))
	if s.tooOld(missed.Last) {
		out.add(api.VerdictMissed, api.DecidedTooOld, only(missed.Last))
		return
	}
	out.run(missed.Last, api.DecidedCatchUp, api.OriginCatchUp)
}

// catchUpAll queues the newest missed occurrences within window, oldest first.
func (s situation) catchUpAll(missed schedule.Span, out *outcome) {
	var runs []time.Time
	for at := missed.Last; len(runs) < maxRuns(s.catchUp) && len(runs) < missed.Count && !s.tooOld(at); {
		runs = append(runs, at)
		at, _ = s.rule.Previous(at)
	}
	if left := missed.Count - len(runs); left > 0 {
		var old schedule.Span
		if s.tooOld(missed.First) {
			last := missed.Last
			if within := s.now.Add(-s.catchUp.Window.Value() - 1); within.Before(last) {
				last = within
			}
			old = s.rule.Span(s.cursor, last)
		}
		out.add(api.VerdictMissed, api.DecidedTooOld, old)
		if left > old.Count {
			first, _ := s.rule.Next(later(s.cursor, old.Last))
			last := missed.Last
			if len(runs) > 0 {
				last, _ = s.rule.Previous(runs[len(runs)-1])
			}
			out.add(api.VerdictMissed, api.DecidedMaxRuns, schedule.Span{First: first, Last: last, Count: left - old.Count})
		}
	}
	for _, at := range slices.Backward(runs) {
		out.run(at, api.DecidedCatchUp, api.OriginCatchUp)
	}
}

func maxRuns(c api.CatchUp) int {
	if c.MaxRuns == nil {
		return api.DefaultMaxRuns
	}
	return int(*c.MaxRuns)
}

// tooOld tells whether window forbids to catch up with an occurrence.
func (s situation) tooOld(at time.Time) bool {
	return s.catchUp.Window != "" && s.now.Sub(at) > s.catchUp.Window.Value()
}

// judgeDue decides an occurrence in its grace: what overlap says where a main
// run of the job is active.
func (s situation) judgeDue(at time.Time, out *outcome) {
	switch {
	case s.overlap == api.OverlapAllow:
		out.run(at, api.DecidedDue, api.OriginSchedule)
		out.decisions[len(out.decisions)-1].Shared = true
		return
	case s.active == 0:
	case s.overlap == api.OverlapQueueOne:
		out.replace = true
	case s.overlap == api.OverlapCancelRunning:
		out.replace, out.cancel = true, true
	case s.overlap == api.OverlapQueueAll && s.waiting < s.maxQueued:
	case s.overlap == api.OverlapQueueAll:
		out.add(api.VerdictSkipped, api.DecidedQueueFull, only(at))
		return
	default:
		out.add(api.VerdictSkipped, api.DecidedOverlap, only(at))
		return
	}
	out.run(at, api.DecidedDue, api.OriginSchedule)
}

// without takes the last occurrence off a span.
func (s situation) without(span schedule.Span) schedule.Span {
	if span.Count <= 1 {
		return schedule.Span{}
	}
	last, _ := s.rule.Previous(span.Last)
	return schedule.Span{First: span.First, Last: last, Count: span.Count - 1}
}

// grace is how late after its due time an occurrence may be decided as an
// ordinary run: half the time to the next, at most maxGrace.
func grace(rule *schedule.Schedule, occurrence time.Time) time.Duration {
	next, ok := rule.Next(occurrence)
	if !ok {
		return maxGrace
	}
	return min(maxGrace, next.Sub(occurrence)/2)
}

// dueAfter is when the first occurrence after cursor is due; zero: there is
// none.
func dueAfter(rule *schedule.Schedule, cursor time.Time, offset time.Duration) time.Time {
	if rule == nil {
		return time.Time{}
	}
	next, ok := rule.Next(cursor)
	if !ok {
		return time.Time{}
	}
	return next.Add(offset)
}

// add appends one row for a span; an empty one is nothing to tell.
func (out *outcome) add(verdict api.Verdict, reason string, span schedule.Span) {
	if span.Count > 0 {
		out.decisions = append(out.decisions, store.Verdict{Decision: api.Decision{
			Verdict: verdict, Reason: reason, First: span.First, Last: span.Last, Count: int64(span.Count),
		}})
	}
}

// run appends a run of one occurrence.
func (out *outcome) run(at time.Time, reason string, origin api.Origin) {
	out.add(api.VerdictRun, reason, only(at))
	out.decisions[len(out.decisions)-1].Origin = origin
}

// queued is how many runs are asked for.
func (out *outcome) queued() (n int) {
	for _, d := range out.decisions {
		if d.Origin != "" {
			n++
		}
	}
	return n
}

func only(at time.Time) schedule.Span { return schedule.Span{First: at, Last: at, Count: 1} }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
