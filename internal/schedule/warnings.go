package schedule

import (
	"fmt"
	"strings"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// warnAhead is how far ahead of now daylight saving is warned of.
const warnAhead = 366 * 24 * time.Hour

// Warnings are findings about a valid schedule that its author should act on;
// each hint says how.
func (s *Schedule) Warnings(now time.Time) []api.Error {
	var warnings []api.Error
	for _, w := range []*api.Error{s.warnOfEitherDay(), s.warnOfNothingDue(now), s.warnOfDST(now)} {
		if w != nil {
			warnings = append(warnings, *w)
		}
	}
	return warnings
}

func (s *Schedule) warnOfEitherDay() *api.Error {
	p := s.pattern()
	if p == nil || !p.days.either {
		return nil
	}
	w := finding("/schedule/cron", s.declared.Cron, "day-of-month and day-of-week are both restricted, so a day matches by either one, not only by both")
	w.Hint = "for days that match both write calendar with days_of_month and weekdays; for one of them write * in the other field"
	return w
}

func (s *Schedule) warnOfNothingDue(now time.Time) *api.Error {
	if _, ok := s.Next(now); ok {
		return nil
	}
	pointer, value := s.ruleField()
	hint := "move it, or remove the schedule"
	if s.declared.EndAt != "" {
		pointer, value, hint = "/schedule/end_at", s.declared.EndAt, "move it, or remove it"
	}
	text := "nothing is due any more"
	if last, ok := s.Previous(now.Add(time.Nanosecond)); ok {
		text += "; the last occurrence was " + last.In(s.Location()).Format(time.RFC3339)
	}
	w := finding(pointer, value, "%s", text)
	w.Hint = hint
	return w
}

// ruleField is the field that holds the rule, and what it says.
func (s *Schedule) ruleField() (pointer, value string) {
	switch d := s.declared; {
	case d.Cron != "":
		return "/schedule/cron", d.Cron
	case d.Calendar != nil:
		return "/schedule/calendar", s.Describe()
	case d.Every != "":
		return "/schedule/every", string(d.Every)
	default:
		return "/schedule/at", strings.Join(d.At, ", ")
	}
}

// warnOfDST tells of the first missing and the first repeated wall time of a
// fixed rule, each unless dst says what is to become of it.
func (s *Schedule) warnOfDST(now time.Time) *api.Error {
	r := s.local()
	if p := s.pattern(); r == nil || p != nil && p.hourly() {
		return nil
	}
	var words api.DST
	if s.declared.DST != nil {
		words = *s.declared.DST
	}
	var missing, repeated string
	z := s.zone
	for i := z.periodAt(now.Unix()) + 1; i < len(z.periods) && z.periods[i].start <= now.Add(warnAhead).Unix(); i++ {
		p := &z.periods[i]
		fresh, shown := p.earlierWall+1, p.start+p.offset
		if w, ok := r.walls.next(fresh); ok && w < shown && missing == "" && words.Missing == "" && s.within(p.start) {
			missing = fmt.Sprintf("%s does not exist on %s, when clocks are put forward; due at %s instead", timeText(w), dateText(w), timeText(shown))
		}
		if w, ok := r.walls.next(shown); ok && w < fresh && repeated == "" && words.Repeated == "" && s.within(p.instant(w)) {
			repeated = fmt.Sprintf("%s is shown twice on %s, when clocks are put back; due the first time only", timeText(w), dateText(w))
		}
	}
	return s.dstWarning(missing, repeated)
}

func (s *Schedule) dstWarning(missing, repeated string) *api.Error {
	var texts, words, others []string
	if missing != "" {
		texts, words, others = append(texts, missing), append(words, `missing = "run_after"`), append(others, `missing = "skip"`)
	}
	if repeated != "" {
		texts, words, others = append(texts, repeated), append(words, `repeated = "first"`), append(others, `repeated = "last" or "both"`)
	}
	if len(texts) == 0 {
		return nil
	}
	pointer, value := s.ruleField()
	w := finding(pointer, value, "%s (%s)", strings.Join(texts, "; "), s.Location())
	w.Hint = fmt.Sprintf("write dst = { %s } to keep that, or choose %s; or take times that daylight saving leaves alone", strings.Join(words, ", "), strings.Join(others, ", "))
	return w
}

// within tells whether an instant is in [start_at, end_at).
func (s *Schedule) within(u int64) bool { return u >= s.start && u < s.end }
