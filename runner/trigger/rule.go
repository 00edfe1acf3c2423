package trigger

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/schedule"
)

// ruleOf makes a declared schedule ready to be asked; nil stands for none.
func ruleOf(declared *api.Schedule) (*schedule.Schedule, error) {
	if declared == nil {
		return nil, nil
	}
	return schedule.Parse(*declared)
}

// sameRule tells whether two schedules are one rule, however it is written.
func sameRule(a, b *api.Schedule) bool {
	return api.Job{Schedule: a}.Hash() == api.Job{Schedule: b}.Hash()
}

// sameWords tells whether two jobs say the same of what becomes of due
// occurrences.
func sameWords(a, b api.Job) bool {
	words := func(spec api.Job) api.Job {
		return api.Job{Schedule: spec.Schedule, Paused: spec.Paused, CatchUp: spec.CatchUp, Overlap: spec.Overlap, MaxQueued: spec.MaxQueued}
	}
	return words(a).Hash() == words(b).Hash()
}

// check finds everything that is wrong with a job as submitted, and reads its
// rule.
func check(body api.PutJob) (*schedule.Schedule, error) {
	problems := api.Validate(body.Spec)
	if wait := body.Settings.RunOnCreate; wait != "" {
		if _, err := wait.Parse(); err != nil {
			problems = append(problems, invalid("/settings/run_on_create", "%v", err))
		}
	}
	var rule *schedule.Schedule
	if !mentions(problems, "/schedule") {
		var err error
		if rule, err = ruleOf(body.Spec.Schedule); err != nil {
			problems = append(problems, calendarProblems(err)...)
		}
	}
	if out := body.Spec.Output.Files; rule != nil && out != nil && !mentions(problems, "/output") {
		if err := schedule.CheckFolders(rule, out.URI); err != nil {
			problems = append(problems, invalid("/output/files/uri", "%v", err))
		}
	}
	return rule, api.Invalid(fmt.Sprintf("job %q", body.Spec.Name), problems)
}

func mentions(problems []api.Error, pointer string) bool {
	for _, p := range problems {
		if strings.HasPrefix(p.Pointer, pointer) {
			return true
		}
	}
	return false
}

func calendarProblems(err error) []api.Error {
	if problems, ok := errors.AsType[schedule.Problems](err); ok {
		return problems
	}
	return []api.Error{invalid("/schedule", "%v", err)}
}

func invalid(pointer, format string, args ...any) api.Error {
	return api.Error{Code: api.CodeInvalid, Pointer: pointer, Message: fmt.Sprintf(format, args...)}
}

// offset is a job's part of the jitter of its rule.
func offset(rule *schedule.Schedule, uid string) time.Duration {
	if rule == nil {
		return 0
	}
	return rule.Offset(uid)
}
