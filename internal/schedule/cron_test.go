package schedule_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/schedule"
)

func TestCronSpellings(t *testing.T) {
	tests := []struct{ written, same string }{
		{"*/15 * * * *", "0,15,30,45 * * * *"},
		{"1-30/5 * * * *", "1,6,11,16,21,26 * * * *"},
		{"5/10 * * * *", "5,15,25,35,45,55 * * * *"},
		{"05 02 * * *", "5 2 * * *"},
		{"0 9-17/4,22 * * *", "0 9,13,17,22 * * *"},
		{"0 0 1 jan,JUL-Sep *", "0 0 1 1,7,8,9 *"},
		{"0 0 * * mon-Fri", "0 0 * * 1,2,3,4,5"},
		{"0 0 * * 7", "0 0 * * 0"},
		{"0 0 * * 5-7", "0 0 * * 0,5,6"},
		{"0 0 * * FRI-SUN", "0 0 * * 0,5,6"},
		{"0 0 * * SUN-TUE", "0 0 * * 0,1,2"},
		{"0 0 * * 7-2", "0 0 * * 0,1,2"},
		{"0 0 * * SUN-SUN", "0 0 * * 0"},
		{"0 0 * * 0-7", "0 0 * * *"},
		{"0 0 * * 1/2", "0 0 * * 1,3,5"},
		{"0 0 * * 7/3", "0 0 * * 0,3,6"},
		{"0 0 * * */7", "0 0 * * SUN"},
		{"@hourly", "0 * * * *"},
		{"@daily", "0 0 * * *"},
		{"@midnight", "0 0 * * *"},
		{"@Weekly", "0 0 * * SUN"},
		{"@monthly", "0 0 1 * *"},
		{"@yearly", "0 0 1 1 *"},
		{"@annually", "0 0 1 1 *"},
	}
	for _, tt := range tests {
		t.Run(tt.written, func(t *testing.T) {
			got, want := firstOf(t, tt.written), firstOf(t, tt.same)
			if !slices.Equal(got, want) {
				t.Errorf("%q and %q differ:\n%v\n%v", tt.written, tt.same, got, want)
			}
		})
	}
}

// firstOf lists enough occurrences to tell two expressions apart.
func firstOf(t *testing.T, cron string) []time.Time {
	t.Helper()
	s := mustParse(t, schedule.Spec{Cron: cron})
	var list []time.Time
	for instant := range s.Between(at("2026-01-01T00:00:00Z"), at("2030-01-01T00:00:00Z")) {
		if list = append(list, instant); len(list) == 200 {
			break
		}
	}
	return list
}

func TestCronErrors(t *testing.T) {
	tests := []struct{ cron, want string }{
		{"0 25 * * *", `cron "0 25 * * *": hour 25 is not in 0–23`},
		{"60 * * * *", `cron "60 * * * *": minute 60 is not in 0–59`},
		{"0 0 0 * *", `cron "0 0 0 * *": day-of-month 0 is not in 1–31`},
		{"0 0 1 13 *", `cron "0 0 1 13 *": month 13 is not in 1–12 or JAN–DEC`},
		{"0 0 * * 8", `cron "0 0 * * 8": day-of-week 8 is not in 0–7 or SUN–SAT`},
		{"0 0 * * MOO", `day-of-week "MOO" is not in 0–7 or SUN–SAT`},
		{"MON 0 * * *", `minute "MON" is not in 0–59`},
		{"0 99999999999999999999 * * *", `hour 99999999999999999999 is not in 0–23`},
		{"-5 * * * *", `minute range -5 lacks an end; write it like 0-59`},
		{"0 9- * * *", `hour range 9- lacks an end; write it like 0-23`},
		{"+5 * * * *", `minute "+5" is not in 0–59`},
		{"0 22-3 * * *", `hour range 22-3 runs backwards; write it as two: 22-23,0-3`},
		{"0 0 * * FRI-MON", `day-of-week range FRI-MON runs backwards; write it as two: FRI-6,0-MON`},
		{"0 0 * NOV-FEB *", `month range NOV-FEB runs backwards; write it as two: NOV-12,1-FEB`},
		{"*/0 * * * *", `minute step "0" is not in 1–59`},
		{"*/90 * * * *", `minute step "90" is not in 1–59`},
		{"*/x * * * *", `minute step "x" is not in 1–59`},
		{"1/2/3 * * * *", `minute step "2/3" is not in 1–59`},
		{"1,,2 * * * *", `minute has an empty item`},
		{"/5 * * * *", `minute has an empty item`},
		{"*5 * * * *", `minute "*5": * is not accepted here`},
		{"0 0 L * *", `day-of-month "L": L is not accepted here; accepted are *, 1–31, ranges (1-5), steps (*/5) and lists (1,5)`},
		{"0 0 LW * *", `day-of-month "LW": L is not accepted here`},
		{"0 0 15W * *", `day-of-month "15W": W is not accepted here`},
		{"0 0 L-3 * *", `day-of-month "L": L is not accepted here`},
		{"0 0 ? * MON", `day-of-month "?": ? is not accepted here`},
		{"0 0 * * 5L", `day-of-week "5L": L is not accepted here`},
		{"0 0 * * friL", `day-of-week "friL": L is not accepted here`},
		{"0 0 * * MON#2", `day-of-week "MON#2": # is not accepted here; accepted are *, 0–7 or SUN–SAT, ranges`},
		{"", `neither cron nor every is set`},
		{"0 2 * *", `the number of fields is 4, not 5: minute hour day-of-month month day-of-week`},
		{"0 0 2 * * *", `the number of fields is 6, not 5: minute hour day-of-month month day-of-week`},
		{"TZ=UTC 0 2 * * *", `a zone is written as time_zone, not in the expression`},
		{"@every 5m", `write an interval as every, not as @every`},
		{"@reboot", `is not a known shorthand; write @hourly, `},
		{"@daily 3", `is not a known shorthand; write @hourly, `},
		{"0 0 30 2 *", `never fires: no day-of-month 30 in month 2`},
		{"0 0 31 4,6,9,11 *", `never fires: no day-of-month 31 in month 4,6,9,11`},
	}
	for _, tt := range tests {
		t.Run(tt.cron, func(t *testing.T) {
			_, err := schedule.Parse(schedule.Spec{Cron: tt.cron})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("Parse = %v, want %s", err, tt.want)
			}
			var finding *schedule.Error
			if !errors.As(err, &finding) || finding.Field != "cron" || finding.Value != tt.cron {
				t.Errorf("the error does not carry its field and value: %#v", err)
			}
		})
	}
}

