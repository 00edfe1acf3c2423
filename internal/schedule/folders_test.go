package schedule

import (
	"strings"
	"testing"
	"time"
)

func TestNeighbouringOccurrencesMustNotShareAFolder(t *testing.T) {
	for _, test := range []struct {
		spec Spec
		uri  string
		want string // placeholder to add; empty: fine
	}{
		{Spec{Cron: "0 2 * * *"}, "/out/dt={date}/", ""},
		{Spec{Cron: "0 * * * *"}, "/out/dt={date}/", "{hour}"},
		{Spec{Cron: "0 * * * *"}, "/out/dt={date}/{hour}/", ""},
		{Spec{Cron: "0 * * * *", TimeZone: "Europe/Berlin"}, "/out/dt={date}/{hour}/", "{scheduled_at}"}, // 25 October: 02 twice
		{Spec{Cron: "0 * * * *", TimeZone: "Europe/Berlin"}, "/out/{scheduled_at}/", ""},
		{Spec{Cron: "*/15 * * * *"}, "/out/dt={date}/{hour}/", "{scheduled_at}"},
		{Spec{Cron: "0 2 * * MON-SAT"}, "/out/{year}-{month}/", "{date}"},
		{Spec{Cron: "0 2 1 * *"}, "/out/{year}-{month}/", ""},
		{Spec{Cron: "0 2 1 * *"}, "/out/", ""}, // occurrence=… is appended
		{Spec{Cron: "0 2 * * *"}, "/out/{run}/", ""},
		{Spec{Every: 24 * time.Hour}, "/out/{date}/", ""},
		{Spec{Every: 12 * time.Hour}, "/out/{date}/", "{hour}"},
		{Spec{Every: time.Second}, "/out/{date:%Y%m%d%H%M}/", "{scheduled_at}"},
		{Spec{Every: time.Second}, "/out/{date:%Y%m%d%H%M%S}/", ""},
	} {
		s, err := Parse(test.spec)
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
	s, err := Parse(Spec{Every: time.Second, TimeZone: "Europe/Berlin"})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := CheckFolders(s, "/out/{scheduled_at}/"); err != nil {
			b.Fatal(err)
		}
	}
}
