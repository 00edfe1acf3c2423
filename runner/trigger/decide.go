package trigger

import (
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/schedule"
)

// The reasons of a decision.
const (
	reasonDue     = "due"
	reasonCatchUp = "catch_up"
	reasonOverlap = "overlap"
	reasonPaused  = "paused"
	reasonOutage  = "outage"
)

// maxGrace bounds how late an occurrence may be decided and still be an
// ordinary run.
const maxGrace = 5 * time.Minute

// situation is all that a decision depends on.
type situation struct {
	rule *schedule.Schedule // nil: manual runs only
	// cursor is the nominal instant up to which everything is decided.
	cursor time.Time
	now    time.Time
	active bool // a main run of the job is queued or under way
	paused bool
}

// outcome is what a wake decides about one job.
type outcome struct {
	decisions []decision // oldest first; together they cover all that was due
	cursor    time.Time
	nextDue   time.Time // zero: nothing is due by itself
}

// decision is a verdict with the run it asks for.
type decision struct {
	api.Decision
	origin api.Origin // of the run to queue; empty: none
}

// decide judges every occurrence in (cursor, now], each exactly once.
//
// Occurrences are judged in the order they were due, as if there had been a
// wake for each. So where a wake finds missed occurrences and one that is
// still in its grace, the newest missed one is queued as a catch-up first, and
// the one in grace is then skipped for overlap: a catch-up run, even a queued
// one, is an active run like any other. The runner that comes back a minute
// before a due time and the one that comes back a minute after it do the same.
//
// Nothing is enumerated one by one but the span itself, so that an outage costs
// a few rows, however long it was.
func decide(s situation) outcome {
	out := outcome{cursor: s.cursor}
	if s.rule == nil {
		return out
	}
	if due := s.rule.Span(s.cursor, s.now); due.Count > 0 {
		out.cursor = s.now
		out.decisions = s.judge(due)
	}
	out.nextDue = nextDue(s.rule, out.cursor)
	return out
}

func (s situation) judge(due schedule.Span) []decision {
	if s.paused {
		return []decision{{Decision: fold(api.VerdictSkipped, reasonPaused, due)}}
	}
	missed, inGrace := s.split(due)

	var decisions []decision
	if missed.Count > 0 {
		newest := missed.Last
		if older := s.without(missed); older.Count > 0 {
			decisions = append(decisions, decision{Decision: fold(api.VerdictMissed, reasonOutage, older)})
		}
		decisions = append(decisions, decision{single(api.VerdictRun, reasonCatchUp, newest), api.OriginCatchUp})
	}
	switch {
	case !inGrace:
	case s.active || missed.Count > 0:
		decisions = append(decisions, decision{Decision: single(api.VerdictSkipped, reasonOverlap, due.Last)})
	default:
		decisions = append(decisions, decision{single(api.VerdictRun, reasonDue, due.Last), api.OriginSchedule})
	}
	return decisions
}

// split parts what is due into the missed occurrences and, possibly, the last
// one in its grace. Two can't be: a grace ends before the next due time.
func (s situation) split(due schedule.Span) (missed schedule.Span, inGrace bool) {
	if s.now.Sub(due.Last) > grace(s.rule, due.Last) {
		return due, false
	}
	return s.without(due), true
}

// without takes the last occurrence off a span.
func (s situation) without(span schedule.Span) schedule.Span {
	if span.Count <= 1 {
		return schedule.Span{}
	}
	last, _ := s.rule.Previous(span.Last)
	return schedule.Span{First: span.First, Last: last, Count: span.Count - 1}
}

// grace is how late an occurrence may be decided as an ordinary run: half the
// time to the next, at most maxGrace.
func grace(rule *schedule.Schedule, occurrence time.Time) time.Duration {
	next, ok := rule.Next(occurrence)
	if !ok {
		return maxGrace
	}
	return min(maxGrace, next.Sub(occurrence)/2)
}

// nextDue is the first occurrence that is not decided; zero: there is none.
func nextDue(rule *schedule.Schedule, cursor time.Time) time.Time {
	if rule == nil {
		return time.Time{}
	}
	next, _ := rule.Next(cursor)
	return next
}

func fold(verdict api.Verdict, reason string, span schedule.Span) api.Decision {
	return api.Decision{Verdict: verdict, Reason: reason, First: span.First, Last: span.Last, Count: int64(span.Count)}
}

func single(verdict api.Verdict, reason string, at time.Time) api.Decision {
	return fold(verdict, reason, schedule.Span{First: at, Last: at, Count: 1})
}
