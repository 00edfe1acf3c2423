package provider

import "maps"

// minimalJob is the shortest job there is.
func minimalJob() object {
	return object{
		"name":  "churn",
		"input": object{"files": object{"uri": "/in/*.csv"}},
		"predict": object{
			"protocol": "oip_v2", "model": object{"name": "churn"}, "features": object{"columns": []any{"a", "b"}},
			"endpoint": object{"url": "http://127.0.0.1:9"},
		},
		"output": object{"files": object{"uri": "/out/at={scheduled_at}"}},
	}
}

// with is a copy of an object with one value changed, by its path.
func with(o object, value any, path ...string) object {
	o = maps.Clone(o)
	if len(path) == 1 {
		o[path[0]] = value
		return o
	}
	inner, _ := o[path[0]].(object)
	if inner == nil {
		inner = object{}
	}
	o[path[0]] = with(inner, value, path[1:]...)
	return o
}

// fullJobs set every attribute, between them.
func fullJobs(runner object) []object {
	server := object{
		"name": "churn", "runner": runner, "labels": object{"team": "growth"}, "paused": true,
		"schedule": object{"cron": "0 2 * * MON-SAT", "time_zone": "Europe/Berlin"},
		"catch_up": object{"mode": "all", "window": "7d", "max_runs": 5}, "overlap": "queue_all", "max_queued": 5, "hold_after_failures": 3,
		"input":      object{"files": object{"uri": "/in/dt={date-1d}/*.csv", "format": "csv"}, "key": []any{"id"}, "on_empty": "skip"},
		"mini_batch": object{"rows": 20}, "parallelism": 4,
		"predict": object{
			"protocol": "oip_v2", "model": object{"name": "churn", "version": "7"},
			"features":         object{"columns": []any{"a", "b"}, "as": "matrix", "name": "x", "datatype": "FP32"},
			"outputs":          object{"score": "predict_proba[1]"},
			"rows_per_request": 64, "request_timeout": "10s",
			"server": object{
				"command": []any{"/bin/serve", "{port}"}, "working_dir": "/srv", "env": object{"A": "b"},
				"secret_env": object{"S": object{"secret": "s"}, "F": object{"file": "/f"}, "E": object{"env": "E"}}, "start_timeout": "5m",
			},
		},
		"output": object{"files": object{"uri": "/out/at={scheduled_at}", "format": "jsonl"}, "keep": []any{"id"}},
		"retry":  object{"policy": "partial", "attempts": 3, "backoff": []any{"1s", "90m"}}, "max_failed": "0.1%", "keep_withheld": "90m",
		"run_on_create": "10m", "on_destroy": object{"purge": true},
	}
	endpoint := with(with(server, nil, "predict", "server"), object{"url": "https://host/base"}, "predict", "endpoint")
	schedules := fullSchedules()
	configs := []object{server, with(endpoint, schedules[0], "schedule")}
	for _, schedule := range schedules[1:] {
		config := with(with(minimalJob(), runner, "runner"), true, "on_destroy", "purge")
		configs = append(configs, with(config, schedule, "schedule"))
	}
	return configs
}

// fullSchedules set every attribute of a schedule, between them.
func fullSchedules() []object {
	return []object{
		{
			"cron": "0 2 * * MON-SAT", "time_zone": "Europe/Berlin", "start_at": "2026-01-01T00:00", "end_at": "2099-01-01T00:00:00Z",
			"exclude_dates": []any{"2026-12-25", "2027-01-01"}, "jitter": "10m", "dst": object{"missing": "skip", "repeated": "last"},
		},
		{"every": "1h", "anchor": "2026-01-01T00:00:00Z", "time_zone": "UTC", "jitter": "1m"},
		{
			"calendar": object{
				"months": []any{"jan", "7"}, "days_of_month": []any{31, -1}, "weekdays": []any{"mon", "tue#5", "fri#-1"},
				"hours": []any{6, 18}, "minutes": []any{0, 30}, "on_short_month": "last_day",
			},
			"time_zone": "Europe/Berlin", "jitter": "5m",
		},
		{"at": []any{"2098-12-24T18:00", "2098-12-31T00:00:00Z"}, "time_zone": "Europe/Berlin"},
	}
}
