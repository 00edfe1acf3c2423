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
		"input": object{
			"files": object{
				"uri": "/in/dt={date-1d}/*.csv", "format": "csv", "compression": "gzip", "header": false, "columns": []any{"id", "a", "b"},
				"null_values": []any{"NA"}, "hive_partitions": true, "verify": "checksum",
			},
			"key": []any{"id"}, "duplicate_keys": "first", "on_empty": "skip", "mode": "full", "wait_for": object{"uri": "/in/dt={date-1d}/_SUCCESS", "timeout": "2h"}, "max_spool": "5GB",
		},
		"mini_batch": object{"rows": 20, "timeout": "90m"}, "parallelism": 4,
		"predict": object{
			"protocol": "oip_v2", "model": object{"name": "churn", "version": "7"},
			"features": object{"columns": []any{"a", "b"}, "as": "matrix", "name": "x", "datatype": "FP32"},
			"outputs":  object{"score": "predict_proba[1]"}, "nan": "string",
			"rows_per_request": 64, "requests": "fixed", "request_timeout": "10s",
			"permanent_statuses": []any{409, 410}, "transient_statuses": []any{404}, "golden": object{"a": "1", "b": "2"}, "on_model_change": "continue",
			"server": object{
				"command": []any{"/bin/serve", "{port}"}, "working_dir": "/srv", "env": object{"A": "b"},
				"secret_env": object{"S": object{"secret": "s"}, "F": object{"file": "/f"}, "E": object{"env": "E"}}, "start_timeout": "5m",
				"replicas": 2, "model_files": []any{"/srv/model/*.bin"}, "price_per_hour": "0.35 EUR",
			},
		},
		"output": object{"files": object{"uri": "/out/at={scheduled_at}", "format": "jsonl"}, "keep": []any{"id"}, "publish": "progressive", "keep_runs": 30, "keep_for": "90d"},
		"retry":  object{"policy": "partial", "attempts": 3, "backoff": []any{"1s", "90m"}}, "max_failed": "0.1%", "keep_withheld": "90m",
		"accept_incomplete": true, "dead_letters": object{"input": "key_only", "keep_for": "14d"},
		"run_on_create": "10m", "on_destroy": object{"purge": true},
	}
	short := with(with(minimalJob(), runner, "runner"), true, "on_destroy", "purge")
	complete := with(with(short, object{"policy": "complete", "max_run_attempts": 3}, "retry"), "0", "max_failed")
	carrying := with(with(short, object{"policy": "next_batch", "max_carries": 5}, "retry"), object{
		"files": object{"uri": "/in/*.csv", "min_age": "5m", "done_marker": "*.done"}, "mode": "new_files", "state": "keep",
	}, "input")
	configs := []object{server, complete, carrying, partitioned(short), tableJob(short), programJob(short)}
	for reference, value := range map[string]string{"secret": "dsn", "file": "/run/dsn", "env": "DSN"} {
		dsn := object{reference: value}
		configs = append(configs, with(with(tableJob(short), dsn, "input", "sql", "dsn"), dsn, "output", "sql", "dsn"))
	}
	for _, schedule := range fullSchedules() {
		configs = append(configs, with(short, schedule, "schedule"))
	}
	return configs
}

// partitioned publishes Parquet.
func partitioned(job object) object {
	job = with(job, []any{"id"}, "input", "key")
	return with(job, object{
		"uri": "/scores/at={scheduled_at}", "format": "parquet", "layout": "per_mini_batch", "partition_by": []any{"id"}, "types": object{"id": "int64"},
	}, "output", "files")
}

// tableJob reads rows and writes predictions to a table.
func tableJob(job object) object {
	job = with(job, object{
		"sql": object{
			"dsn": object{"env": "ITEMS"}, "query": "SELECT id, a, b, changed_at FROM items", "watermark": object{"column": "changed_at", "start": "now", "lag": "10m"},
		},
		"key": []any{"id"}, "mode": "watermark", "wait_for": object{"sql": "SELECT done FROM loads", "timeout": "1h"},
	}, "input")
	return with(job, object{"sql": object{
		"dsn": object{"secret": "scores"}, "table": "ml.scores", "write": "upsert", "json_column": "prediction", "run_at": "scored_at", "only_if_unset": false,
	}}, "output")
}

// programJob has a program predict what the rows of a query hold.
func programJob(job object) object {
	job = with(job, object{
		"sql": object{"dsn": object{"file": "/run/dsn"}, "query": "SELECT * FROM items"}, "wait_for": object{"rows_at_least": 5, "timeout": "1h"},
	}, "input")
	return with(job, object{
		"features": object{"exclude": []any{"note"}},
		"program": object{
			"command": []any{"/bin/score", "{}"}, "working_dir": "/srv", "env": object{"A": "b"},
			"secret_env": object{"S": object{"secret": "s"}, "F": object{"file": "/f"}, "E": object{"env": "E"}}, "per": "slot",
		},
	}, "predict")
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
