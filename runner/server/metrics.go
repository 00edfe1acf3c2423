package server

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// metrics are the runner's, in a registry of its own: batch_<room>_<what>_<unit>,
// and _total for counters.
type metrics struct {
	requests *prometheus.HistogramVec
	handler  http.Handler
}

func newMetrics(s *Server) *metrics {
	registry := prometheus.NewRegistry()
	m := &metrics{
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "batch_server_request_duration_seconds", Help: "How long requests to the API took.",
			Buckets: []float64{.001, .005, .025, .1, .5, 2.5, 10},
		}, []string{"route", "status"}),
		handler: promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorLog: nil}),
	}
	registry.MustRegister(m.requests, collector{s}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// collector reads the store when it is asked: what it tells survives restarts
// and costs nothing in between.
type collector struct{ s *Server }

var (
	runnerInfo = prometheus.NewDesc("batch_runner_build_info", "Always 1; which runner this is.", []string{"version", "runner_id"}, nil)
	started    = prometheus.NewDesc("batch_runner_start_time_seconds", "When the runner was started, as Unix time.", nil, nil)
	ready      = prometheus.NewDesc("batch_runner_ready_bool", "1 while the runner takes work.", nil, nil)
	activeRuns = prometheus.NewDesc("batch_engine_active_runs_count", "Runs that have not ended, by state.", []string{"state"}, nil)
	activeWork = prometheus.NewDesc("batch_engine_active_records_count", "Records of the runs that have not ended, as the accounting counts them.", []string{"kind"}, nil)
	jobHealthy = prometheus.NewDesc("batch_trigger_job_healthy_bool", "1 while the job is healthy.", []string{"job"}, nil)
	jobHeld    = prometheus.NewDesc("batch_trigger_job_held_bool", "1 while the runner holds the job.", []string{"job"}, nil)
	jobNextDue = prometheus.NewDesc("batch_trigger_job_next_due_seconds", "When the job is next due, as Unix time; absent where it is not.", []string{"job"}, nil)
	jobSuccess = prometheus.NewDesc("batch_trigger_job_last_success_seconds", "The occurrence of the job's newest run that succeeded, as Unix time.", []string{"job"}, nil)
	jobRecords = prometheus.NewDesc("batch_engine_last_run_records_count", "Records of the job's last run, as the accounting counts them.", []string{"job", "kind"}, nil)
	jobServers = prometheus.NewDesc("batch_engine_last_run_server_seconds", "How long the prediction servers of the job's last run lived, together.", []string{"job"}, nil)
	jobProbed  = prometheus.NewDesc("batch_engine_last_run_isolation_requests_count", "Requests by which the job's last run looked for poison records; kinds of which there are none are absent.", []string{"job", "kind"}, nil)
	jobOwed    = prometheus.NewDesc("batch_engine_owed_records_count", "Records that the job's runs could not finish, for its next run to take.", []string{"job"}, nil)
	jobPassed  = prometheus.NewDesc("batch_trigger_decisions_total", "Occurrences of the job that were decided without a run, by verdict and reason.", []string{"job", "verdict", "reason"}, nil)
	spooled    = prometheus.NewDesc("batch_engine_spool_bytes", "What the copies of runs' input take in the data dir.", nil, nil)
	diskFree   = prometheus.NewDesc("batch_store_disk_free_bytes", "Free space where the data dir lies.", nil, nil)
)

var activeStates = []api.RunState{api.RunQueued, api.RunPlanning, api.RunProvisioning, api.RunRunning, api.RunCommitting}

// Describe implements prometheus.Collector.
func (c collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{runnerInfo, started, ready, activeRuns, activeWork, jobRecords, jobServers, jobProbed, jobOwed, jobHealthy, jobHeld, jobNextDue, jobSuccess, jobPassed, spooled, diskFree} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	counter := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, value, labels...)
	}
	gauge(runnerInfo, 1, c.s.Info.Version, c.s.Info.RunnerID)
	gauge(started, float64(c.s.Info.StartedAt.UnixMilli())/1000)
	gauge(ready, number(c.s.ready.Load()))
	if free, err := freeSpace(c.s.Info.DataDir); err == nil {
		gauge(diskFree, float64(free))
	}
	if bytes, _, err := c.s.spooled(); err != nil {
		out <- prometheus.NewInvalidMetric(spooled, err)
	} else {
		gauge(spooled, float64(bytes))
	}
	if err := c.runs(gauge); err != nil {
		out <- prometheus.NewInvalidMetric(activeRuns, err)
	}
	if err := c.jobs(gauge, counter); err != nil {
		out <- prometheus.NewInvalidMetric(jobHealthy, err)
	}
}

// tell passes one value on.
type tell func(d *prometheus.Desc, value float64, labels ...string)

func (c collector) runs(gauge tell) error {
	states, total, err := c.s.Store.ActiveWork()
	if err != nil {
		return err
	}
	for _, state := range activeStates {
		gauge(activeRuns, float64(states[state]), string(state))
	}
	for kind, n := range kinds(total) {
		gauge(activeWork, float64(n), kind)
	}
	return nil
}

// kinds are the figures of the accounting by name.
func kinds(c api.Counts) map[string]int64 {
	return map[string]int64{
		"planned": c.Planned, "committed": c.Committed, "carried": c.Carried, "dead_lettered": c.DeadLettered, "gone": c.Gone,
		"unfinished": c.Unfinished, "staged": c.Staged, "given_up": c.GivenUp,
	}
}

func (c collector) jobs(gauge, counter tell) error {
	all, err := c.s.Trigger.StatusAll(c.s.base)
	if err != nil {
		return err
	}
	for _, job := range all {
		gauge(jobHealthy, number(job.Healthy), job.Job)
		gauge(jobHeld, number(job.Held != nil), job.Job)
		if !job.NextDueAt.IsZero() {
			gauge(jobNextDue, float64(job.NextDueAt.Unix()), job.Job)
		}
		if job.LastSuccess != nil {
			gauge(jobSuccess, float64(job.LastSuccess.Occurrence.Unix()), job.Job)
		}
		gauge(jobOwed, float64(job.Owed), job.Job)
		if job.LastRun != nil {
			lastRun(gauge, *job.LastRun)
		}
		for verdict, counts := range map[api.Verdict]map[string]int64{api.VerdictMissed: job.Missed, api.VerdictSkipped: job.Skipped} {
			for reason, n := range counts {
				counter(jobPassed, float64(n), job.Job, string(verdict), reason)
			}
		}
	}
	return nil
}

// lastRun tells what a job's newest run came to. It is there already, read for
// the job's health: a sum over all runs would cost more with each night.
func lastRun(gauge tell, run api.Run) {
	for kind, n := range kinds(run.Counts) {
		gauge(jobRecords, float64(n), run.Job, kind)
	}
	gauge(jobServers, run.ServerSeconds, run.Job)
	i := run.Isolation
	for kind, n := range map[string]int64{"probe": i.Probes, "control": i.Controls, "confirmation": i.Confirmations} {
		if n > 0 {
			gauge(jobProbed, float64(n), run.Job, kind)
		}
	}
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
