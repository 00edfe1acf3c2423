package schedule_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
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
		{"0 0 2 * * *", "0 2 * * *"},
		{"*/20 0 2 * * *", "0,20,40 0 2 * * *"},
		{"0 0 ? * MON", "0 0 * * 1"},
		{"0 0 1 * ?", "0 0 1 * *"},
		{"0 0 L 4,6 *", "0 0 30 4,6 *"},
		{"0 0 l-2 1 *", "0 0 29 1 *"},
		{"0 0 * * 5L", "0 0 * * friL"},
		{"0 0 * * 7L", "0 0 * * SUNL"},
		{"0 0 * * 1#2", "0 0 */1 * Mon#2"},
		{"0 0 * * MON#1,MON#2,MON#3,MON#4,MON#5", "0 0 * * MON"},
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
	s := mustParse(t, api.Schedule{Cron: cron})
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
		{"0 25 * * *", `"0 25 * * *": hour 25 is not in 0–23`},
		{"60 * * * *", `"60 * * * *": minute 60 is not in 0–59`},
		{"0 0 0 * *", `"0 0 0 * *": day-of-month 0 is not in 1–31`},
		{"0 0 1 13 *", `"0 0 1 13 *": month 13 is not in 1–12 or JAN–DEC`},
		{"0 0 * * 8", `"0 0 * * 8": day-of-week 8 is not in 0–7 or SUN–SAT`},
		{"0 0 * * MOO", `day-of-week "MOO" is not in 0–7 or SUN–SAT`},
		{"MON 0 * * *", `minute "MON" is not in 0–59`},
		{"0 99999999999999999999 * * *", `hour 99999999999999999999 is not in 0–23`},
		{"-5 * * * *", `minute range -5 lacks an end; write it like 0-59`},
		{"0 9- * * *", `hour range 9- lacks an end; write it like 0-23`},
		{"+5 * * * *", `minute "+5" is not in 0–59`},
		{"0 22-3 * * *", `hour range 22-3 runs backwards; write it as two: 22-23,0-3`},
		{"0 0 * * FRI-MON", `day-of-week range FRI-MON runs backwards; write it as two: FRI-SAT,SUN-MON`},
		{"0 0 * NOV-FEB *", `month range NOV-FEB runs backwards; write it as two: NOV-DEC,JAN-FEB`},
		{"*/0 * * * *", `minute step "0" is not in 1–59`},
		{"*/90 * * * *", `minute step "90" is not in 1–59`},
		{"*/x * * * *", `minute step "x" is not in 1–59`},
		{"1/2/3 * * * *", `minute step "2/3" is not in 1–59`},
		{"1,,2 * * * *", `minute has an empty item`},
		{"/5 * * * *", `minute has an empty item`},
		{"*5 * * * *", `minute "*5": * is not accepted here`},
		{"L * * * *", `minute "L": L is not accepted here; accepted are *, 0–59, ranges (1-5), steps (*/5), lists (1,5)`},
		{"? * * * *", `minute "?": ? is not accepted here`},
		{"0 0 ?,3 * *", `day-of-month "?": ? is not accepted here; accepted are *, 1–31, ranges (1-5), steps (*/5), lists (1,5), L, L-3, LW, 15W and ?`},
		{"0 0 ?/2 * *", `day-of-month "?": ? is not accepted here`},
		{"0 0 L/2 * *", `day-of-month "L": L is not accepted here`},
		{"0 0 1-L * *", `day-of-month "L": L is not accepted here`},
		{"0 0 L-31 * *", `day-of-month "L-31" is not L-1 to L-30, so many days before the last`},
		{"0 0 L-0 * *", `day-of-month "L-0" is not L-1 to L-30`},
		{"0 0 L-3W * *", `day-of-month "L-3W" is not L-1 to L-30`},
		{"0 0 32W * *", `day-of-month "32W" is not 1W to 31W, the weekday nearest to one day, nor LW, the last one`},
		{"0 0 W * *", `day-of-month "W" is not 1W to 31W`},
		{"0 0 1-15W * *", `day-of-month "1-15W" is not 1W to 31W`},
		{"0 0 * * L", `day-of-week "L" lacks its day; write FRIL for the last Friday of the month, SAT for every Saturday, or L in day-of-month`},
		{"0 0 * * 8L", `day-of-week 8 is not in 0–7`},
		{"0 0 * * MOOL", `day-of-week "MOO" is not in 0–7`},
		{"0 0 * * MON#6", `day-of-week "MON#6" is not counted by 1–5; write MON#2 for the second Monday of the month, or MONL for its last`},
		{"0 0 * * MON#-1", `day-of-week "MON#-1" is not counted by 1–5`},
		{"0 0 * * #2", `day-of-week "" is not in 0–7`},
		{"0 0 * * 5W", `day-of-week "5W": W is not accepted here; accepted are *, 0–7 or SUN–SAT, ranges (1-5), steps (*/5), lists (1,5), FRIL, MON#2 and ?`},
		{"  ", `the number of fields is 0, not 5`},
		{"0 2 * *", `the number of fields is 4, not 5: minute hour day-of-month month day-of-week`},
		{"0 0 0 2 * * *", `the number of fields is 7, not 5: minute hour day-of-month month day-of-week, or 6 with second first`},
		{"60 0 2 * * *", `second 60 is not in 0–59`},
		{"TZ=UTC 0 2 * * *", `a zone is written as time_zone, not in the expression`},
		{"@every 5m", `write an interval as every, not as @every`},
		{"@reboot", `is not a known shorthand; write @hourly, `},
		{"@daily 3", `is not a known shorthand; write @hourly, `},
		{"0 0 30 2 *", `never fires: no day-of-month 30 in month 2`},
		{"0 0 31 4,6,9,11 *", `never fires: no day-of-month 31 in month 4,6,9,11`},
		{"0 0 30W 2 ?", `never fires: no day-of-month 30W in month 2`},
		{"0 0 L-30 4 *", `never fires: no day-of-month L-30 in month 4`},
		{"0 0 */30 * MON#2", `never fires: no day-of-month */30 in month * is day-of-week MON#2`},
	}
	for _, tt := range tests {
		t.Run(tt.cron, func(t *testing.T) {
			_, err := schedule.Parse(api.Schedule{Cron: tt.cron})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("Parse = %v, want %s", err, tt.want)
			}
			problems, _ := errors.AsType[schedule.Problems](err)
			if len(problems) != 1 || problems[0].Pointer != "/schedule/cron" || !strings.HasPrefix(problems[0].Message, fmt.Sprintf("%q: ", tt.cron)) {
				t.Errorf("the error does not carry its field and value: %#v", err)
			}
		})
	}
}
