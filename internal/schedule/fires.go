package schedule

import (
	"fmt"
	"strings"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// checkFires refuses a schedule without a single occurrence, and says which
// field is to blame: the first that, left out, lets it fire.
func (p *parser) checkFires(s *Schedule) {
	if _, ok := s.next(s.start); ok {
		return
	}
	d := p.declared
	rule := api.Schedule{Cron: d.Cron, Every: d.Every, Calendar: d.Calendar, At: d.At, Anchor: d.Anchor, TimeZone: d.TimeZone}
	bounded := rule
	bounded.StartAt, bounded.EndAt, bounded.DST = d.StartAt, d.EndAt, d.DST
	endless, beginless, everyClock := bounded, bounded, bounded
	endless.EndAt, beginless.StartAt, everyClock.DST = "", "", nil
	endless.ExcludeDates, beginless.ExcludeDates, everyClock.ExcludeDates = d.ExcludeDates, d.ExcludeDates, d.ExcludeDates
	switch {
	case !fires(rule):
		p.refuseRule()
	case len(d.ExcludeDates) > 0 && fires(bounded):
		p.refuse("/exclude_dates", d.ExcludeDates[0], "never fires: the dates exclude every occurrence")
	case d.EndAt != "" && fires(endless):
		where := "before it"
		if d.StartAt != "" {
			where = "between start_at, " + d.StartAt + ", and it"
		}
		p.refuse("/end_at", d.EndAt, "never fires: no occurrence comes %s", where)
	case d.StartAt != "" && fires(beginless):
		p.refuse("/start_at", d.StartAt, "never fires: no occurrence comes at or after it")
	case d.DST != nil && fires(everyClock):
		p.refuse("/dst/missing", d.DST.Missing, "never fires: daylight saving removes every occurrence; write %q", api.MissingRunAfter)
	default:
		p.refuseField("", "never fires: between them, start_at, end_at, exclude_dates and dst leave no occurrence")
	}
}

// fires tells whether a schedule that can be read has an occurrence.
func fires(declared api.Schedule) bool {
	s := (&parser{declared: declared}).read()
	_, ok := s.next(s.start)
	return ok
}

// checkJitter keeps the offsets of a rule's jobs from reaching its next
// occurrence.
func (p *parser) checkJitter(s *Schedule) {
	if s.jitter == 0 {
		return
	}
	if shortest, ok := s.shortest(s.jitter); ok && s.jitter >= shortest {
		p.refuse("/jitter", string(p.declared.Jitter), "is not shorter than %s, the shortest time between two occurrences", shortDuration(shortest))
	}
}

// refuseRule says why a rule never fires by itself: it can only be its days, or
// single date-times at the very edge of the calendar.
func (p *parser) refuseRule() {
	d := p.declared
	switch {
	case d.Cron != "":
		p.refuse("/cron", d.Cron, "never fires: %s", cronNever(d.Cron))
	case d.Calendar != nil && len(d.Calendar.Weekdays) > 0:
		p.refuse("/calendar/weekdays", d.Calendar.Weekdays[0], "never fires: no day of months and days_of_month is one of weekdays, %s", strings.Join(d.Calendar.Weekdays, ", "))
	case d.Calendar != nil:
		p.refuse("/calendar/days_of_month", fmt.Sprint(d.Calendar.DaysOfMonth[0]), "never fires: no month of months has such a day")
	default:
		p.refuse("/at", strings.Join(d.At, ", "), "%v", errYear)
	}
}
