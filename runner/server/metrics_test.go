package server

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// metricForm is what our metrics are called: room, what, unit.
var metricForm = regexp.MustCompile(`^batch_(runner|server|engine|trigger|store)_[a-z_]+_(seconds|bytes|count|bool|info)$`)

// Dashboards and alerts hang on these names: they may become more, not others.
func TestMetricsKeepTheirNames(t *testing.T) {
	b := newBench(t)
	b.declare(b.job("iris", 1, 20))
	b.until(b.trigger("iris"), ended)

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
		"batch_runner_build_info", "batch_runner_ready_bool", "batch_runner_start_time_seconds",
		"batch_server_request_duration_seconds", "batch_store_disk_free_bytes",
		"batch_trigger_job_healthy_bool", "batch_trigger_job_last_success_seconds",
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
