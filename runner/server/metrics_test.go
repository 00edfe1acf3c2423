package server

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
)

// metricForm is what our metrics are called: room, what, unit.
var metricForm = regexp.MustCompile(`^batch_(runner|server|engine|trigger|store)_[a-z_]+_(seconds|bytes|count|bool|info|total)$`)

// Dashboards and alerts hang on these names: they may become more, not others.
func TestMetricsKeepTheirNames(t *testing.T) {
	b := newBench(t)
	b.declareWithSkips("iris")
	b.until(b.trigger("iris"), ended)
	b.model.Inject(predicttest.Fault{Record: "1007", Status: 400, Purpose: predicttest.AnyPurpose})
	b.declare(b.job("sour", 1001, 1020))
	b.until(b.trigger("sour"), ended)

	var names []string
	for line := range strings.Lines(b.ask("GET", "/metrics", "").Body.String()) {
		if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, _, _ := strings.Cut(rest, " ")
			if strings.HasPrefix(name, "batch_") {
				names = append(names, name)
			}
			if !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") && !metricForm.MatchString(name) {
				t.Errorf("%s is not named batch_<room>_<what>_<unit>", name)
			}
		}
	}
	want := []string{
		"batch_engine_active_records_count", "batch_engine_active_runs_count",
		"batch_engine_last_run_isolation_requests_count", "batch_engine_last_run_records_count", "batch_engine_last_run_server_seconds",
		"batch_engine_owed_records_count", "batch_engine_spool_bytes",
		"batch_runner_build_info", "batch_runner_ready_bool", "batch_runner_start_time_seconds",
		"batch_server_request_duration_seconds", "batch_store_disk_free_bytes",
		"batch_trigger_decisions_total",
		"batch_trigger_job_healthy_bool", "batch_trigger_job_held_bool", "batch_trigger_job_last_success_seconds", "batch_trigger_job_next_due_seconds",
	}
	if !slices.Equal(names, want) {
		t.Errorf("metrics are\n%v, want\n%v", names, want)
	}
}

func TestMetricsTellOfJobsAndRequests(t *testing.T) {
	b := newBench(t)
	b.declare(b.job("iris", 1, 20))
	b.ask("GET", "/v1/jobs/nosuch", "")
	text := b.ask("GET", "/metrics", "").Body.String()
	for _, want := range []string{
		`batch_trigger_job_healthy_bool{job="iris"} 1`,
		`batch_server_request_duration_seconds_count{route="GET /v1/jobs/{name}",status="404"} 1`,
		`batch_engine_active_runs_count{state="queued"} 0`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is missing", want)
		}
	}
}

func TestMetricsTellWhatBecameOfTheRecordsOfTheLastRun(t *testing.T) {
	b := newBench(t)
	b.declare(b.job("iris", 1, 150))
	b.model.Inject(predicttest.Fault{Record: "41", Status: 400, Purpose: predicttest.AnyPurpose})
	run := b.until(b.trigger("iris"), ended)
	text := b.ask("GET", "/metrics", "").Body.String()
	for _, want := range []string{
		`batch_engine_last_run_records_count{job="iris",kind="planned"} 150`,
		`batch_engine_last_run_records_count{job="iris",kind="committed"} 149`,
		`batch_engine_last_run_records_count{job="iris",kind="dead_lettered"} 1`,
		`batch_engine_last_run_records_count{job="iris",kind="carried"} 0`,
		`batch_engine_last_run_server_seconds{job="iris"} 0`,
		`batch_engine_owed_records_count{job="iris"} 0`,
		fmt.Sprintf(`batch_engine_last_run_isolation_requests_count{job="iris",kind="probe"} %d`, run.Isolation.Probes),
		`batch_engine_last_run_isolation_requests_count{job="iris",kind="control"} 2`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("%s is missing", want)
		}
	}
}

func TestMetricsTellOfHeldJobsAndWhatTheySkipped(t *testing.T) {
	b := newBench(t)
	b.declareWithSkips("iris")
	if w := b.ask("POST", "/v1/jobs/iris/hold", `{"reason":"looking"}`); w.Code != http.StatusOK {
		t.Fatalf("hold: %d %s", w.Code, w.Body)
	}
	text := b.ask("GET", "/metrics", "").Body.String()
	for _, want := range []string{
		"# TYPE batch_trigger_decisions_total counter",
		`batch_trigger_decisions_total{job="iris",reason="cursor",verdict="skipped"} 3`,
		`batch_trigger_job_held_bool{job="iris"} 1`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is missing", want)
		}
	}
}

// declareWithSkips declares a job of which three occurrences were skipped.
func (b *bench) declareWithSkips(name string) {
	b.t.Helper()
	job := b.job(name, 1, 20)
	job.Schedule = &api.Schedule{Cron: "0 2 * * *"}
	b.declare(job)
	for _, to := range []string{"2020-06-01T12:00:00Z", "2020-06-04T12:00:00Z"} {
		if w := b.ask("POST", "/v1/jobs/"+name+"/cursor", fmt.Sprintf(`{"to":%q}`, to)); w.Code != http.StatusOK {
			b.t.Fatalf("cursor: %d %s", w.Code, w.Body)
		}
	}
}
