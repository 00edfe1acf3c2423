package acceptance

import (
	"fmt"
	"strings"
	"testing"
)

// job is an HCL job with some of its attributes replaced; an empty value
// leaves one out.
func job(name string, replaced map[string]string) string {
	attributes := map[string]string{
		"name":    `"` + name + `"`,
		"input":   `{ files = { uri = "/in/*.csv" } }`,
		"predict": `{ protocol = "oip_v2", model = { name = "iris" }, features = { columns = ["a"] }, endpoint = { url = "http://127.0.0.1:9" } }`,
		"output":  `{ files = { uri = "/out/dt={date}" } }`,
	}
	for attribute, value := range replaced {
		attributes[attribute] = value
	}
	var b strings.Builder
	fmt.Fprintf(&b, "resource \"batch_prediction_job\" %q {\n", name)
	for attribute, value := range attributes {
		if value != "" {
			fmt.Fprintf(&b, "  %s = %s\n", attribute, value)
		}
	}
	return b.String() + "}\n"
}

// Terraform drops keys it does not know inside an object: so every object has
// something that is missed when it is misspelt.
func TestWhatIsMisspeltOrMalformedIsAnErrorBeforeAnythingIsDone(t *testing.T) {
	predict := func(object string) map[string]string { return map[string]string{"predict": object} }
	one := func(attribute, value string) map[string]string { return map[string]string{attribute: value} }
	const rest = `protocol = "oip_v2", model = { name = "iris" }, features = { columns = ["a"] }`
	tests := []struct {
		replaced map[string]string
		texts    []string
	}{
		{one("schedule", `{ corn = "0 2 * * *" }`), []string{"schedule: one of at, calendar, cron, every is required"}},
		{one("schedule", `{ cron = "0 25 * * *" }`), []string{`schedule.cron "0 25 * * *": hour 25 is not in 0–23`}},
		{one("schedule", `{ cron = "@daily", time_zone = "Europe/Berln" }`), []string{`schedule.time_zone "Europe/Berln"`}},
		{one("schedule", `{ cron = "0 0 30 2 *" }`), []string{`schedule.cron "0 0 30 2 *": never fires`}},
		{one("schedule", `{ calendar = { weekday = ["mon"], hours = [2] }, cron = "@daily" }`), []string{"schedule: calendar and cron are both set; keep one"}},
		{one("schedule", `{ calendar = { days_of_month = [31], hours = [2] } }`), []string{"schedule.calendar.on_short_month"}},
		{one("schedule", `{ calendar = { weekdays = ["mon#6"], hours = [2] } }`), []string{`schedule.calendar.weekdays[0] "mon#6"`}},
		{one("schedule", `{ calendar = { hour = [2] } }`), []string{`attribute "schedule"`, `"hours" is required`}},
		{one("schedule", `{ at = ["2026-02-30T10:00"] }`), []string{`schedule.at[0] "2026-02-30T10:00"`}},
		{one("schedule", `{ cron = "@daily", exclude_dates = ["24.12.2026"] }`), []string{`schedule.exclude_dates[0] "24.12.2026"`}},
		{one("schedule", `{ cron = "@hourly", jitter = "1h" }`), []string{`schedule.jitter "1h"`}},
		{one("schedule", `{ cron = "@daily", dst = { mising = "skip" } }`), []string{"schedule.dst"}},
		{map[string]string{"schedule": `{ cron = "@daily" }`, "catch_up": `{ mod = "all" }`}, []string{`attribute "catch_up"`, `"mode" is required`}},
		{map[string]string{"schedule": `{ cron = "@daily" }`, "overlap": `"allow"`}, []string{"overlap", "add {run} to output.files.uri"}},
		{one("input", `{ file = { uri = "/in" } }`), []string{"input: one of files, sql is required"}},
		{one("input", `{ files = { url = "/in" } }`), []string{`attribute "input"`, `"uri" is required`}},
		{one("input", `{ sql = { dns = { secret = "dsn" }, query = "SELECT 1" } }`), []string{`attribute "input"`, `"dsn" is required`}},
		{one("input", `{ sql = { dsn = { secret = "dsn" }, query = "DELETE FROM items" } }`), []string{"input.sql.query"}},
		{one("input", `{ files = { uri = "/in/*.csv" }, wait_for = { ulr = "/in/done", timeout = "1h" } }`), []string{"input.wait_for: one of rows_at_least, sql, uri is required"}},
		{one("input", `{ files = { uri = "in/*.csv" } }`), []string{`input.files.uri "in/*.csv" is not absolute`, `abspath("in/*.csv")`}},
		{one("mini_batch", `{ row = 10 }`), []string{`attribute "mini_batch"`, `"rows" is required`}},
		{predict(`{ protcol = "oip_v2", model = { name = "iris" }, features = { columns = ["a"] }, endpoint = { url = "http://h" } }`), []string{"predict.protocol is required: oip_v2 or tf_v1"}},
		{predict(`{ ` + strings.Replace(rest, "name =", "nam =", 1) + `, endpoint = { url = "http://h" } }`), []string{`attribute "predict"`, `"name" is required`}},
		{predict(`{ ` + strings.Replace(rest, "columns", "colums", 1) + `, endpoint = { url = "http://h" } }`), []string{"predict.features: one of columns, exclude is required"}},
		{predict(`{ ` + rest + `, sever = { command = ["x"] } }`), []string{"predict: one of endpoint, program, server is required"}},
		{predict(`{ ` + rest + `, server = { comand = ["x"] } }`), []string{`attribute "predict"`, `"command" is required`}},
		{predict(`{ ` + rest + `, server = { command = ["x", "{prot}"] } }`), []string{"predict.server.command[1]", "{prot}"}},
		{predict(`{ ` + rest + `, server = { command = ["x"], secret_env = { A = { secrte = "a" } } } }`), []string{"predict.server.secret_env.A: one of env, file, secret is required"}},
		{predict(`{ ` + rest + `, endpoint = { uri = "http://h" } }`), []string{`attribute "predict"`, `"url" is required`}},
		{one("output", `{ files = { uri = "/out/{dat}" } }`), []string{"output.files.uri", "{dat}"}},
		{map[string]string{"schedule": `{ cron = "@hourly" }`, "output": `{ files = { uri = "/out/{date}" } }`},
			[]string{"output.files.uri \"/out/{date}\"", "share the folder /out/2026-01-01", "add {hour}"}},
		{map[string]string{"retry": `{ policy = "complete" }`, "output": `{ files = { uri = "/out/dt={date}" }, publish = "progressive" }`},
			[]string{`output.publish "progressive" shows mini-batches before the run has ended, and retry.policy "complete" promises all or nothing; change one of them`}},
		{map[string]string{"retry": `{ policy = "complete" }`, "max_failed": `"1%"`},
			[]string{`max_failed "1%" lets records fail, and retry.policy "complete" promises all or nothing; set it to "0" or remove it`}},
		{map[string]string{"retry": `{ policy = "complete" }`, "overlap": `"allow"`, "schedule": `{ cron = "@daily" }`, "output": `{ files = { uri = "/out/{run}" } }`},
			[]string{`overlap "allow" lets runs go on side by side, which retry.policy "complete" can't; use "queue_one"`}},
		{one("retry", `{ policy = "next_batch", attempts = 4 }`),
			[]string{`retry.attempts 4: with policy "next_batch" a mini-batch has one attempt, and what fails is carried to the next run; remove attempts`}},
		{one("retry", `{ policy = "partial", max_run_attempts = 2 }`), []string{`retry.max_run_attempts goes with policy "complete" only; remove it or set that`}},
		{one("retry", `{ policy = "partial", max_carries = 2 }`),
			[]string{`retry.max_carries goes with records that one run leaves to the next, and this job's runs leave none; remove it, or set policy "next_batch" or an input.mode that remembers`}},
		{map[string]string{"input": `{ files = { uri = "/in/*.csv" }, mode = "new_files" }`, "overlap": `"allow"`, "schedule": `{ cron = "@daily" }`, "output": `{ files = { uri = "/out/{run}" } }`},
			[]string{`overlap "allow" lets runs go on side by side, and with input.mode "new_files" each begins where the last one ended; use "queue_one"`}},
		{one("input", `{ files = { uri = "/in/*.csv" }, mode = "new_files", on_empty = "skip" }`),
			[]string{`input.on_empty goes with mode "full" only: with mode "new_files" a run that finds nothing new has succeeded; remove it`}},
		{one("input", `{ files = { uri = "/in/*.csv", done_marker = "*.done" } }`), []string{`input.files.done_marker goes with input.mode "new_files" only`}},
		{one("dead_letters", `{ inptu = "full" }`), []string{`attribute "dead_letters"`, `"input" is required`}},
		{one("dead_letters", `{ input = "key_only" }`), []string{`dead_letters.input "key_only" keeps nothing but the key, and the job has none; list its columns in input.key`}},
		{predict(`{ ` + rest + `, endpoint = { url = "http://h" }, golden = { b = "1" } }`), []string{`predict.golden has no cell for "a"`, `predict.golden.b is not among predict.features.columns`}},
		{predict(`{ ` + rest + `, endpoint = { url = "http://h" }, permanent_statuses = [409], transient_statuses = [409] }`),
			[]string{"predict.transient_statuses[0] 409 is listed in permanent_statuses already; keep one"}},
		{predict(`{ ` + rest + `, server = { command = ["x"], price_per_hour = "cheap" } }`), []string{`predict.server.price_per_hour "cheap" is not a price`}},
		{one("retry", `{ polcy = "partial" }`), []string{`attribute "retry"`, `"policy" is required`}},
		{one("on_destroy", `{ prge = true }`), []string{`attribute "on_destroy"`, `"purge" is required`}},
		{one("runner", `{ id = "x", endpont = "unix:///r" }`), []string{`attribute "runner"`, `"endpoint" is required`}},
		{one("keep_withheld", `"10"`), []string{`keep_withheld "10" is not a duration`}},
		{one("max_failed", `"many"`), []string{`max_failed "many" is neither`}},
		{one("parallelism", `1.5`), []string{"parallelism"}},
		{one("paralelism", `2`), []string{`"paralelism"`}},
		{one("name", `"../churn"`), []string{`name "../churn" is not a job name`}},
	}
	w := newWorkspace(t)
	w.write("")
	for i, test := range tests {
		w.writeTo(fmt.Sprintf("case_%d.tf", i), job(fmt.Sprintf("case-%d", i), test.replaced))
	}
	w.writeTo("runner.tf", `resource "batch_runner" "typo" { local = { servce = "process" } }`)

	var result struct {
		Diagnostics []struct {
			Severity, Summary, Detail string
			Range                     struct{ Filename string }
		}
	}
	output, _ := w.try("validate", "-json")
	w.decode(output, &result)
	found := map[string]string{}
	for _, d := range result.Diagnostics {
		found[d.Range.Filename] += d.Summary + " " + d.Detail + "\n"
	}
	for i, test := range tests {
		has(t, found[fmt.Sprintf("case_%d.tf", i)], test.texts...)
	}
	has(t, found["runner.tf"], `"local"`, `"service" is required`)
}

func TestAMisspeltOptionalKeyLeavesItsDefaultInTheSummary(t *testing.T) {
	w := newWorkspace(t)
	w.write(job("typo", map[string]string{"retry": `{ policy = "partial", atempts = 9 }`}))
	changes, _ := w.plan()
	if len(changes) != 1 {
		t.Fatalf("the plan changes %s", addresses(changes))
	}
	has(t, fmt.Sprint(changes[0].Change.After["summary"]), "partial: mini-batches 4×")
}
