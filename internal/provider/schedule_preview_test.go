package provider

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/schedule"
)

const previewKind = "batch_schedule_preview"

func TestPreviewListsOccurrencesOfAllSchedulesInOrder(t *testing.T) {
	h := newHarness(t, object{}) // nobody listens at the provider's endpoint
	config := object{
		"schedules": object{
			"nightly": object{"cron": "30 2 * * *", "time_zone": "America/New_York"},
			"hourly":  object{"every": "30m"},
		},
		"from": "2026-03-08T06:30:00Z", "limit": 2,
	}
	h.clean(h.validateData(previewKind, config))
	state, diags := h.data(previewKind, config)
	h.clean(diags)

	occurrences, _ := h.plain(state["occurrences"]).([]any)
	if len(occurrences) != 4 {
		t.Fatalf("the occurrences are %v", occurrences)
	}
	note, _ := occurrences[2].(object)["note"].(string)
	if want := []any{ // from is included
		object{"schedule": "hourly", "at": "2026-03-08T06:30:00Z", "local": "2026-03-08T06:30:00Z", "nominal": "2026-03-08T06:30:00", "note": nil},
		object{"schedule": "hourly", "at": "2026-03-08T07:00:00Z", "local": "2026-03-08T07:00:00Z", "nominal": "2026-03-08T07:00:00", "note": nil},
		object{"schedule": "nightly", "at": "2026-03-08T07:00:00Z", "local": "2026-03-08T03:00:00-04:00", "nominal": "2026-03-08T02:30:00", "note": note},
		object{"schedule": "nightly", "at": "2026-03-09T06:30:00Z", "local": "2026-03-09T02:30:00-04:00", "nominal": "2026-03-09T02:30:00", "note": nil},
	}; note == "" || !reflect.DeepEqual(occurrences, want) {
		t.Errorf("the occurrences are %v", occurrences)
	}
	if got := h.plain(state["collisions"]); !reflect.DeepEqual(got, []any{
		object{"at": "2026-03-08T07:00:00Z", "schedules": []any{"hourly", "nightly"}},
		object{"at": "2026-03-09T06:30:00Z", "schedules": []any{"hourly", "nightly"}},
	}) {
		t.Errorf("the collisions are %v", got)
	}
	words, _ := h.plain(state["descriptions"]).(object)
	if words["nightly"] != "at 02:30, America/New_York" {
		t.Errorf("the descriptions are %v", words)
	}
	if h.text(state["zones"]) != schedule.ZoneRelease() || h.text(state["from"]) != "2026-03-08T06:30:00Z" {
		t.Errorf("zones %s, from %s", h.text(state["zones"]), h.text(state["from"]))
	}
}

func TestPreviewBeginsNowAndListsTen(t *testing.T) {
	h := newHarness(t, object{})
	state, diags := h.data(previewKind, object{"schedules": object{"daily": object{"cron": "@daily"}}})
	h.clean(diags)
	occurrences, _ := h.plain(state["occurrences"]).([]any)
	first := theDay.Truncate(24*time.Hour).AddDate(0, 0, 1).Format(time.RFC3339)
	if len(occurrences) != 10 || occurrences[0].(object)["at"] != first || !state["from"].IsNull() {
		t.Errorf("the occurrences are %v", occurrences)
	}
	state, diags = h.data(previewKind, object{"schedules": object{}})
	h.clean(diags)
	if got := h.plain(state["occurrences"]); !reflect.DeepEqual(got, []any{}) {
		t.Errorf("of no schedules, the occurrences are %v", got)
	}
}

func TestPreviewKeepsScheduleAsWritten(t *testing.T) {
	h := newHarness(t, object{})
	schedules := object{}
	for i, s := range fullSchedules() {
		schedules[string(rune('a'+i))] = s
	}
	config := object{"schedules": schedules, "from": "2026-01-01T00:00:00+01:00", "limit": 1}
	state, diags := h.data(previewKind, config)
	h.clean(diags)
	wanted := h.at(h.value(h.schemas.DataSourceSchemas[previewKind].ValueType(), config), "schedules")
	if !state["schedules"].Equal(wanted) {
		t.Errorf("the state says %s", state["schedules"])
	}
}

func TestABadScheduleOfAPreviewIsAnErrorWithItsName(t *testing.T) {
	h := newHarness(t, object{})
	for _, test := range []struct {
		config object
		top    string
		text   string
	}{
		{object{"schedules": object{"nightly": object{"cron": "0 25 * * *"}}}, "schedules", `schedules.nightly.cron "0 25 * * *": hour 25`},
		{object{"schedules": object{"nightly": object{"calendar": object{"hours": []any{24}}}}}, "schedules", `schedules.nightly.calendar.hours[0] "24": `},
		{object{"schedules": object{"nightly": object{}}}, "schedules", "schedules.nightly: "},
		{object{"schedules": object{"nightly": nil}}, "schedules", "schedules.nightly is empty"},
		{object{"schedules": object{}, "limit": 1001}, "limit", "limit 1001 is not in 1–1000"},
		{object{"schedules": object{}, "from": "today"}, "from", `from "today" is not an RFC 3339 instant`},
		{object{"schedules": object{}, "runner": object{"id": "i", "endpoint": "tcp://h"}}, "runner", `runner.endpoint "tcp://h"`},
	} {
		h.want(h.validateData(previewKind, test.config), isError, test.text, `AttributeName("`+test.top+`")`)
	}
}

func TestPreviewComparesTimeZonesWithARunner(t *testing.T) {
	f := startFake(t)
	h := newHarness(t, object{})
	config := object{"schedules": object{"daily": object{"cron": "@daily"}}, "runner": object{"id": "runner-1", "endpoint": f.endpoint}}
	_, diags := h.data(previewKind, config)
	h.clean(diags)
	f.change(func() { f.zones = "2019a" })
	_, diags = h.data(previewKind, config)
	h.want(diags, isWarning, "time zones 2019a, the preview "+schedule.ZoneRelease(), f.endpoint)
	f.stop()
	state, diags := newHarness(t, object{}).data(previewKind, config)
	h.want(diags, isWarning, "not compared", f.endpoint)
	if !strings.Contains(h.text(h.at(state["descriptions"], "daily")), "UTC") {
		t.Errorf("without its runner the preview is %v", state)
	}
}
