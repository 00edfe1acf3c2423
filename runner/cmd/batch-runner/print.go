package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/schedule"
)

// printer writes to a stream for people. A stream that can't be written to
// can't be told of either, so that errors end here.
type printer struct{ w io.Writer }

func (a *app) out() *printer { return &printer{w: a.stdout} }
func (a *app) err() *printer { return &printer{w: a.stderr} }

func (p *printer) text(text string) { _, _ = io.WriteString(p.w, text) }

func (p *printer) line(format string, args ...any) { p.text(fmt.Sprintf(format, args...) + "\n") }

// table writes rows in columns; an empty cell is a dash. The last cell of a
// row may have several lines.
func (p *printer) table(rows [][]string) {
	w := tabwriter.NewWriter(p.w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			if cell == "" {
				row[i] = "-"
			}
			row[i] = indented(strings.ReplaceAll(row[i], "\t", " "), strings.Repeat("\t", i))
		}
		_, _ = io.WriteString(w, strings.Join(row, "\t")+"\n")
	}
	_ = w.Flush()
}

func (p *printer) json(v any) error {
	encoder := json.NewEncoder(p.w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

// took is a duration as precise as a person wants it.
func took(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return max(d.Round(time.Millisecond), time.Millisecond).String()
	case d < 10*time.Second:
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// indented is a text whose further lines begin with an indent of ours, instead of
// their own: what others write may hold tabs, and lines of nothing.
func indented(text, indent string) string {
	if !strings.ContainsRune(text, '\n') {
		return text
	}
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n"+indent)
}

// prefixed is text behind a prefix, or nothing where there is no text.
func prefixed(prefix, text string) string {
	if text == "" {
		return ""
	}
	return prefix + text
}

// at writes an instant for people, in the job's zone; none is empty.
func at(instant time.Time, zone *time.Location) string {
	if instant.IsZero() {
		return ""
	}
	layout := "2006-01-02 15:04"
	if instant.Second() != 0 {
		layout += ":05"
	}
	return instant.In(zone).Format(layout) + " " + zone.String()
}

// zoneOf is the zone that a job's people think in.
func zoneOf(job api.Job) *time.Location {
	if job.Schedule != nil && job.Schedule.TimeZone != "" {
		if zone, err := schedule.LoadZone(job.Schedule.TimeZone); err == nil {
			return zone
		}
	}
	return time.UTC
}
