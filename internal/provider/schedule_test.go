package provider

import (
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
)

func scheduled(schedule any) object { return with(minimalJob(), schedule, "schedule") }

func TestABadScheduleIsAnErrorAtPlanOnItsPath(t *testing.T) {
	monthly := object{"days_of_month": []any{31}, "hours": []any{2}, "on_short_month": "skip"}
	daily := object{"cron": "0 2 * * *"}
	for name, test := range map[string]struct {
		schedule object
		path     string
	}{
		"cron never fires":        {object{"cron": "0 0 30 2 *"}, `schedule.cron "0 0 30 2 *": `},
		"cron with a bare L":      {object{"cron": "0 0 * * L"}, `schedule.cron "0 0 * * L": `},
		"two kinds":               {with(daily, []any{"2026-12-24T18:00"}, "at"), "schedule"},
		"no such weekday":         {object{"calendar": object{"weekdays": []any{"mon", "mod"}, "hours": []any{2}}}, `schedule.calendar.weekdays[1] "mod": `},
		"no such month":           {object{"calendar": object{"months": []any{"13"}, "hours": []any{2}}}, `schedule.calendar.months[0] "13": `},
		"no such hour":            {object{"calendar": object{"hours": []any{2, 25}}}, `schedule.calendar.hours[1] "25": `},
		"short months":            {object{"calendar": with(monthly, nil, "on_short_month")}, "schedule.calendar.on_short_month"},
		"short months, misspelt":  {object{"calendar": with(monthly, "last", "on_short_month")}, `schedule.calendar.on_short_month "last": `},
		"not an instant":          {object{"at": []any{"2026-12-24T18:00", "tomorrow"}}, `schedule.at[1] "tomorrow": `},
		"start_at":                {with(daily, "2026-13-01", "start_at"), `schedule.start_at "2026-13-01": `},
		"end_at before start_at":  {with(with(daily, "2026-02-01T00:00", "start_at"), "2026-01-01T00:00", "end_at"), "schedule.end_at "},
		"exclude_dates":           {with(daily, []any{"25.12.2026"}, "exclude_dates"), `schedule.exclude_dates[0] "25.12.2026": `},
		"jitter above the time":   {with(daily, "2d", "jitter"), `schedule.jitter "2d": `},
		"not a duration":          {object{"every": "soon"}, `schedule.every "soon": `},
		"jitter without a unit":   {with(daily, "10", "jitter"), `schedule.jitter "10": `},
		"dst of every":            {object{"every": "1h", "dst": object{"missing": "skip"}}, "schedule.dst"},
		"dst that says nothing":   {with(daily, object{}, "dst"), "schedule.dst"},
		"a word dst doesn't know": {with(daily, object{"repeated": "twice"}, "dst"), `schedule.dst.repeated "twice": `},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, object{})
			diags := h.validate(jobKind, scheduled(test.schedule))
			h.want(diags, isError, `AttributeName("schedule")`)
			if !strings.HasPrefix(diags[0].Summary, test.path) {
				t.Errorf("the summary does not begin with %s:\n%s", test.path, show(diags))
			}
		})
	}
}

func TestWhatGoesWithASchedule(t *testing.T) {
	daily := scheduled(object{"cron": "0 2 * * *"})
	for text, config := range map[string]object{
		`overlap "wait" is not one of skip`:                  with(daily, "wait", "overlap"),
		"max_queued goes with overlap":                       with(daily, 5, "max_queued"),
		`overlap "allow" lets runs publish at the same time`: with(daily, "allow", "overlap"),
		`catch_up.mode "some" is not one of latest`:          with(daily, object{"mode": "some"}, "catch_up"),
		"catch_up.max_runs goes with mode":                   with(daily, object{"mode": "latest", "max_runs": 3}, "catch_up"),
		"catch_up.window bounds what is caught up with":      with(daily, object{"mode": "none", "window": "1h"}, "catch_up"),
		"hold_after_failures 0 is not in 1–1000":             with(daily, 0, "hold_after_failures"),
		"catch_up is about due occurrences":                  with(minimalJob(), object{"mode": "none"}, "catch_up"),
	} {
		h := newHarness(t, object{})
		h.want(h.validate(jobKind, config), isError, text)
	}
}

