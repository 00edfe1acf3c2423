package trigger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/schedule"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// Status tells how a job is.
func (t *Trigger) Status(_ context.Context, name string) (api.JobStatus, error) {
	job, err := t.store.Job(name)
	if errors.Is(err, store.ErrNotFound) {
		return api.JobStatus{}, noJob(name)
	}
	if err != nil {
		return api.JobStatus{}, fmt.Errorf("read job %s: %w", name, err)
	}
	standing, err := t.store.Standing(job.UID)
	if err != nil {
		return api.JobStatus{}, fmt.Errorf("read the status of job %s: %w", name, err)
	}
	if err := t.noteTrouble(standing); err != nil {
		return api.JobStatus{}, err
	}
	return assess(job, *standing, t.now(), t.Trouble()), nil
}

// StatusAll tells how every job is, by name.
func (t *Trigger) StatusAll(context.Context) ([]api.JobStatus, error) {
	jobs, err := t.store.Jobs()
	if err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	standings, err := t.store.Standings()
	if err != nil {
		return nil, fmt.Errorf("read the status of all jobs: %w", err)
	}
	now, trouble := t.now(), t.Trouble()
	all := make([]api.JobStatus, 0, len(jobs))
	for _, job := range jobs {
		standing := standings[job.UID]
		if standing == nil { // declared between the two reads
			standing = &store.Standing{}
		}
		if err := t.noteTrouble(standing); err != nil {
			return nil, err
		}
		all = append(all, assess(job, *standing, now, trouble))
	}
	return all, nil
}

func (t *Trigger) noteTrouble(standing *store.Standing) error {
	for _, run := range []*store.Run{standing.Active, standing.Last} {
		if run == nil {
			continue
		}
		if err := NoteTrouble(t.store, &run.Run); err != nil {
			return err
		}
	}
	return nil
}

// assess judges a job: healthy is that no clause fails. A run counts for its
// job as long as it has not ended; one that ended must have succeeded, or be
// incomplete where the job accepts that.
// Occurrences that were skipped have no run and are judged by the last one.
// That the runner answers, the first clause, is for who asks to see. trouble
// is the runner's own, and so every job's.
func assess(job store.Job, standing store.Standing, now time.Time, trouble string) api.JobStatus {
	spec, last := job.Spec.WithDefaults(), standing.Last
	status := api.JobStatus{
		Job: spec.Name, UID: job.UID, Generation: job.Generation, Paused: *spec.Paused, Held: job.Held, Cursor: job.Cursor,
		Missed: counts(standing.Missed), Skipped: counts(standing.Skipped), Reasons: []string{},
		LastRun: wire(last), LastSuccess: wire(standing.Success), ActiveRun: wire(standing.Active), LastDecision: standing.Decision,
		Owed: standing.Owed,
	}
	if standing.Backfill != nil {
		status.Backfill = &standing.Backfill.Backfill
	}
	rule, err := ruleOf(spec.Schedule)
	status.NextOccurrence = dueAfter(rule, job.Cursor, 0)
	status.NextDueAt = dueAfter(rule, job.Cursor, offset(rule, job.UID))
	zone := zoneOf(spec)
	fails := func(format string, args ...any) {
		status.Reasons = append(status.Reasons, fmt.Sprintf(format, args...))
	}

	if held := job.Held; held != nil {
		fails("held by %s since %s: %s; release it with batch-runner release %s", held.By, at(held.Since, zone), held.Reason, spec.Name)
	}
	if trouble != "" {
		fails("%s", trouble)
	}
	if now.Before(job.Cursor.Add(-behindBy)) {
		fails("clock_behind: the clock says %s, and the job is decided up to %s; if the clock is right now, batch-runner cursor %s --to now",
			at(now.Truncate(time.Second), zone), at(job.Cursor.Truncate(time.Second), zone), spec.Name)
	}
	if last != nil && last.State.Ended() && !endedWell(last.State, *spec.AcceptIncomplete) {
		fails("%s; see batch-runner why %s", describe(last.Run, zone), last.ID)
	}
	if err != nil {
		fails("the schedule can't be read: %v", err)
	}
	if due := status.NextDueAt; !due.IsZero() && now.Sub(due) > grace(rule, status.NextOccurrence) {
		fails("overdue since %s: the runner has not decided it; see batch-runner doctor", at(due, zone))
	}

	status.Healthy = len(status.Reasons) == 0
	switch {
	case !status.Healthy:
		status.Summary = status.Reasons[0]
	case last != nil:
		status.Summary = describe(last.Run, zone)
	default:
		status.Summary = "no run yet; " + outlook(status, spec.Schedule != nil, zone)
	}
	return status
}

func endedWell(state api.RunState, acceptIncomplete bool) bool {
	return state == api.RunSucceeded || state == api.RunIncomplete && acceptIncomplete
}

// counts is never nil, so that it reads {} and not null.
func counts(m map[string]int64) map[string]int64 {
	if m == nil {
		return map[string]int64{}
	}
	return m
}

func wire(run *store.Run) *api.Run {
	if run == nil {
		return nil
	}
	return &run.Run
}

func outlook(s api.JobStatus, scheduled bool, zone *time.Location) string {
	switch {
	case s.Paused:
		return "paused"
	case s.NextDueAt.IsZero() && scheduled:
		return "the schedule has ended"
	case s.NextDueAt.IsZero():
		return "manual runs only"
	default:
		return "next due " + at(s.NextDueAt, zone)
	}
}

// describe is a run in one line: "succeeded 2026-11-21 02:00 Europe/Berlin: 150
// of 150 records in 8 mini-batches".
func describe(run api.Run, zone *time.Location) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", run.State, at(run.Occurrence, zone))
	if run.Reason != "" {
		fmt.Fprintf(&b, " (%s)", run.Reason)
	}
	if c := run.Counts; run.MiniBatches.Total > 0 || run.State == api.RunSucceeded {
		done := c.Committed
		if !run.State.Ended() {
			done += c.Staged
		}
		fmt.Fprintf(&b, ": %s of %s in %s", api.Thousands(done),
			api.Counted(c.Planned, "record"), api.Counted(run.MiniBatches.Total, "mini-batch"))
		if run.State.Ended() && c.Staged > 0 {
			fmt.Fprintf(&b, ", %s staged", api.Thousands(c.Staged))
		}
		if c.DeadLettered > 0 {
			fmt.Fprintf(&b, ", %s dead-lettered", api.Thousands(c.DeadLettered))
		}
		if c.GivenUp > 0 {
			fmt.Fprintf(&b, ", %s given up", api.Thousands(c.GivenUp))
		}
		if c.Carried > 0 {
			fmt.Fprintf(&b, ", %s carried to the next run", api.Thousands(c.Carried))
		}
	}
	if run.State != api.RunSucceeded && run.Message != "" {
		b.WriteString(": " + run.Message)
	}
	if run.Trouble.Error != "" {
		b.WriteString(": waiting " + run.Trouble.Told(func(instant time.Time) string { return at(instant, zone) }))
	}
	return b.String()
}

// at writes an instant for people: in the job's zone, with seconds only where
// there are some.
func at(instant time.Time, zone *time.Location) string {
	layout := "2006-01-02 15:04"
	if instant.Second() != 0 {
		layout += ":05"
	}
	return instant.In(zone).Format(layout) + " " + zone.String()
}

// zoneOf is the zone a job's people think in.
func zoneOf(spec api.Job) *time.Location {
	if spec.Schedule != nil {
		if zone, err := schedule.LoadZone(spec.Schedule.TimeZone); err == nil {
			return zone
		}
	}
	return time.UTC
}
