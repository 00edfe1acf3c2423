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
	return schedule.Parse(specOf(declared))
}

func specOf(declared *api.Schedule) schedule.Spec {
	spec := schedule.Spec{Cron: declared.Cron, Every: declared.Every.Value(), TimeZone: declared.TimeZone}
	if at, err := time.Parse(time.RFC3339, declared.Anchor); err == nil { // api.Validate has refused any other
		spec.Anchor = at
	}
	return spec
}

// sameRule tells whether two schedules are one rule, however it is written.
func sameRule(a, b *api.Schedule) bool {
	if a == nil || b == nil {
		return a == b
	}
	return canonical(a) == canonical(b)
}

func canonical(declared *api.Schedule) schedule.Spec {
	spec := specOf(api.Job{Schedule: declared}.WithDefaults().Schedule)
	spec.Cron = strings.Join(strings.Fields(spec.Cron), " ")
	spec.Anchor = spec.Anchor.UTC()
	return spec
}

// check finds everything that is wrong with a job as submitted under a name,
// and reads its rule.
func check(name string, body api.PutJob) (*schedule.Schedule, error) {
	problems := api.Validate(body.Spec)
	if body.Spec.Name != name {
		problems = append(problems, invalid("/name", "%q is not the name in the address, %q", body.Spec.Name, name))
	}
	if wait := body.Settings.RunOnCreate; wait != "" {
		if _, err := wait.Parse(); err != nil {
			problems = append(problems, invalid("/settings/run_on_create", "%v", err))
		}
	}
	var rule *schedule.Schedule
	if !mentions(problems, "/schedule") {
		var err error
		if rule, err = ruleOf(body.Spec.Schedule); err != nil {
			problems = append(problems, calendarProblem(err))
		}
	}
	if rule != nil && !mentions(problems, "/output") {
		if err := schedule.CheckFolders(rule, body.Spec.Output.Files.URI); err != nil {
			problems = append(problems, invalid("/output/files/uri", "%v", err))
		}
	}
	return rule, api.Invalid(fmt.Sprintf("job %q", name), problems)
}

func mentions(problems []api.Error, pointer string) bool {
	for _, p := range problems {
		if strings.HasPrefix(p.Pointer, pointer) {
			return true
		}
	}
	return false
}

func calendarProblem(err error) api.Error {
	if finding, ok := errors.AsType[*schedule.Error](err); ok {
		return invalid("/schedule/"+finding.Field, "%q: %s", finding.Value, finding.Problem)
	}
	return invalid("/schedule", "%v", err)
}

func invalid(pointer, format string, args ...any) api.Error {
	return api.Error{Code: api.CodeInvalid, Pointer: pointer, Message: fmt.Sprintf(format, args...)}
}
