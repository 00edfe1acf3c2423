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
// that none runs twice. Rows that span such occurrences are cut at them.
func (out *outcome) link(rule *schedule.Schedule, have []ran) {
	if len(have) == 0 {
		return
	}
	decisions := out.decisions
	out.decisions = nil
	for _, d := range decisions {
		rest := schedule.Span{First: d.First, Last: d.Last, Count: int(d.Count)}
		for _, r := range have {
			if r.at.Before(rest.First) || r.at.After(rest.Last) || rest.Count == 0 || !isOccurrence(rule, r.at) {
				continue
			}
			out.part(d, rule.Span(rest.First.Add(-1), r.at.Add(-1)))
			out.add(api.VerdictRun, api.DecidedDue, only(r.at))
			out.decisions[len(out.decisions)-1].Run = r.run
			if d.Origin == api.OriginSchedule {
				out.replace, out.cancel = false, false // nothing new takes anybody's place
			}
			rest = rule.Span(r.at, rest.Last)
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