func TestAFindingWaitsForTheUnknownValuesItRestsOn(t *testing.T) {
	daily := scheduled(object{"cron": "0 2 * * *"})
	hourly := scheduled(object{"calendar": object{"hours": []any{2, 3}}, "jitter": "2h"})
	for name, config := range map[string]object{
		"overlap of max_queued":        with(with(daily, 5, "max_queued"), unknown{}, "overlap"),
		"the uri of overlap":           with(with(daily, "allow", "overlap"), object{"files": object{"uri": unknown{}}}, "output"),
		"the schedule of catch_up":     with(scheduled(unknown{}), object{"mode": "none"}, "catch_up"),
		"an hour of jitter":            with(hourly, []any{2, unknown{}}, "schedule", "calendar", "hours"),
		"the zone of an excluded date": scheduled(object{"at": []any{"2026-12-24T18:00:00Z"}, "exclude_dates": []any{"2026-12-24"}, "time_zone": unknown{}}),
		"a cron that may be there":     scheduled(object{"cron": unknown{}}),
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, object{})
			h.clean(h.validate(jobKind, config))
		})
	}
	h := newHarness(t, object{})
	h.want(h.validate(jobKind, hourly), isError, "schedule.jitter")
	h.want(h.validate(jobKind, with(hourly, []any{"mod"}, "schedule", "calendar", "weekdays")), isError, "weekdays[0]")
	unsure := with(daily, object{"cron": "0 25 * * *", "start_at": "soon", "time_zone": unknown{}}, "schedule")
	if diags := h.validate(jobKind, unsure); len(diags) != 2 { // wrong in every zone
		t.Errorf("want two errors, got:\n%s", show(diags))
	}
}

func TestAScheduleThatMaySurpriseWarnsOnceAtPlan(t *testing.T) {
	f := startFake(t)
	h := newHarness(t, object{"endpoint": f.endpoint})
	for name, test := range map[string]struct {
		schedule object
		parts    []string
	}{
		"either day field":       {object{"cron": "0 12 1 * MON"}, []string{"schedule.cron", "calendar"}},
		"nothing due any more":   {object{"at": []any{"2025-12-24T18:00"}}, []string{"schedule.at"}},
		"a time that is removed": {object{"cron": "30 2 * * *", "time_zone": "America/New_York"}, []string{"2026-03-08", "dst"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := &harness{t: t, server: h.server, schemas: h.schemas}
			config := scheduled(test.schedule)
			h.clean(h.validate(jobKind, config))
			p, diags := h.plan(instance{kind: jobKind}, config)
			h.want(diags, isWarning, append(test.parts, "job churn: ", `AttributeName("schedule")`)...)
			job, diags := h.apply(p)
			h.clean(diags)
			_, diags = h.plan(job, with(config, 4, "parallelism"))
			h.clean(diags) // the schedule is not new
			f.lose("churn")
		})
	}
	quiet := scheduled(object{"cron": "30 2 * * *", "time_zone": "America/New_York", "dst": object{"missing": "skip", "repeated": "first"}})
	job := h.create(jobKind, quiet)
	_, diags := h.plan(job, with(quiet, "0 12 1 * MON", "schedule", "cron"))
	h.want(diags, isWarning, "job churn: schedule.cron")
	_, diags = h.plan(instance{kind: jobKind}, with(quiet, unknown{}, "schedule", "time_zone"))
	h.clean(diags)
}

func TestSummaryBeginsWithTheScheduleInWords(t *testing.T) {
	f := startFake(t)
	h := newHarness(t, object{"endpoint": f.endpoint})
	config := scheduled(object{"cron": "0 2 * * MON-SAT", "time_zone": "Europe/Berlin"})
	config["overlap"], config["catch_up"], config["hold_after_failures"] = "queue_one", object{"mode": "all", "window": "2d"}, 3
	summary := h.text(h.create(jobKind, config).state, "summary")
	const want = "at 02:00, Monday to Saturday, Europe/Berlin · missed: all, at most 30, not older than 2d · overlap: queue_one · held after 3 failed runs in a row · "
	if !strings.HasPrefix(summary, want) {
		t.Errorf("the summary is %s", summary)
	}
}

