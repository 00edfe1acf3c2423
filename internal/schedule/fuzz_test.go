package schedule_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/schedule"
)

// FuzzParseCron holds the parser to its promises, whatever is written: what it
// accepts fires, and keeps firing; what it refuses is a finding about cron.
func FuzzParseCron(f *testing.F) {
	for _, r := range slices.Concat(oracleRules, secondRules) {
		f.Add(r.written.Cron, "Europe/Berlin")
	}
	for _, seed := range []string{
		"0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 29 2 MON#5", "5/10 1-5/2,7 1,15 jan-mar 7", "0 0 * * 7-7/7", "0 0 L-31 2 *", "0 0 31W 2 *",
		"0 0 LW-1 * *", "0 0 1-5W * *", "0 0 * * L", "0 0 * * MON#6", "0 0 * * MON#0", "0 0 * * MON#-1", "? ? ? ? ?", "-1 * * * *", "60 24 32 13 8",
		"* * * * * * *", "@reboot", "@every 5m", "TZ=UTC 0 2 * * *", " ", "\x00 * * * *", "*/0 * * * *", "0 22-3 * * *", "1,,2 * * * *",
	} {
		f.Add(seed, "America/New_York")
	}
	f.Add("30 2 * * *", "Antarctica/Troll")
	f.Add("0 9 * * FRI", "Pacific/Apia")
	f.Add("30 2 * * *", "../Local")
	f.Fuzz(func(t *testing.T, cron, zone string) {
		s, err := schedule.Parse(api.Schedule{Cron: cron, TimeZone: zone})
		if err != nil {
			for _, p := range findings(t, err) {
				aboutCron := p.Pointer == "/schedule/cron" && strings.HasPrefix(p.Message, fmt.Sprintf("%q: ", cron))
				aboutZone := p.Pointer == "/schedule/time_zone" && zone != ""
				if !aboutCron && !aboutZone && cron != "" {
					t.Errorf("%q in %q: a finding at %s: %s", cron, zone, p.Pointer, p.Message)
				}
			}
			return
		}
		after := at("2026-03-01T00:00:00Z")
		for range 3 {
			next, ok := s.Next(after)
			if !ok || !next.After(after) {
				t.Fatalf("%q in %q: Next(%s) = %s, %t", cron, zone, after, next, ok)
			}
			after = next
		}
		if s.Describe() == "" {
			t.Errorf("%q in %q has no words", cron, zone)
		}
	})
}

// FuzzParseSchedule puts every field of a schedule to the test, alone and with
// others, as it arrives in a request.
func FuzzParseSchedule(f *testing.F) {
	for _, r := range oracleRules {
		f.Add([]byte(text(r.written)))
	}
	for _, seed := range []string{
		`{}`, `{"cron":"0 2 * * *","every":"1h"}`, `{"every":"15m","anchor":"2026-01-01T00:00:00Z","jitter":"10m"}`, `{"every":"1h","dst":{"missing":"skip"}}`,
		`{"every":"0s"}`, `{"every":"9223372036s","jitter":"1s"}`, `{"every":"1000000h","exclude_dates":["1970-01-01"]}`,
		`{"cron":"30 2 * * *","time_zone":"America/New_York","dst":{"missing":"skip","repeated":"last"},"exclude_dates":["2026-12-24"],"start_at":"2026-03-08T02:30","end_at":"2027-01-01T00:00:00Z"}`,
		`{"at":["2026-12-24T18:00","2026-12-24T18:00:00Z"],"time_zone":"Europe/Berlin"}`, `{"at":[]}`, `{"at":["0000-01-01T00:00"]}`, `{"at":["9999-12-31T23:59:59Z"]}`,
		`{"calendar":{"hours":[2],"days_of_month":[31],"on_short_month":"last_day","weekdays":["fri#-1"],"months":["feb"]}}`,
		`{"calendar":{"hours":[-1,24],"minutes":[60],"days_of_month":[0,-29,32],"weekdays":["mon#6"],"months":["13"],"on_short_month":"never"}}`,
		`{"calendar":{"hours":[]}}`, `{"calendar":{"hours":[9007199254740993]}}`,
		`{"cron":"* * * * * *","jitter":"1s"}`, `{"cron":"0 0 1 1 *","start_at":"2026-01-02T00:00","end_at":"2026-12-31T00:00"}`,
		`{"cron":"0 0 1 1 *","start_at":"2399-12-31T23:59:59Z"}`, `{"cron":"0 0 * * *","end_at":"0001-01-01T00:00"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		var written api.Schedule
		if json.Unmarshal(document, &written) != nil {
			return // refused before it is a schedule
		}
		s, err := schedule.Parse(written)
		if err != nil {
			findings(t, err)
			return
		}
		for _, instant := range []string{"0001-01-01T00:00:00Z", "2026-03-08T06:59:59Z", "2026-11-01T05:30:00.5Z", "2399-12-31T23:59:59Z"} {
			asked := at(instant)
			next, ok := s.Next(asked)
			if ok && !next.After(asked) {
				t.Fatalf("%s: Next(%s) = %s", text(written), asked, next)
			}
			if back, found := s.Previous(next.Add(time.Nanosecond)); ok && (!found || !back.Equal(next)) {
				t.Fatalf("%s: Previous(just after %s) = %s, %t", text(written), next, back, found)
			}
			if list := s.Preview(asked, 3); ok != (len(list) > 0) || ok && !list[0].At.Equal(next) {
				t.Fatalf("%s: Preview(%s) = %v, but Next is %s, %t", text(written), asked, list, next, ok)
			}
		}
		for _, w := range s.Warnings(at("2026-03-01T00:00:00Z")) {
			if !strings.HasPrefix(w.Pointer, "/schedule") || w.Message == "" || w.Hint == "" {
				t.Errorf("%s: a warning without a place, a message or something to do: %+v", text(written), w)
			}
		}
		if s.Describe() == "" {
			t.Errorf("%s has no words", text(written))
		}
	})
}

// findings are what an error of Parse holds: at least one, each with a place of
// its own in the schedule and a message.
func findings(t *testing.T, err error) []api.Error {
	t.Helper()
	var problems schedule.Problems
	if !errors.As(err, &problems) || len(problems) == 0 {
		t.Fatalf("Parse failed with %T: %v", err, err)
	}
	seen := map[string]bool{}
	for _, p := range problems {
		if p.Code != api.CodeInvalid || p.Message == "" || p.Pointer != "/schedule" && !strings.HasPrefix(p.Pointer, "/schedule/") {
			t.Errorf("a finding without a place or message: %+v", p)
		}
		if seen[p.Pointer] {
			t.Errorf("two findings at %s: %v", p.Pointer, err)
		}
		seen[p.Pointer] = true
	}
	return problems
}
