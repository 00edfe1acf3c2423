//go:build bench

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// daemon is a runner that serves.
type daemon struct {
	b   *testing.B
	dir string
	cmd *exec.Cmd
	// ready is how long it took from the start of the process.
	ready time.Duration
}

// What many jobs cost none of which is due.
func BenchmarkIdleRunner(b *testing.B) {
	for b.Loop() {
		d := startDaemon(b, b.TempDir())
		<-time.After(settled)
		record(b, "idle", d.memory("VmRSS"))
		d.stop()
	}
}

func BenchmarkRunnerWithManyJobs(b *testing.B) {
	for _, jobs := range []int{1_000, 10_000} {
		b.Run(fmt.Sprintf("jobs=%d", jobs), func(b *testing.B) {
			dir := b.TempDir()
			s, err := store.Open(context.Background(), dir, time.Now)
			must(b, err)
			job := benchJob(filepath.Join(dir, "records.jsonl"))
			job.Output.Files.URI = filepath.Join(dir, "out") + "/"
			job.Schedule = &api.Schedule{Cron: "0 2 * * *"}
			chunks(b, s, jobs, func(tx *store.Tx, i int) error {
				job.Name = fmt.Sprintf("job-%06d", i)
				_, err := tx.InsertJob(store.Job{StoredJob: api.StoredJob{Spec: job}, Cursor: tx.Now, NextDueAt: tx.Now.Add(24 * time.Hour)})
				return err
			})
			must(b, s.Close())
			for b.Loop() {
				ready, memory := time.Hour, math.Inf(1)
				for range 3 {
					d := startDaemon(b, dir)
					<-time.After(settled)
					ready, memory = min(ready, d.ready), min(memory, d.memory("VmRSS"))
					b.ReportMetric(d.memory("VmHWM"), "peak-MB")
					d.stop()
				}
				record(b, fmt.Sprintf("ready-%d", jobs), float64(ready.Microseconds())/1e3)
				record(b, fmt.Sprintf("rss-%d", jobs), memory)
			}
		})
	}
}

func startDaemon(b *testing.B, dir string) *daemon {
	b.Helper()
	d := &daemon{b: b, dir: dir, cmd: exec.Command(binary, "serve", "--data-dir", dir)}
	log, err := d.cmd.StderrPipe()
	must(b, err)
	begin := time.Now()
	must(b, d.cmd.Start())
	b.Cleanup(func() { // where it was not stopped
		if d.cmd.ProcessState == nil {
			_ = d.cmd.Process.Kill()
			_ = d.cmd.Wait()
		}
	})
	go func() { _, _ = io.Copy(io.Discard, log) }()
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(dir, "runner.sock"))
	}}}
	defer client.CloseIdleConnections()
	poll(b, "the runner to be ready", func() bool {
		answer, err := client.Get("http://runner/readyz")
		if err != nil {
			return false
		}
		_ = answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	d.ready = time.Since(begin)
	return d
}

// memory reads a figure of the process's status, in MiB: VmRSS, or its peak
// VmHWM.
func (d *daemon) memory(name string) float64 {
	d.b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.cmd.Process.Pid))
	must(d.b, err)
	_, after, _ := strings.Cut(string(status), name+":")
	kilobytes, err := strconv.ParseFloat(strings.Fields(after)[0], 64)
	must(d.b, err)
	return kilobytes / 1024
}

// resetPeak makes VmHWM begin anew.
func (d *daemon) resetPeak() {
	d.b.Helper()
	must(d.b, os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", d.cmd.Process.Pid), []byte("5"), 0))
}

// cpu is the processor time used so far.
func (d *daemon) cpu() time.Duration {
	d.b.Helper()
	return processTime(d.b, strconv.Itoa(d.cmd.Process.Pid))
}

// processTime is what a process has used of the processors; "self" is this one.
func processTime(b *testing.B, pid string) time.Duration {
	b.Helper()
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	must(b, err)
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+2:])
	total := time.Duration(0)
	for _, field := range fields[11:13] { // utime and stime, in hundredths of a second
		n, err := strconv.ParseInt(string(field), 10, 64)
		must(b, err)
		total += time.Duration(n) * 10 * time.Millisecond
	}
	return total
}

func (d *daemon) stop() {
	d.b.Helper()
	must(d.b, d.cmd.Process.Signal(syscall.SIGTERM))
	must(d.b, d.cmd.Wait())
}

// poll asks another process again and again: it sends no signals of its own.
func poll(b *testing.B, what string, done func() bool) {
	b.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(time.Minute); !done(); {
		select {
		case <-tick.C:
		case <-deadline:
			b.Fatalf("waited too long for %s", what)
		}
	}
}
