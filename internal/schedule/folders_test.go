package schedule

import (
	"strings"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

func TestNeighbouringOccurrencesMustNotShareAFolder(t *testing.T) {
	for _, test := range []struct {
		declared api.Schedule
		uri      string
		want     string // placeholder to add; empty: fine
	}{
		{api.Schedule{Cron: "0 2 * * *"}, "/out/dt={date}/", ""},
		{api.Schedule{Cron: "0 * * * *"}, "/out/dt={date}/", "{hour}"},
		{api.Schedule{Cron: "0 * * * *"}, "/out/dt={date}/{hour}/", ""},
		{api.Schedule{Cron: "0 * * * *", TimeZone: "Europe/Berlin"}, "/out/dt={date}/{hour}/", "{scheduled_at}"}, // 25 October: 02 twice
		{api.Schedule{Cron: "0 * * * *", TimeZone: "Europe/Berlin"}, "/out/{scheduled_at}/", ""},
		{api.Schedule{Cron: "*/30 * * * *", TimeZone: "Europe/Berlin"}, "/out/{date:%Y%m%d%H%M}/", "{scheduled_at}"}, // 02:30 twice, not in a row
		{api.Schedule{Cron: "*/30 * * * *", TimeZone: "Asia/Tokyo"}, "/out/{date:%Y%m%d%H%M}/", ""},
		{api.Schedule{Cron: "30 2 * * *", TimeZone: "Europe/Berlin", DST: &api.DST{Repeated: api.RepeatedBoth}}, "/out/dt={date}/", "{scheduled_at}"},
		{api.Schedule{Cron: "0 * * * *", StartAt: "2030-01-01T00:00"}, "/out/dt={date}/", "{hour}"},
		{api.Schedule{At: []string{"2020-01-01T06:00", "2020-01-01T18:00"}}, "/out/dt={date}/", "{hour}"},
		{api.Schedule{Cron: "*/15 * * * *"}, "/out/dt={date}/{hour}/", "{scheduled_at}"},
		{api.Schedule{Cron: "0 2 * * MON-SAT"}, "/out/{year}-{month}/", "{date}"},
		{api.Schedule{Cron: "0 2 1 * *"}, "/out/{year}-{month}/", ""},
		{api.Schedule{Cron: "0 2 1 * *"}, "/out/", ""}, // occurrence=… is appended
		{api.Schedule{Cron: "0 2 * * *"}, "/out/{run}/", ""},
		{api.Schedule{Every: "24h"}, "/out/{date}/", ""},
		{api.Schedule{Every: "12h"}, "/out/{date}/", "{hour}"},
		{api.Schedule{Every: "1s"}, "/out/{date:%Y%m%d%H%M}/", "{scheduled_at}"},
		{api.Schedule{Every: "1s"}, "/out/{date:%Y%m%d%H%M%S}/", ""},
	} {
		s, err := Parse(test.declared)
		if err != nil {
			t.Fatal(err)
		}
		err = CheckFolders(s, test.uri)
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%s into %s: %v", s, test.uri, err)
		case test.want != "" && (err == nil || !strings.HasSuffix(err.Error(), "add "+test.want)):
			t.Errorf("%s into %s: %v, want to add %s", s, test.uri, err, test.want)
		}
	}
}

func BenchmarkCheckFolders(b *testing.B) {
	s, err := Parse(api.Schedule{Every: "1s", TimeZone: "Europe/Berlin"})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := CheckFolders(s, "/out/{scheduled_at}/"); err != nil {
			b.Fatal(err)
		}
	}
}
