package trigger

import (
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/schedule"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// ran is an occurrence that has a main run already: it was decided before
// somebody set the cursor back, and comes due again.
type ran struct {
	at  time.Time
	run string
}

// link gives each occurrence that has run already to the run that it has, so
// that none runs twice. Rows that span such occurrences are cut at them. Both
// are in order, and linking again changes nothing.
func (out *outcome) link(rule *schedule.Schedule, have []ran) {
	if len(have) == 0 {
		return
	}
	decisions := out.decisions
	out.decisions = nil
	for _, d := range decisions {
		rest := schedule.Span{First: d.First, Last: d.Last, Count: int(d.Count)}
		for ; len(have) > 0 && !have[0].at.After(d.Last); have = have[1:] {
			r := have[0]
			if r.at.Before(rest.First) || !isOccurrence(rule, r.at) {
				continue
			}
			before := rule.Span(rest.First.Add(-1), r.at.Add(-1))
			out.part(d, before)
			out.add(api.VerdictRun, api.DecidedDue, only(r.at))
			out.decisions[len(out.decisions)-1].Run = r.run
			if d.Origin == api.OriginSchedule {
				out.replace, out.cancel = false, false // nothing new takes anybody's place
			}
			// Counted down, since to enumerate it at each cut would take the
			// square of a long row.
			rest.First, _ = rule.Next(r.at)
			rest.Count -= before.Count + 1
		}
		out.part(d, rest)
	}
}

// part appends the part of a row that covers span.
func (out *outcome) part(d store.Verdict, span schedule.Span) {
	if span.Count == 0 {
		return
	}
	d.First, d.Last, d.Count = span.First, span.Last, int64(span.Count)
	out.decisions = append(out.decisions, d)
}

// isOccurrence tells whether an instant is an occurrence of a rule.
func isOccurrence(rule *schedule.Schedule, at time.Time) bool {
	next, ok := rule.Next(at.Add(-1))
	return ok && next.Equal(at)
}
