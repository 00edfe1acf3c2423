//go:build bench

package main

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-co-op/gocron/v2"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// grid is the interval of the jobs of a wave; all are due at its multiples.
const (
	grid     = 15 * time.Second
	gridCron = "*/15 * * * * *"
	// settled is how long everything rests before a wave.
	settled = 2 * time.Second
)

// How late all of many jobs are that are due in one second, from the due
// instant until a reader sees their runs in the database, and what that costs
// a runner. Beside it gocron with a job of its own for each, which keeps
// nothing: until its tasks, that do nothing, are called.
func BenchmarkDueInOneSecond(b *testing.B) {
	for _, all := range []int{1_000, 100_000} {
		jobs, id := max(scaled(all), 100), fmt.Sprintf("due-%d", all)
		b.Run(fmt.Sprintf("jobs=%d", all), func(b *testing.B) {
			for b.Loop() {
				ours, theirs := runnerWave(b, jobs), gocronWave(b, jobs)
				milliseconds := func(d time.Duration, unit string) { b.ReportMetric(float64(d.Microseconds())/1e3, unit) }
				record(b, id, float64(ours.all.Microseconds())/1e3)
				record(b, id+"-gocron", float64(theirs.all.Microseconds())/1e3)
				if all == 100_000 {
					record(b, id+"-memory", ours.growth)
					record(b, id+"-gocron-memory", theirs.growth)
				}
				milliseconds(ours.p99, "p99-durable-ms")
				milliseconds(ours.taken, "slots-taken-ms")
				milliseconds(ours.cpu, "cpu-ms")
				b.ReportMetric(float64(ours.look.Microseconds()), "wake-us")
				b.ReportMetric(ours.idle, "idle-MB")
				milliseconds(theirs.register, "gocron-register-ms")
				milliseconds(theirs.p99, "gocron-p99-ms")
				milliseconds(theirs.cpu, "gocron-cpu-ms")
				b.ReportMetric(ours.p99.Seconds()/theirs.p99.Seconds(), "p99/gocron")
				b.ReportMetric(ours.growth/theirs.growth, "memory/gocron")
			}
		})
	}
}

// wave is what happened after a due instant.
type wave struct {
	all, p99      time.Duration // until all, or 99 of 100, were there
	taken         time.Duration // until the slots were taken
	cpu, register time.Duration
	look          time.Duration // of the engine at its queue, afterwards
	idle, growth  float64       // MiB: memory before, and its peak above that
}

func runnerWave(b *testing.B, jobs int) (w wave) {
	b.Helper()
	dir := b.TempDir()
	due := prepareJobs(b, dir, jobs)
	d := startDaemon(b, dir)
	db := openBeside(b, dir)
	if time.Until(due) < settled {
		b.Fatalf("the machine is too busy: all was ready only %s before the jobs were due", time.Until(due))
	}
	<-time.After(time.Until(due) - settled/2)
	before, seen := d.cpu(), make([]time.Duration, 0, 1000)
	w.idle = d.memory("VmRSS")
	d.resetPeak()
	<-time.After(time.Until(due))
	poll(b, "all runs to be queued", func() bool {
		n := 0
		must(b, db.QueryRow(`SELECT COALESCE(MAX(rowid), 0) FROM runs`).Scan(&n))
		for len(seen) < n*100/jobs { // one entry for each hundredth
			seen = append(seen, time.Since(due))
		}
		return n >= jobs
	})
	w.all, w.p99, w.cpu = seen[99], seen[98], d.cpu()-before
	w.growth = d.memory("VmHWM") - w.idle
	poll(b, "all slots to be taken", func() bool {
		taken, last := 0, int64(0)
		must(b, db.QueryRow(`SELECT COUNT(*), COALESCE(MAX(started_at), 0) FROM runs
			WHERE state IN ('planning', 'provisioning', 'running', 'committing')`).Scan(&taken, &last))
		w.taken = time.Unix(0, last).Sub(due)
		return taken == runner.DefaultMaxConcurrentRuns
	})
	d.stop()
	w.look = lookCost(b, dir)
	return w
}

// lookCost is what the engine asks of the store at each wake, while all these
// runs wait.
func lookCost(b *testing.B, dir string) time.Duration {
	b.Helper()
	s, err := store.Open(context.Background(), dir, time.Now)
	must(b, err)
	defer func() { must(b, s.Close()) }()
	const looks = 100
	begin := time.Now()
	for range looks {
		_, err := s.UnderWay()
		must(b, err)
		for _, err := range s.Runnable() {
			must(b, err)
			break
		}
	}
	return time.Since(begin) / looks
}