func TestSpecErrors(t *testing.T) {
	tests := []struct {
		spec        schedule.Spec
		field, want string
	}{
		{schedule.Spec{}, "cron", `cron "": neither cron nor every is set; set one of them`},
		{schedule.Spec{Cron: "@daily", Every: time.Hour}, "every", `every "1h": cron is set too; keep one of them`},
		{schedule.Spec{Cron: "@daily", Anchor: at("2026-01-01T00:00:00Z")}, "anchor", `anchor "2026-01-01T00:00:00Z": goes with every, not with cron; remove it`},
		{schedule.Spec{Every: 500 * time.Millisecond}, "every", `every "500ms": is shorter than 1s, the shortest interval`},
		{schedule.Spec{Every: -time.Minute}, "every", `every "-1m": is shorter than 1s, the shortest interval`},
		{schedule.Spec{Every: 1500 * time.Millisecond}, "every", `every "1.5s": is not a whole number of seconds`},
		{schedule.Spec{Every: time.Hour, Anchor: at("2026-01-01T00:00:00.5Z")}, "anchor", `anchor "2026-01-01T00:00:00.5Z": has a fraction of a second; write whole seconds`},
		{schedule.Spec{Every: time.Hour, Anchor: at("2500-01-01T00:00:00Z")}, "anchor", `anchor "2500-01-01T00:00:00Z": is not in the years 1–2399`},
		{schedule.Spec{Cron: "0 0 30 2 *"}, "cron", `never fires`},
		{schedule.Spec{Cron: "@daily", TimeZone: "Mars/Base"}, "time_zone", `time_zone "Mars/Base": is not an IANA time zone; write one like Europe/Berlin`},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) {
			_, err := schedule.Parse(tt.spec)
			var finding *schedule.Error
			if !errors.As(err, &finding) || finding.Field != tt.field || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Parse = %v, want %s", err, tt.want)
			}
		})
	}
}

// FuzzParse holds the parser to one promise: what it accepts fires, and keeps
// firing, whatever was written.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"*/15 * * * *", "0 2 * * MON-SAT", "0 0 29 2 *", "0 0 30 2 */3", "@daily", "5/10 1-5/2,7 1,15 jan-mar 7",
		"0 0 L * *", "0 0 * * MON#2", "* * * * * *", "-1 * * * *", "0 0 * * 7-7/7", "59 23 31 12 6",
	} {
		f.Add(seed, "Europe/Berlin")
	}
	f.Add("30 2 * * *", "../Local")
	f.Fuzz(func(t *testing.T, cron, zone string) {
		s, err := schedule.Parse(schedule.Spec{Cron: cron, TimeZone: zone})
		if err != nil {
			return
		}
		after := at("2026-03-01T00:00:00Z")
		for range 3 {
			next, ok := s.Next(after)
			if !ok || !next.After(after) {
				t.Fatalf("%s: Next(%s) = %s, %t", s, after, next, ok)
			}
			after = next
		}
	})
}
