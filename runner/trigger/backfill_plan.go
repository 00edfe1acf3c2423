package trigger

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/schedule"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

const (
	// maxBackfill bounds the occurrences of one backfill.
	maxBackfill = 100_000
	// maxParallelBackfill bounds the runs of one backfill at a time.
	maxParallelBackfill = 100
	// maxTold bounds the occurrences that a dry run lists.
	maxTold = 100
)

// backfillPlan is what a backfill would do.
type backfillPlan struct {
	store.Backfill
	occurrences []time.Time // in the order of their runs
}

// planBackfill checks what is asked for and finds the occurrences that are
// meant.
func planBackfill(tx *store.Tx, job store.Job, ask api.AskBackfill) (backfillPlan, error) {
	plan := backfillPlan{Backfill: store.Backfill{UID: job.UID, Backfill: api.Backfill{
		Job: job.Spec.Name, Only: ask.Only, Order: ask.Order, MaxParallel: max(ask.MaxParallel, 1),
	}}}
	if plan.Only == "" {
		plan.Only = api.DefaultOnly
	}
	if plan.Order == "" {
		plan.Order = api.DefaultOrder
	}
	rule, err := ruleOf(job.Spec.Schedule)
	switch {
	case err != nil:
		return plan, api.Errorf(api.CodeConflict, "mend its schedule first", "the schedule of job %s can't be read: %v", job.Spec.Name, err)
	case rule == nil:
		return plan, api.Errorf(api.CodeConflict, "run it for single instants: batch-runner run "+job.Spec.Name+" --occurrence",
			"job %s has no schedule, and so no occurrences to run for", job.Spec.Name)
	}
	if err := plan.readRange(ask, zoneOf(job.Spec)); err != nil {
		return plan, err
	}
	// What the schedule has yet to decide is left to it.
	decided, err := occurrencesBetween(rule, plan.From, earliest(plan.To, job.Cursor, tx.Now), zoneOf(job.Spec))
	if err != nil {
		return plan, err
	}
	runs, err := tx.MainRunsBetween(job.UID, plan.From, plan.To)
	if err != nil {
		return plan, err
	}
	plan.occurrences = selected(decided, runs, plan.Only)
	plan.LeftOut = int64(len(decided) - len(plan.occurrences))
	if plan.Order == api.NewestFirst {
		slices.Reverse(plan.occurrences)
	}
	plan.Warnings = warnings(job, rule, len(plan.occurrences))
	return plan, nil
}

// told is the plan in the words of the API.
func (p *backfillPlan) told() api.Backfill {
	b := p.Backfill.Backfill
	b.Total = int64(len(p.occurrences))
	b.Waiting = b.Total
	b.Occurrences = p.occurrences[:min(len(p.occurrences), maxTold)]
	return b
}

// readRange reads from, to and the words; all findings at once.
func (p *backfillPlan) readRange(ask api.AskBackfill, zone *time.Location) error {
	var problems []api.Error
	read := func(pointer, text string) (s stretch) {
		if text == "" {
			problems = append(problems, invalid(pointer, "is required: an instant, or a date in %s", zone))
			return s
		}
		s, problem := readStretch(pointer, text, zone)
		if problem != nil {
			problems = append(problems, *problem)
		}
		return s
	}
	p.From, p.To = read("/from", ask.From).from, read("/to", ask.To).to
	if len(problems) == 0 && p.To.Before(p.From) {
		problems = append(problems, invalid("/to", "%q is before from, %q", ask.To, ask.From))
	}
	for _, word := range []struct {
		pointer, value string
		known          []string
	}{
		{"/only", p.Only, []string{api.OnlyMissing, api.OnlyFailed, api.OnlyAll}},
		{"/order", p.Order, []string{api.OldestFirst, api.NewestFirst}},
	} {
		if !slices.Contains(word.known, word.value) {
			problems = append(problems, invalid(word.pointer, "%q is not one of %s", word.value, strings.Join(word.known, ", ")))
		}
	}
	if ask.MaxParallel < 0 || ask.MaxParallel > maxParallelBackfill {
		problems = append(problems, invalid("/max_parallel", "%d is not in 1–%d", ask.MaxParallel, maxParallelBackfill))
	}
	return api.Invalid("backfill", problems)
}

// occurrencesBetween lists the occurrences in [from, to]: some, but not too many.
func occurrencesBetween(rule *schedule.Schedule, from, to time.Time, zone *time.Location) ([]time.Time, error) {
	var all []time.Time
	for at := range rule.Between(from.Add(-1), to) {
		if all = append(all, at); len(all) > maxBackfill {
			problem := invalid("/to", "is too far from from: there are more than %s occurrences", api.Thousands(maxBackfill))
			problem.Hint = "do it in parts; the first may end at " + all[maxBackfill-1].In(zone).Format(time.RFC3339)
			return nil, api.Invalid("backfill", []api.Error{problem})
		}
	}
	if len(all) == 0 {
		problem := invalid("/from", "no occurrence of the schedule that is decided lies between from and to")
		problem.Hint = "`batch-runner schedule preview` lists occurrences; what is not due yet will run by itself"
		return nil, api.Invalid("backfill", []api.Error{problem})
	}
	return all, nil
}

// selected leaves out the occurrences that only does not mean, and those with
// an active run. Both lists are ordered.
func selected(due []time.Time, runs []store.OccurrenceRuns, only string) []time.Time {
	chosen := make([]time.Time, 0, len(due))
	for _, at := range due {
		for len(runs) > 0 && runs[0].Occurrence.Before(at) {
			runs = runs[1:]
		}
		var have store.OccurrenceRuns // none
		if len(runs) > 0 && runs[0].Occurrence.Equal(at) {
			have = runs[0]
		}
		if !have.Active && means(only, have) {
			chosen = append(chosen, at)
		}
	}
	return chosen
}

// means tells whether only means an occurrence that came to this.
func means(only string, have store.OccurrenceRuns) bool {
	switch only {
	case api.OnlyAll:
		return true
	case api.OnlyFailed:
		return failed(have.State) || have.State == api.RunCancelled
	default:
		return !have.Done
	}
}

// warnings say what else a backfill brings about.
func warnings(job store.Job, rule *schedule.Schedule, occurrences int) []string {
	if occurrences == 0 {
		return nil
	}
	if job.Held != nil {
		return []string{fmt.Sprintf("the job is held by %s: %s; the backfill starts once it is released", job.Held.By, job.Held.Reason)}
	}
	spec := job.Spec.WithDefaults()
	next := dueAfter(rule, job.Cursor, offset(rule, job.UID))
	if next.IsZero() || *spec.Paused {
		return nil
	}
	when := at(next, zoneOf(spec))
	switch spec.Overlap {
	case api.OverlapSkip:
		return []string{fmt.Sprintf("the next occurrence is due at %s; while the backfill goes on, due occurrences are skipped; overlap = %q lets them wait", when, api.OverlapQueueOne)}
	case api.OverlapCancelRunning:
		return []string{fmt.Sprintf("the next occurrence is due at %s and cancels the backfill's run that is then under way; overlap = %q lets it wait", when, api.OverlapQueueOne)}
	}
	return nil
}
