package trigger

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/schedule"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

var someRules = []*api.Schedule{
	nil,
	every("1s"), every("7m"), every("1h"), every("36h"),
	cron("*/5 * * * *", "UTC"), cron("30 * * * *", "America/New_York"), cron("30 2 * * *", "America/New_York"),
	cron("0 9 * * MON-FRI", "Europe/Berlin"), cron("0 0 1 * *", "Asia/Kolkata"),
}

// era is a stretch of time under one rule, as the law of the cursor cuts them.
type era struct {
	rule   *schedule.Schedule
	cursor time.Time // where it began
	until  time.Time // up to which occurrences were due in it
}

// TestEveryOccurrenceIsDecidedExactlyOnce drives a job through wakes, outages,
// edits, pauses, clock steps and runs that end at any time. In the end, each
// era's occurrences, enumerated afresh, are what the decision rows count.
func TestEveryOccurrenceIsDecidedExactlyOnce(t *testing.T) {
	r := newRoom(t, "2026-01-01T00:00:00Z")
	number := 0
	rapid.Check(t, func(p *rapid.T) {
		number++
		r.set(instant("2026-03-01T00:00:00Z").Add(time.Duration(rapid.IntRange(0, 30*24*3600).Draw(p, "start")) * time.Second))
		spec := validJob(fmt.Sprintf("job-%d", number), rapid.SampledFrom(someRules).Draw(p, "rule"))
		uid := r.put(spec).UID
		eras := []era{beginEra(p, r, spec)}

		for range rapid.IntRange(1, 12).Draw(p, "steps") {
			current := &eras[len(eras)-1]
			switch rapid.SampledFrom([]string{"wait", "outage", "back", "edit", "pause", "relabel", "finish", "crash"}).Draw(p, "step") {
			case "wait":
				r.add(time.Duration(rapid.IntRange(0, 400).Draw(p, "seconds")) * time.Second)
				r.wakeUp()
				current.reach(r.clock.now())
			case "outage":
				r.add(time.Duration(rapid.IntRange(0, 5*24).Draw(p, "hours")) * time.Hour / 3)
				r.wakeUp()
				current.reach(r.clock.now())
			case "back":
				r.add(-time.Duration(rapid.IntRange(0, 7200).Draw(p, "seconds back")) * time.Second)
				r.wakeUp()
				current.reach(r.clock.now())
			case "edit":
				next := rapid.SampledFrom(someRules).Draw(p, "new rule")
				r.add(time.Duration(rapid.IntRange(0, 7200).Draw(p, "seconds")) * time.Second)
				changes := !sameRule(spec.Schedule, next)
				spec.Schedule = next
				r.put(spec)
				if changes {
					current.reach(r.clock.now())
					eras = append(eras, beginEra(p, r, spec))
				}
			case "pause":
				yes := spec.Paused == nil || !*spec.Paused
				spec.Paused = &yes
				r.put(spec)
				current.reach(r.clock.now())
			case "relabel":
				spec.Labels = map[string]string{"n": fmt.Sprint(rapid.Int().Draw(p, "label"))}
				cursor := r.job(spec.Name).Cursor
				r.put(spec)
				if !r.job(spec.Name).Cursor.Equal(cursor) {
					p.Fatal("a new label moved the cursor")
				}
			case "finish":
				r.finish(uid)
			case "crash": // inside the transaction, after everything was decided
				err := r.store.Write(t.Context(), func(tx *store.Tx) error {
					_, _, err := decideJob(tx, r.jobIn(tx, spec.Name))
					if err != nil {
						return err
					}
					return fmt.Errorf("killed")
				})
				if err == nil {
					p.Fatal("the write did not fail")
				}
			}
		}
		r.wakeUp()
		eras[len(eras)-1].reach(r.clock.now())

		var want, got int64
		for _, e := range eras {
			if e.rule != nil {
				want += int64(e.rule.Span(e.cursor, e.until).Count)
			}
		}
		var last time.Time
		runs := map[string]store.Run{}
		for _, run := range r.runs(uid) {
			runs[run.ID] = run
		}
		for _, d := range r.decisions(uid) {
			got += d.Count
			if !d.First.After(last) || d.Last.Before(d.First) {
				p.Fatalf("decision %+v reaches back to or before %s", d, last)
			}
			last = d.Last
			run, hasRun := runs[d.Run]
			if hasRun != (d.Verdict == api.VerdictRun) || hasRun && (!run.Occurrence.Equal(d.First) || d.Count != 1) {
				p.Fatalf("decision %+v has run %+v", d, run.Run)
			}
			delete(runs, d.Run)
		}
		if got != want {
			p.Fatalf("%d occurrences were due, %d decided", want, got)
		}
		if len(runs) != 0 {
			p.Fatalf("runs without a decision: %v", runs)
		}
		if err := r.Delete(t.Context(), spec.Name, "", 0, true, "test"); err != nil {
			p.Fatal(err)
		}
	})
}

func beginEra(p *rapid.T, r *room, spec api.Job) era {
	rule, err := ruleOf(spec.Schedule)
	if err != nil {
		p.Fatal(err)
	}
	cursor := r.job(spec.Name).Cursor
	return era{rule: rule, cursor: cursor, until: cursor}
}

func (e *era) reach(now time.Time) {
	if now.After(e.until) {
		e.until = now
	}
}

func (r *room) jobIn(tx *store.Tx, name string) store.Job {
	job, err := tx.Job(name)
	if err != nil {
		r.t.Error(err)
	}
	return job
}

// The same for the pure function, over far more and longer spans: whatever the
// situation, the decisions tile what was due.
func TestDecisionsTileWhatWasDue(t *testing.T) {
	rapid.Check(t, func(p *rapid.T) {
		rule, err := ruleOf(rapid.SampledFrom(someRules[2:]).Draw(p, "rule"))
		if err != nil {
			p.Fatal(err)
		}
		cursor := instant("2026-01-01T00:00:00Z").Add(time.Duration(rapid.Int64Range(0, 1e17).Draw(p, "cursor")))
		now := cursor.Add(time.Duration(rapid.Int64Range(-1e12, 1e16).Draw(p, "elapsed")))
		out := decide(situation{
			rule: rule, cursor: cursor, now: now,
			active: rapid.Bool().Draw(p, "active"), paused: rapid.Bool().Draw(p, "paused"),
		})

		at := cursor
		for _, d := range out.decisions {
			if first, _ := rule.Next(at); !first.Equal(d.First) {
				p.Fatalf("decision %+v does not begin at %s", d, first)
			}
			if span := rule.Span(at, d.Last); int64(span.Count) != d.Count || !span.Last.Equal(d.Last) {
				p.Fatalf("decision %+v covers %d occurrences", d, span.Count)
			}
			at = d.Last
		}
		if rule.Span(at, now).Count != 0 {
			p.Fatalf("nothing is decided after %s", at)
		}
		if next, _ := rule.Next(later(at, out.cursor)); !next.Equal(out.nextDue) {
			p.Fatalf("next due is %s, want %s", out.nextDue, next)
		}
	})
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