func TestCronFunctions(t *testing.T) {
	h := newHarness(t, object{})
	next, failed := h.call("cron_next", "30 2 * * *", "America/New_York", "2026-03-06T07:30:00Z", 3)
	// The first is after, not at; the second's time of day does not exist.
	if got, want := strings.Join(texts(next), " "), "2026-03-07T07:30:00Z 2026-03-08T07:00:00Z 2026-03-09T06:30:00Z"; failed != nil || got != want {
		t.Errorf("cron_next gives %s, %v", got, failed)
	}
	if words, failed := h.call("cron_describe", "0 2 * * MON-SAT", "Europe/Berlin"); failed != nil || words != "at 02:00, Monday to Saturday, Europe/Berlin" {
		t.Errorf("cron_describe gives %v, %v", words, failed)
	}
	for expression, want := range map[string]bool{"0 2 * * MON#2": true, "0 0 2 * * *": true, "@daily": true, "0 25 * * *": false, "0 0 30 2 *": false, "": false} {
		if got, failed := h.call("cron_validate", expression); failed != nil || got != want {
			t.Errorf("cron_validate(%q) gives %v, %v", expression, got, failed)
		}
	}
}

func TestAWrongArgumentOfAFunctionIsNamed(t *testing.T) {
	h := newHarness(t, object{})
	for _, test := range []struct {
		function  string
		arguments []any
		argument  int64
		text      string
	}{
		{"cron_next", []any{"0 25 * * *", "UTC", "2026-01-01T00:00:00Z", 1}, 0, `"0 25 * * *": hour 25 is not in 0–23`},
		{"cron_next", []any{"0 2 * * *", "Europe/Berln", "2026-01-01T00:00:00Z", 1}, 1, `"Europe/Berln": is not an IANA time zone`},
		{"cron_next", []any{"0 2 * * *", "", "2026-01-01T00:00:00Z", 1}, 1, "the host's zone is never used"},
		{"cron_next", []any{"0 2 * * *", "UTC", "2026-01-01", 1}, 2, `"2026-01-01" is not an RFC 3339 instant`},
		{"cron_next", []any{"0 2 * * *", "UTC", "2026-01-01T00:00:00Z", 0}, 3, "0 is not in 1–1000"},
		{"cron_next", []any{"0 2 * * *", "UTC", "2026-01-01T00:00:00Z", 1001}, 3, "1001 is not in 1–1000"},
		{"cron_describe", []any{"", "UTC"}, 0, "an expression is required"},
		{"cron_describe", []any{"@daily", "Local"}, 1, `"Local"`},
	} {
		_, failed := h.call(test.function, test.arguments...)
		if failed == nil || failed.FunctionArgument == nil || *failed.FunctionArgument != test.argument || !strings.Contains(failed.Text, test.text) {
			t.Errorf("%s%v fails with %+v, not with %q at %d", test.function, test.arguments, failed, test.text, test.argument)
		}
	}
}

func TestFunctionsAreDocumented(t *testing.T) {
	h := newHarness(t, object{})
	all, err := h.server.GetFunctions(t.Context(), &tfprotov6.GetFunctionsRequest{})
	h.must(err)
	for name, f := range all.Functions {
		if f.Summary == "" || f.Description == "" {
			t.Errorf("%s is not described", name)
		}
		for _, parameter := range f.Parameters {
			if parameter.Description == "" || parameter.AllowNullValue {
				t.Errorf("%s: %s is not described, or may be null", name, parameter.Name)
			}
		}
	}
}

func texts(list any) []string {
	var all []string
	elements, _ := list.([]any)
	for _, element := range elements {
		text, _ := element.(string)
		all = append(all, text)
	}
	return all
}