// prepareJobs fills a data dir with jobs that are due together for the first
// time at the instant that it gives.
func prepareJobs(b *testing.B, dir string, n int) time.Time {
	b.Helper()
	s, err := store.Open(context.Background(), dir, time.Now)
	must(b, err)
	defer func() { must(b, s.Close()) }()
	// Nobody answers there, so the runs that get a slot keep it.
	job := at("http://127.0.0.1:9", benchJob(writeRecords(b, 10)))
	job.Schedule = &api.Schedule{Cron: gridCron}
	// Until then all must be stored, and a runner ready.
	due := time.Now().Add(time.Duration(n)*600*time.Microsecond + 2*settled).Truncate(grid).Add(grid).UTC()
	chunks(b, s, n, func(tx *store.Tx, i int) error {
		job.Name = fmt.Sprintf("job-%06d", i)
		job.Output = api.Output{Files: &api.OutputFiles{URI: filepath.Join(dir, "out", job.Name) + "/"}}
		_, err := tx.InsertJob(store.Job{StoredJob: api.StoredJob{Spec: job}, Cursor: due.Add(-grid), NextDueAt: due})
		return err
	})
	return due
}

func chunks(b *testing.B, s *store.Store, n int, write func(tx *store.Tx, i int) error) {
	b.Helper()
	const chunk = 1000
	for from := 0; from < n; from += chunk {
		must(b, s.Write(context.Background(), func(tx *store.Tx) error {
			for i := from; i < min(from+chunk, n); i++ {
				if err := write(tx, i); err != nil {
					return err
				}
			}
			return nil
		}))
	}
}

// openBeside reads the database of a runner at work.
func openBeside(b *testing.B, dir string) *sql.DB {
	b.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, store.File)+"?mode=ro&_pragma=busy_timeout(10000)")
	must(b, err)
	b.Cleanup(func() { _ = db.Close() })
	return db
}

// gocronWave is the same in this process, with the alarm clock alone.
func gocronWave(b *testing.B, jobs int) (w wave) {
	b.Helper()
	heap := func() float64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc) / (1 << 20)
	}
	w.idle = heap()
	scheduler, err := gocron.NewScheduler(gocron.WithLocation(time.UTC))
	must(b, err)
	var (
		due     atomic.Int64 // the wave that counts
		called  atomic.Int64
		seen    = make([]time.Duration, jobs)
		allSeen = make(chan struct{})
	)
	begin := time.Now()
	for range jobs {
		_, err := scheduler.NewJob(gocron.CronJob(gridCron, true), gocron.NewTask(func() {
			at := due.Load()
			if at == 0 || time.Now().UnixNano() < at {
				return
			}
			if n := called.Add(1); n <= int64(jobs) {
				seen[n-1] = time.Duration(time.Now().UnixNano() - at)
				if n == int64(jobs) {
					close(allSeen)
				}
			}
		}))
		must(b, err)
	}
	scheduler.Start()
	w.register = time.Since(begin)
	w.growth = heap() - w.idle
	at := time.Now().Add(settled).Truncate(grid).Add(grid)
	due.Store(at.UnixNano())
	<-time.After(time.Until(at) - settled/2)
	before := processTime(b, "self")
	select {
	case <-allSeen:
	case <-time.After(time.Minute):
		b.Fatalf("gocron called only %d tasks", called.Load())
	}
	w.cpu = processTime(b, "self") - before
	slices.Sort(seen)
	w.all, w.p99 = seen[jobs-1], seen[jobs*99/100]
	must(b, scheduler.Shutdown())
	return w
}

// What is left in the queue must not slow down the runs that come first.
func BenchmarkDrainingALongQueue(b *testing.B) {
	for b.Loop() {
		short, long := drain(b, 2_000), drain(b, 20_000)
		b.ReportMetric(long, "runs/s")
		record(b, "drain", long/short)
	}
}

// drain gives how many runs a second end while the first thousand do.
func drain(b *testing.B, queued int) float64 {
	b.Helper()
	const ended = 1_000
	dir := b.TempDir()
	s, err := store.Open(context.Background(), dir, time.Now)
	must(b, err)
	job := benchJob(writeRecords(b, 0))
	job.Output.Files.URI = filepath.Join(dir, "out") + "/"
	job.Input.OnEmpty = api.OnEmptySkip
	var stored store.Job
	chunks(b, s, queued, func(tx *store.Tx, i int) (err error) {
		if i%10 == 0 { // ten runs each
			job.Name = fmt.Sprintf("job-%06d", i)
			if stored, err = tx.InsertJob(store.Job{StoredJob: api.StoredJob{Spec: job}, Cursor: tx.Now}); err != nil {
				return err
			}
		}
		_, err = tx.InsertRun(store.Run{Run: api.Run{JobUID: stored.UID, Job: job.Name, Generation: 1,
			Occurrence: tx.Now.Truncate(time.Second).Add(time.Duration(i) * time.Second), Origin: api.OriginManual}}, "", "bench")
		return err
	})
	must(b, s.Close())
	d, begin := startDaemon(b, dir), time.Now()
	db := openBeside(b, dir)
	poll(b, "runs to end", func() bool {
		n := 0
		must(b, db.QueryRow(`SELECT COUNT(*) FROM runs WHERE ended_at > 0`).Scan(&n))
		return n >= ended
	})
	speed := ended / time.Since(begin).Seconds()
	d.stop()
	return speed
}
