package trigger

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// maxListed bounds the occurrences that an error lists.
const maxListed = 24

// Rerun queues an occurrence once more, as a manual run over fresh input whose
// output replaces what the occurrence has published. The occurrence is one
// that the rule has, or that a run was made for; a date stands for the one
// occurrence of that day. Keys and if_idle are as for Run.
func (t *Trigger) Rerun(ctx context.Context, name string, ask api.Rerun, key, actor string) (run api.Run, created bool, err error) {
	return t.queueManual(ctx, name, ask.IfIdle, key, actor, func(tx *store.Tx, job store.Job) (time.Time, error) {
		return occurrenceOf(tx, job, ask.Occurrence)
	})
}

// occurrenceOf finds the one occurrence that a text names.
func occurrenceOf(tx *store.Tx, job store.Job, text string) (time.Time, error) {
	zone := zoneOf(job.Spec)
	asked, problem := readStretch("/occurrence", text, zone)
	if problem != nil {
		return time.Time{}, api.Invalid("rerun", []api.Error{*problem})
	}
	found, err := occurrencesIn(tx, job, asked)
	if err != nil {
		return time.Time{}, err
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		var list []string
		for _, at := range found[:min(len(found), maxListed)] {
			list = append(list, at.In(zone).Format(time.RFC3339))
		}
		if len(found) > maxListed {
			list = append(list, "…")
		}
		return time.Time{}, api.Errorf(api.CodeConflict, "name one of them", "job %s has %s on %s: %s",
			job.Spec.Name, api.Counted(int64(len(found)), "occurrence"), text, strings.Join(list, ", "))
	}
	problem = new(api.Error)
	if asked.from.After(tx.Now) {
		*problem = invalid("/occurrence", "%q is in the future", text)
		problem.Hint = "wait until it is due"
	} else {
		*problem = invalid("/occurrence", "%q is no occurrence of job %s, and no run was made for it", text, job.Spec.Name)
		problem.Hint = "`batch-runner runs " + job.Spec.Name + "` lists what there is; `batch-runner run " + job.Spec.Name + " --occurrence` runs for any instant"
	}
	return time.Time{}, api.Invalid("rerun", []api.Error{*problem})
}

// occurrencesIn lists the occurrences of a stretch that are decided, or that a
// run was made for.
func occurrencesIn(tx *store.Tx, job store.Job, in stretch) ([]time.Time, error) {
	runs, err := tx.MainRunsBetween(job.UID, in.from, in.to)
	if err != nil {
		return nil, err
	}
	var found []time.Time
	for _, r := range runs {
		found = append(found, r.Occurrence)
	}
	// A rule that can't be read has no occurrences, but its runs are there.
	if rule, err := ruleOf(job.Spec.Schedule); err == nil && rule != nil {
		found = slices.AppendSeq(found, rule.Between(in.from.Add(-1), earliest(in.to, job.Cursor, tx.Now)))
	}
	slices.SortFunc(found, time.Time.Compare)
	return slices.CompactFunc(found, time.Time.Equal), nil
}

func earliest(instants ...time.Time) time.Time { return slices.MinFunc(instants, time.Time.Compare) }
