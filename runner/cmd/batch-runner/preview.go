package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
	"github.com/batchpattern/terraform-provider-batch/internal/schedule"
)

// mostOccurrences is far more than anybody reads.
const mostOccurrences = 10_000

// preview is one call of the command; what it shows is computed here, by the
// same calendar as the runner's.
type preview struct {
	a      *app
	runner *connection

	cron, zone, file, from string
	count                  int
	asJSON                 bool
}

// previewed is what is shown.
type previewed struct {
	Description string              `json:"description"`
	TimeZone    string              `json:"time_zone,omitzero"`
	Zones       string              `json:"zones"`           // release of the time zones
	Offset      api.Duration        `json:"offset,omitzero"` // the job's own part of its jitter
	Occurrences []previewOccurrence `json:"occurrences"`     // from --from on
	Warnings    []string            `json:"warnings,omitzero"`
}

type previewOccurrence struct {
	Occurrence time.Time     `json:"occurrence"`
	DueAt      time.Time     `json:"due_at"`           // the occurrence and the offset
	Local      time.Time     `json:"local"`            // due_at in the job's zone
	Nominal    string        `json:"nominal,omitzero"` // wall time as the rule means it
	Note       schedule.Note `json:"note,omitzero"`
	Text       string        `json:"text,omitzero"` // the note in words
}

// setupPreview tells when a schedule is due.
func setupPreview(a *app, flags *pflag.FlagSet) action {
	p := &preview{a: a}
	flags.StringVar(&p.cron, "cron", "", "a cron expression instead of a job")
	flags.StringVar(&p.zone, "time-zone", "", "its IANA time zone (default "+api.DefaultTimeZone+")")
	flags.StringVarP(&p.file, "file", "f", "", "a job file instead of a job")
	flags.StringVar(&p.from, "from", "", "first instant, or date or date-time in the zone (default now)")
	flags.IntVar(&p.count, "count", 10, "how many")
	flags.BoolVar(&p.asJSON, "json", false, "print JSON")
	p.runner = a.connectionFlags(flags)
	return func(ctx context.Context, args []string) (exit, error) {
		sources := len(args)
		for _, given := range []string{p.cron, p.file} {
			if given != "" {
				sources++
			}
		}
		switch {
		case sources != 1:
			return 0, usagef("name one of JOB, --cron and --file")
		case p.zone != "" && p.cron == "":
			return 0, usagef("--time-zone goes with --cron; a job has its own")
		case p.count < 1 || p.count > mostOccurrences:
			return 0, usagef("--count %d is not in 1–%d", p.count, mostOccurrences)
		case p.cron != "":
			return p.ofExpression()
		case p.file != "":
			return p.ofFile()
		}
		return p.runner.asking(p.ofJob)(ctx, args)
	}
}

func (p *preview) ofExpression() (exit, error) {
	rule, err := schedule.Parse(api.Schedule{Cron: p.cron, TimeZone: cmp.Or(p.zone, api.DefaultTimeZone)})
	if problems, ok := errors.AsType[schedule.Problems](err); ok {
		return 0, usagef("%s", asFlags(problems))
	}
	if err != nil {
		return 0, err
	}
	return p.show(rule, 0)
}

// asFlags are findings about a schedule that was given in flags.
func asFlags(problems schedule.Problems) string {
	lines := make([]string, len(problems))
	for i, finding := range problems {
		flag := strings.ReplaceAll(strings.TrimPrefix(finding.Pointer, "/schedule/"), "_", "-")
		lines[i] = "--" + flag + " " + finding.Message + prefixed("; ", finding.Hint)
	}
	return strings.Join(lines, "\n  ")
}

func (p *preview) ofFile() (exit, error) {
	job, err := readJob(p.file)
	if err != nil {
		return 0, err
	}
	return p.ofSpec(job, "")
}

func (p *preview) ofJob(ctx context.Context, c *client.Client, args []string) (exit, error) {
	job, err := c.Job(ctx, args[0])
	if err != nil {
		return 0, err
	}
	info, err := c.Info(ctx)
	if err != nil {
		return 0, err
	}
	if here := schedule.ZoneRelease(); info.Zones != here {
		p.a.err().line("warning: the runner has the time zones of release %s, this program those of %s: its due times may differ; use a batch-runner of the runner's version, %s",
			info.Zones, here, info.Version)
	}
	zone := zoneOf(job.Spec)
	switch {
	case job.Spec.Paused != nil && *job.Spec.Paused:
		p.a.err().line("job %s is paused: what falls due is skipped", args[0])
	case job.Held != nil:
		p.a.err().line("job %s is %s: what falls due is skipped until batch-runner release %s", args[0], held(*job.Held, zone), args[0])
	}
	return p.ofSpec(job.Spec, job.UID)
}

