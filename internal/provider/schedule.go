package provider

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/schedule"
)

// What a schedule means is for package schedule to say. Here its answers
// become findings, warnings and words.

// problemsOf is everything wrong with a schedule.
func problemsOf(s api.Schedule) []api.Error {
	_, err := schedule.Parse(s)
	problems, _ := errors.AsType[schedule.Problems](err)
	return problems
}

// problemsAt is everything wrong with a schedule that stands elsewhere than in
// a job.
func problemsAt(pointer string, s api.Schedule) []api.Error {
	problems := problemsOf(s)
	for i := range problems {
		problems[i].Pointer = pointer + strings.TrimPrefix(problems[i].Pointer, "/schedule")
	}
	return problems
}

// firstMessage is what is wrong with a schedule of which one thing can be.
func firstMessage(err error) string {
	if problems, ok := errors.AsType[schedule.Problems](err); ok {
		return problems[0].Message
	}
	if problem, ok := errors.AsType[*api.Error](err); ok {
		return problem.Message
	}
	return err.Error()
}

// calendar is everything wrong with a job's schedule. The values of a rule
// bear on each other, so nothing is said before all of them are known; what is
// wrong with one by itself, its type has mostly found.
func calendar(s *api.Schedule, unknown []string) []api.Error {
	if s == nil || holdsUnknown("/schedule", unknown) {
		return nil
	}
	return problemsOf(*s)
}

// folders checks that the schedule's occurrences do not replace each other's
// predictions. What is not known yet, or wrong by itself, is passed over.
func folders(j api.Job, unknown []string) []api.Error {
	if j.Schedule == nil || j.Output.Files == nil || holdsUnknown("/schedule", unknown) {
		return nil
	}
	rule, err := schedule.Parse(*j.Schedule)
	if err != nil {
		return nil
	}
	if err := schedule.CheckFolders(rule, j.Output.Files.URI); err != nil {
		return []api.Error{{Pointer: "/output/files/uri", Message: err.Error()}}
	}
	return nil
}

// words say when a job is due, for its summary.
func words(s *api.Schedule) string {
	if s == nil {
		return "manual runs only"
	}
	rule, err := schedule.Parse(*s)
	if err != nil {
		return "no readable schedule" // validation has said why
	}
	return rule.Describe()
}

// surprises are warnings about a schedule that is right, but may not mean what
// its author thinks. They carry the job's name: a plan may hold many.
func surprises(job string, s api.Schedule, now time.Time) diagnostics {
	rule, err := schedule.Parse(s)
	if err != nil {
		return nil
	}
	return cautions(job, rule.Warnings(now))
}

// cautions are findings shown as warnings, with the name of their job.
func cautions(job string, warnings []api.Error) diagnostics {
	about := "job " + job
	if job == "" { // not known yet
		about = "the job"
	}
	var all diagnostics
	for _, warning := range warnings {
		top, _, _ := strings.Cut(strings.TrimPrefix(warning.Pointer, "/"), "/")
		shown := diagnose(warning)
		all.Append(diag.NewAttributeWarningDiagnostic(path.Root(top), about+": "+shown.Summary(), shown.Detail()))
	}
	return all
}

// holdsUnknown tells whether a value, or anything in it, is not known yet.
func holdsUnknown(pointer string, unknown []string) bool {
	return slices.ContainsFunc(unknown, func(u string) bool { return within(u, pointer) })
}
