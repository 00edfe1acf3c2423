package store

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// BenchmarkStage is one durable transition of a mini-batch, made by as many
// workers at once as a busy runner has.
func BenchmarkStage(b *testing.B) {
	s, _ := open(b)
	sizes := make([]int64, b.N)
	for i := range sizes {
		sizes[i] = 10
	}
	run := runningRun(b, s, newJob(b, s, "iris"), begin, sizes...)
	claimed := claim(b, s, run, b.N)
	var next atomic.Int64
	b.SetParallelism(128)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m := claimed[next.Add(1)-1]
			if err := s.Write(context.Background(), func(tx *Tx) error { return tx.Stage(run, m, result(m, 0)) }); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "transitions/s")
}

// BenchmarkDecide is 100,000 jobs that are due in one second, decided and
// queued, 1,000 in a transaction.
func BenchmarkDecide(b *testing.B) {
	const jobs = 100_000
	for range b.N {
		b.StopTimer()
		s, _ := open(b)
		fillJobs(b, s, jobs)
		var before, now runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		most, cpu := before.HeapAlloc, cpuTime(b)
		b.StartTimer()
		for more := true; more; {
			do(b, s, func(tx *Tx) error {
				n, err := decideChunk(tx, begin.Add(time.Hour))
				more = n > 0
				return err
			})
			runtime.ReadMemStats(&now)
			most = max(most, now.HeapAlloc)
		}
		b.StopTimer()
		b.ReportMetric((cpuTime(b) - cpu).Seconds(), "cpu-s/op")
		b.ReportMetric(float64(most-before.HeapAlloc)/1e6, "heap-MB")
		if states, _, err := s.ActiveWork(); err != nil || states[api.RunQueued] != jobs {
			b.Fatalf("queued: %v, %v", states, err)
		}
		closeStore(b, s)
	}
}

// decideChunk decides the next due jobs as a trigger would, each by a run.
func decideChunk(tx *Tx, at time.Time) (int, error) {
	due, err := tx.ClaimDue(at, 1000)
	decided := make([]Decided, len(due))
	for i, job := range due {
		decided[i] = Decided{Job: job, Cursor: at, NextDueAt: at.Add(24 * time.Hour), Decisions: []Verdict{{
			Decision: api.Decision{Verdict: api.VerdictRun, Reason: api.DecidedDue, First: job.NextDueAt, Last: job.NextDueAt, Count: 1},
			Origin:   api.OriginSchedule}}}
	}
	if err != nil {
		return 0, err
	}
	return len(due), tx.RecordDecisions(decided)
}

// fillJobs declares so many jobs that are due in an hour.
func fillJobs(t fataler, s *Store, jobs int) {
	t.Helper()
	spec := api.Job{
		Schedule: &api.Schedule{Cron: "0 3 * * *", TimeZone: "Europe/Berlin"},
		Input:    api.Input{Files: &api.InputFiles{URI: "/srv/models/input/{yyyy}/{mm}/{dd}/*.csv"}, Key: []string{"customer_id"}},
		Output:   api.Output{Files: &api.OutputFiles{URI: "/srv/models/output/{job}/{yyyy}-{mm}-{dd}"}},
		Predict: api.Predict{Protocol: api.ProtocolOIPv2, Model: api.Model{Name: "churn"}, Endpoint: &api.Endpoint{URL: "http://127.0.0.1:8080"},
			Features: api.Features{Columns: []string{"tenure", "monthly_charges", "total_charges", "contract", "payment_method"}}},
	}
	for i := 0; i < jobs; {
		do(t, s, func(tx *Tx) error {
			for range min(5000, jobs-i) {
				spec.Name = fmt.Sprintf("churn-%06d", i)
				i++
				if _, err := tx.InsertJob(Job{StoredJob: api.StoredJob{Spec: spec, Owner: "terraform"}, Cursor: begin, NextDueAt: begin.Add(time.Hour)}); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkPick is what the engine reads to fill ten slots from 100,000 queued
// runs, where ten jobs are busy and have a hundred more each ahead of all others.
func BenchmarkPick(b *testing.B) {
	s, _ := open(b)
	do(b, s, func(tx *Tx) error {
		w := newDecisionWriter(begin)
		for i := range 101_000 {
			job := Decided{Job: DueJob{UID: fmt.Sprint("waiting-", i), Name: "waiting"}}
			at := verdict(api.VerdictRun, api.DecidedDue, 1)
			if i < 1000 {
				job.Job.UID, at = fmt.Sprint("busy-", i%10), verdict(api.VerdictRun, api.DecidedDue, -i)
			}
			job.Decisions = []Verdict{at}
			if err := w.job(tx, job); err != nil {
				return err
			}
		}
		return w.runs.write(tx, insertRuns)
	})
	for i := range 10 {
		busy := must(s.UnfinishedOf(fmt.Sprint("busy-", i)))(b)
		move(b, s, busy[0], api.RunPlanning)
	}
	for b.Loop() {
		if underWay := must(s.UnderWay())(b); len(underWay) != 10 {
			b.Fatalf("%d under way", len(underWay))
		}
		free := 10
		for q, err := range s.Runnable() {
			if err != nil || strings.HasPrefix(q.UID, "busy") {
				b.Fatalf("%+v, %v", q, err)
			}
			if free--; free == 0 {
				break
			}
		}
	}
}