// ofSpec previews a declared job. Only one that a runner keeps has a uid, and
// with it an own part of its jitter.
func (p *preview) ofSpec(job api.Job, uid string) (exit, error) {
	if job.Schedule == nil {
		if p.asJSON {
			return exitDone, p.a.out().json(previewed{Description: "manual runs only", Zones: schedule.ZoneRelease(), Occurrences: []previewOccurrence{}})
		}
		p.a.out().line("job %s has no schedule: it runs only when asked to", job.Name)
		return exitDone, nil
	}
	rule, err := schedule.Parse(*job.WithDefaults().Schedule)
	if err != nil {
		return 0, fmt.Errorf("read the schedule of job %s: %w", job.Name, err)
	}
	offset := time.Duration(0)
	if uid != "" {
		offset = rule.Offset(uid)
	}
	return p.show(rule, offset)
}

func (p *preview) show(rule *schedule.Schedule, offset time.Duration) (exit, error) {
	zone, from := rule.Location(), time.Now()
	if p.from != "" {
		var err error
		if from, err = parseLocal(p.from, zone); err != nil {
			return 0, err
		}
	}
	shown := previewed{Description: rule.Describe(), TimeZone: zone.String(), Zones: schedule.ZoneRelease(), Occurrences: []previewOccurrence{}}
	if offset > 0 {
		shown.Offset = api.Duration(offset.String())
	}
	for _, warning := range rule.Warnings(from) {
		shown.Warnings = append(shown.Warnings, warning.Error())
	}
	// What is due at the first instant belongs to it.
	for _, o := range rule.Preview(from.Add(-offset-time.Nanosecond), p.count) {
		due := o.At.Add(offset)
		shown.Occurrences = append(shown.Occurrences, previewOccurrence{
			Occurrence: o.At, DueAt: due, Local: due.In(zone), Nominal: o.Nominal, Note: o.Note, Text: o.Text,
		})
	}
	if p.asJSON {
		return exitDone, p.a.out().json(shown)
	}
	for _, warning := range shown.Warnings {
		p.a.err().line("warning: %s", warning)
	}
	p.a.out().preview(shown)
	return exitDone, nil
}

func (p *printer) preview(shown previewed) {
	p.line("%s", shown.Description)
	if shown.Offset != "" {
		p.line("each due time is %s after its occurrence: this job's own part of the jitter", shown.Offset)
	}
	if len(shown.Occurrences) == 0 {
		p.line("nothing is due any more")
		return
	}
	clock := "15:04"
	for _, o := range shown.Occurrences {
		if o.DueAt.Second() != 0 {
			clock = time.TimeOnly
		}
	}
	rows := [][]string{{"DUE, " + shown.TimeZone, "UTC", "NOTE"}}
	for _, o := range shown.Occurrences {
		rows = append(rows, []string{o.Local.Format("Mon 2006-01-02 " + clock + " MST"), o.DueAt.UTC().Format("2006-01-02 " + clock), o.Text})
	}
	if shown.TimeZone == api.DefaultTimeZone { // once is enough
		for i, row := range rows {
			rows[i] = slices.Delete(row, 1, 2)
		}
	}
	p.table(rows)
}

// parseLocal reads an instant, or a date or date-time in a zone; one that the
// clocks there leave out is the first instant after the gap.
func parseLocal(text string, zone *time.Location) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	for _, layout := range []string{"2006-01-02", "2006-01-02T15:04", "2006-01-02T15:04:05"} {
		at, err := time.ParseInLocation(layout, text, zone)
		if err != nil {
			continue
		}
		begin, end := at.ZoneBounds()
		switch shown := at.Format(layout); {
		case shown > text:
			return begin, nil
		case shown < text:
			return end, nil
		}
		return at, nil
	}
	return time.Time{}, usagef("--from %q is neither an instant like 2026-11-21T02:00:00Z nor a date or date-time like 2026-11-21T02:00", text)
}
