package server

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// metrics are the runner's, in a registry of its own: batch_<room>_<what>_<unit>.
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
	jobNextDue = prometheus.NewDesc("batch_trigger_job_next_due_seconds", "When the job is next due, as Unix time; absent where it is not.", []string{"job"}, nil)
	jobSuccess = prometheus.NewDesc("batch_trigger_job_last_success_seconds", "The occurrence of the job's newest run that succeeded, as Unix time.", []string{"job"}, nil)
	diskFree   = prometheus.NewDesc("batch_store_disk_free_bytes", "Free space where the data dir lies.", nil, nil)
)

var activeStates = []api.RunState{api.RunQueued, api.RunPlanning, api.RunProvisioning, api.RunRunning, api.RunCommitting}

// Describe implements prometheus.Collector.
func (c collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{runnerInfo, started, ready, activeRuns, activeWork, jobHealthy, jobNextDue, jobSuccess, diskFree} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	gauge(runnerInfo, 1, c.s.Info.Version, c.s.Info.RunnerID)
	gauge(started, float64(c.s.Info.StartedAt.UnixMilli())/1000)
	gauge(ready, number(c.s.ready.Load()))
	if free, err := freeSpace(c.s.Info.DataDir); err == nil {
		gauge(diskFree, float64(free))
	}
	if err := c.runs(gauge); err != nil {
		out <- prometheus.NewInvalidMetric(activeRuns, err)
	}
	if err := c.jobs(gauge); err != nil {
		out <- prometheus.NewInvalidMetric(jobHealthy, err)
	}
}

type gauges func(d *prometheus.Desc, value float64, labels ...string)

func (c collector) runs(gauge gauges) error {
	active, err := c.s.Store.ActiveRuns()
	if err != nil {
		return err
	}
	states, total := map[api.RunState]int{}, api.Counts{}
	for _, run := range active {
		states[run.State]++
		total.Planned += run.Counts.Planned
		total.Staged += run.Counts.Staged
		total.Committed += run.Counts.Committed
		total.DeadLettered += run.Counts.DeadLettered
		total.GivenUp += run.Counts.GivenUp
		total.Unfinished += run.Counts.Unfinished
	}
	for _, state := range activeStates {
		gauge(activeRuns, float64(states[state]), string(state))
	}
	for kind, n := range map[string]int64{"planned": total.Planned, "staged": total.Staged, "committed": total.Committed,
		"dead_lettered": total.DeadLettered, "given_up": total.GivenUp, "unfinished": total.Unfinished} {
		gauge(activeWork, float64(n), kind)
	}
	return nil
}

func (c collector) jobs(gauge gauges) error {
	all, err := c.s.Trigger.StatusAll(c.s.base)
	if err != nil {
		return err
	}
	for _, job := range all {
		gauge(jobHealthy, number(job.Healthy), job.Job)
		if !job.NextDueAt.IsZero() {
			gauge(jobNextDue, float64(job.NextDueAt.Unix()), job.Job)
		}
		if job.LastSuccess != nil {
			gauge(jobSuccess, float64(job.LastSuccess.Occurrence.Unix()), job.Job)
		}
	}
	return nil
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
