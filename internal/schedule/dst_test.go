package schedule_test

import (
	"slices"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

func TestDaylightSavingWords(t *testing.T) {
	const newYork, troll, lordHowe, apia = "America/New_York", "Antarctica/Troll", "Australia/Lord_Howe", "Pacific/Apia"
	tests := []struct {
		name, cron, zone string
		dst              api.DST
		after, until     string
		want             []string
	}{
		{"missing is skipped", "30 2 * * *", newYork, api.DST{Missing: "skip"}, "2026-03-08T00:00:00Z", "2026-03-09T00:00:00Z", nil},
		{"missing runs after", "30 2 * * *", newYork, api.DST{Missing: "run_after"}, "2026-03-08T00:00:00Z", "2026-03-09T00:00:00Z",
			[]string{"2026-03-08T07:00:00Z"}},
		{"skipped ones do not take others along", "0,30 1-3 * * *", newYork, api.DST{Missing: "skip"}, "2026-03-08T00:00:00Z", "2026-03-09T00:00:00Z",
			[]string{"2026-03-08T06:00:00Z", "2026-03-08T06:30:00Z", "2026-03-08T07:00:00Z", "2026-03-08T07:30:00Z"}},
		{"missing does not move an hourly rule", "30 * * * *", newYork, api.DST{Missing: "run_after"}, "2026-03-08T06:00:00Z", "2026-03-08T08:00:00Z",
			[]string{"2026-03-08T06:30:00Z", "2026-03-08T07:30:00Z"}},
		{"auto is first for a fixed rule", "30 1 * * *", newYork, api.DST{Repeated: "auto"}, "2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z",
			[]string{"2026-11-01T05:30:00Z"}},
		{"first", "30 1 * * *", newYork, api.DST{Repeated: "first"}, "2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z",
			[]string{"2026-11-01T05:30:00Z"}},
		{"last", "30 1 * * *", newYork, api.DST{Repeated: "last"}, "2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z",
			[]string{"2026-11-01T06:30:00Z"}},
		{"both", "30 1 * * *", newYork, api.DST{Repeated: "both"}, "2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z",
			[]string{"2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z"}},
		{"last, and missing still runs after", "30 1,2 * * *", newYork, api.DST{Repeated: "last"}, "2026-03-08T00:00:00Z", "2026-03-09T00:00:00Z",
			[]string{"2026-03-08T06:30:00Z", "2026-03-08T07:00:00Z"}},
		{"first for an hourly rule", "30 * * * *", newYork, api.DST{Repeated: "first"}, "2026-11-01T04:00:00Z", "2026-11-01T07:00:00Z",
			[]string{"2026-11-01T04:30:00Z", "2026-11-01T05:30:00Z"}},
		{"last for an hourly rule", "30 * * * *", newYork, api.DST{Repeated: "last"}, "2026-11-01T04:00:00Z", "2026-11-01T07:00:00Z",
			[]string{"2026-11-01T04:30:00Z", "2026-11-01T06:30:00Z"}},
		{"auto is both for an hourly rule", "30 * * * *", newYork, api.DST{Repeated: "auto"}, "2026-11-01T04:00:00Z", "2026-11-01T07:00:00Z",
			[]string{"2026-11-01T04:30:00Z", "2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z"}},
		{"Troll's two hours, last", "30 1,2 * * *", troll, api.DST{Repeated: "last"}, "2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z",
			[]string{"2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"}},
		{"Troll's two hours, both", "30 1,2 * * *", troll, api.DST{Repeated: "both"}, "2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z",
			[]string{"2026-10-24T23:30:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"}},
		{"Lord Howe's half hour, last", "45 1 * * *", lordHowe, api.DST{Repeated: "last"}, "2026-04-04T12:00:00Z", "2026-04-05T12:00:00Z",
			[]string{"2026-04-04T15:15:00Z"}},
		{"Apia's missing day is skipped", "0 9 30 12 *", apia, api.DST{Missing: "skip"}, "2011-12-01T00:00:00Z", "2012-02-01T00:00:00Z", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := mustParse(t, api.Schedule{Cron: tt.cron, TimeZone: tt.zone, DST: &tt.dst})
			assertInstants(t, slices.Collect(s.Between(at(tt.after), at(tt.until))), tt.want)
		})
	}
}
