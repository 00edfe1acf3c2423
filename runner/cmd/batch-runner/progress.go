package main

import (
	"cmp"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

const (
	barWidth = 24
	// plainStep is how much of a run passes between two plain lines.
	plainStep = 10 // percent
)

// progress shows a run under way: one line that is drawn over on a terminal,
// and otherwise a line for each state and each tenth of the records.
type progress struct {
	out   *printer
	zone  *time.Location
	draws bool
	width int

	mu     sync.Mutex // the log writes too
	state  api.RunState
	reason api.Reason
	late   time.Time // since when it has waited for its input, where that was told
	step   int64
	drawn  bool // a line stands there without its end
}

func (a *app) newProgress(zone *time.Location) *progress {
	return &progress{out: a.err(), zone: zone, draws: a.draws, width: cmp.Or(a.width, 80)}
}

// begin names the run.
func (p *progress) begin(run api.Run, resumed bool) {
	what := "started"
	if resumed {
		what = "goes on where it was left"
	}
	p.out.line("run %s of %s for %s %s", run.ID, run.Job, at(run.Occurrence, p.zone), what)
}

// show shows how far the run is.
func (p *progress) show(run api.Run) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if run.State.Ended() {
		return // what ended it is told by whoever waited
	}
	// What its storage or server keeps it from is in its history, and told as it comes.
	if t := run.Trouble; run.State == api.RunQueued && t.Error != "" && !t.Since.Equal(p.late) {
		p.late = t.Since
		p.line(time.Now(), "waiting "+t.Told(func(instant time.Time) string { return at(instant, p.zone) }))
	}
	if p.draws {
		p.draw(bar(percent(run)) + " " + stage(run))
		return
	}
	step := percent(run) / plainStep
	if run.State == p.state && run.Reason == p.reason && (run.State != api.RunRunning || step == p.step) {
		return
	}
	p.state, p.reason, p.step = run.State, run.Reason, step
	p.out.line("  %s", stage(run))
}

// telling are the kinds of events that are told beside the figures: what
// slows a run down or may end it.
var telling = map[string]bool{
	"server_lost": true, "not_ready": true, "breaker": true, "model_changed": true, "superseded": true,
	"storage": true, "warning": true, "carried": true, "idle": true,
}

// event tells an entry of the run's history that people should see.
func (p *progress) event(e api.Event) {
	resumed := e.From != "" && e.To == string(api.RunQueued) // after a restart of the runner
	if !telling[e.Kind] && !resumed {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	text := strings.ReplaceAll(happened(e), "_", " ") + prefixed(": ", e.Detail)
	if until := api.TroubleOf([]api.Event{e}).Until; !until.IsZero() {
		text += "; if this lasts, the run gives up at " + at(until.Truncate(time.Second), p.zone)
	}
	p.line(e.At, text)
}

// away tells that the runner does not answer, and that it is waited for.
func (p *progress) away(err error) { p.note("%v; still trying", err) }

// back tells that it answers again.
func (p *progress) back() { p.note("the runner answers again") }

func (p *progress) note(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.line(time.Now(), fmt.Sprintf(format, args...))
}

// line tells what happened at a time, above the bar; p is locked.
func (p *progress) line(when time.Time, text string) {
	p.clear()
	p.out.line("  %s %s", when.In(p.zone).Format(time.TimeOnly), indented(text, "    "))
}

// backfill shows how far a backfill is: plainly, a line for each tenth.
func (p *progress) backfill(b api.Backfill) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !b.EndedAt.IsZero() {
		return
	}
	done := int64(0)
	if b.Total > 0 {
		done = (b.Succeeded + b.Failed) * 100 / b.Total
	}
	if p.draws {
		p.draw(bar(done) + " " + backfillProgress(b))
		return
	}
	if step := 1 + done/plainStep; step != p.step { // 0 is that none was shown
		p.step = step
		p.out.line("  %s", backfillProgress(b))
	}
}

// draw puts a line in the place of the one that was drawn before.
func (p *progress) draw(text string) {
	line := []rune(text)
	// A line that wraps can't be drawn over.
	p.out.text("\r\x1b[K" + string(line[:min(len(line), p.width-1)]))
	p.drawn = true
}

// end leaves the terminal as other output expects it.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
}

// Write lets a log go between the lines.
func (p *progress) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	return p.out.w.Write(text)
}

func (p *progress) clear() {
	if p.drawn {
		p.out.text("\r\x1b[K")
		p.drawn = false
	}
}

// stage is a run's state in words.
func stage(run api.Run) string {
	switch {
	case run.State == api.RunQueued && run.Reason != "":
		return "queued, " + strings.ReplaceAll(string(run.Reason), "_", " ")
	case run.State == api.RunRunning:
		m := run.MiniBatches
		text := fmt.Sprintf("running, %d %%: %s of %s, %s of %s", percent(run), api.Thousands(predicted(run)), api.Counted(run.Counts.Planned, "record"),
			api.Thousands(m.Staged+m.Committed), api.Counted(m.Total, "mini-batch"))
		for _, part := range []struct {
			n    int64
			what string
		}{{run.Counts.Carried, "carried"}, {run.Counts.DeadLettered, "dead-lettered"}, {run.Counts.GivenUp, "given up"}} {
			if part.n > 0 {
				text += fmt.Sprintf(", %s %s", api.Thousands(part.n), part.what)
			}
		}
		if m.RetryWait > 0 {
			text += fmt.Sprintf(", %s waiting to be retried", api.Counted(m.RetryWait, "mini-batch"))
		}
		return text
	}
	return string(run.State)
}

// predicted is the number of records that are done with.
func predicted(run api.Run) int64 {
	return run.Counts.Staged + run.Counts.Committed + run.Counts.DeadLettered + run.Counts.Gone
}

func percent(run api.Run) int64 {
	if run.Counts.Planned == 0 {
		return 0
	}
	return predicted(run) * 100 / run.Counts.Planned
}

func bar(percent int64) string {
	filled := int(percent * barWidth / 100)
	return "[" + strings.Repeat("=", filled) + strings.Repeat(" ", barWidth-filled) + "]"
}
