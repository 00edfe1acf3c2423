package schedule

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// Problems are the findings about a declared schedule. Their pointers begin at
// the job, "/schedule/cron", and their messages with the value.
type Problems []api.Error

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].Error()
	}
	return strings.Join(lines, "\n")
}

// finding is one about a value of a schedule.
func finding(pointer, value, format string, args ...any) *api.Error {
	return &api.Error{Code: api.CodeInvalid, Pointer: pointer, Message: fmt.Sprintf("%q: ", value) + fmt.Sprintf(format, args...)}
}

// Parse checks a declared schedule and makes it ready to be asked. Its errors
// are Problems, all there are.
func Parse(declared api.Schedule) (*Schedule, error) {
	p := &parser{declared: declared}
	s := p.read()
	// What follows asks the rule, so it has to stand.
	if len(p.problems) == 0 {
		p.checkFires(s)
	}
	if len(p.problems) == 0 {
		p.checkJitter(s)
	}
	if len(p.problems) > 0 {
		return nil, p.problems
	}
	return s, nil
}

// parser reads the fields of a schedule, each of them whatever it finds wrong
// with others.
type parser struct {
	declared api.Schedule
	zone     *zone
	excluded dates
	problems Problems
}

// refuse notes a finding; the pointer begins within the schedule.
func (p *parser) refuse(pointer, value, format string, args ...any) {
	p.problems = append(p.problems, *finding("/schedule"+pointer, value, format, args...))
}

// refuseField notes a finding about a field as a whole, which has no one value.
func (p *parser) refuseField(pointer, format string, args ...any) {
	p.problems = append(p.problems, api.Error{Code: api.CodeInvalid, Pointer: "/schedule" + pointer, Message: fmt.Sprintf(format, args...)})
}

func (p *parser) read() *Schedule {
	p.checkShape()
	p.zone = p.timeZone()
	p.excluded = p.excludeDates()
	p.checkDST()
	s := &Schedule{declared: p.declared, zone: p.zone, rule: p.rule()}
	s.start, s.end = p.bounds()
	s.jitter = p.jitter()
	return s
}

// checkShape finds fields that do not go together.
func (p *parser) checkShape() {
	var rules []string
	for _, r := range []struct {
		name string
		set  bool
	}{
		{"at", len(p.declared.At) > 0}, {"calendar", p.declared.Calendar != nil},
		{"cron", p.declared.Cron != ""}, {"every", p.declared.Every != ""},
	} {
		if r.set {
			rules = append(rules, r.name)
		}
	}
	switch n := len(rules); {
	case n == 0:
		p.refuseField("", "one of at, calendar, cron, every is required")
	case n == 2:
		p.refuseField("", "%s and %s are both set; keep one", rules[0], rules[1])
	case n > 2:
		p.refuseField("", "%s and %s are all set; keep one", strings.Join(rules[:n-1], ", "), rules[n-1])
	}
	if p.declared.Anchor != "" && p.declared.Every == "" {
		p.refuse("/anchor", p.declared.Anchor, "goes with every only; remove it")
	}
}

// rule reads the rule that is set. Where several are, each is still checked.
func (p *parser) rule() rule {
	var r rule
	if p.declared.Every != "" {
		r = p.interval()
	}
	if len(p.declared.At) > 0 {
		r = p.points()
	}
	if p.declared.Calendar != nil {
		days := p.calendar(*p.declared.Calendar)
		r = p.localRule(days, days.hourly())
	}
	if p.declared.Cron != "" {
		days := p.cron(p.declared.Cron)
		r = p.localRule(days, days.hourly())
	}
	return r
}

// timeZone is the zone named; UTC stands in for one that does not exist, so
// that the other fields can be read.
func (p *parser) timeZone() *zone {
	name := p.declared.TimeZone
	if name == "" {
		name = api.DefaultTimeZone
	}
	z, err := loadZone(name)
	if err == nil {
		return z
	}
	p.problems = append(p.problems, *err)
	z, _ = loadZone(api.DefaultTimeZone)
	return z
}

func (p *parser) excludeDates() dates {
	var excluded dates
	for i, written := range p.declared.ExcludeDates {
		t, err := time.Parse(time.DateOnly, written)
		if err != nil || len(written) != len(time.DateOnly) {
			p.refuse(fmt.Sprintf("/exclude_dates/%d", i), written, "is not a date; write it like 2026-12-24")
			continue
		}
		u, err := withinCalendar(t)
		if err != nil {
			p.refuse(fmt.Sprintf("/exclude_dates/%d", i), written, "%v", err)
			continue
		}
		excluded = append(excluded, floorDiv(u, secondsPerDay))
	}
	slices.Sort(excluded)
	return slices.Compact(excluded)
}

func (p *parser) checkDST() {
	d := p.declared.DST
	switch {
	case d == nil:
		return
	case p.declared.Every != "":
		p.refuseField("/dst", "goes with wall times, and every counts elapsed time, which daylight saving does not touch; remove it")
	case d.Missing == "" && d.Repeated == "":
		p.refuseField("/dst", "is empty; set missing, repeated or both, or remove it")
	}
	p.word("/dst/missing", d.Missing, api.MissingRunAfter, api.MissingSkip)
	p.word("/dst/repeated", d.Repeated, api.RepeatedAuto, api.RepeatedFirst, api.RepeatedLast, api.RepeatedBoth)
}

// word checks one that may be absent.
func (p *parser) word(pointer, value string, known ...string) {
	if value != "" && !slices.Contains(known, value) {
		p.refuse(pointer, value, "is not one of %s", strings.Join(known, ", "))
	}
}

// localRule gives wall times their instants as the dst words say. Hourly rules
// have both instants of a repeated time, and never a missing one; all others
// have each wall time once.
func (p *parser) localRule(w walls, hourly bool) *localRule {
	var words api.DST
	if p.declared.DST != nil {
		words = *p.declared.DST
	}
	r := &localRule{walls: w, zone: p.zone, runAfter: !hourly && words.Missing != api.MissingSkip}
	switch words.Repeated {
	case api.RepeatedFirst:
		r.first = true
	case api.RepeatedLast:
		r.last = true
	case api.RepeatedBoth:
	default: // auto
		r.first = !hourly
	}
	return r
}

// bounds gives [start, end), all of the calendar where nothing is said.
func (p *parser) bounds() (start, end int64) {
	start, end = minUnix, endUnix
	started := p.bound("/start_at", p.declared.StartAt, &start)
	ended := p.bound("/end_at", p.declared.EndAt, &end)
	if started && ended && end <= start {
		p.refuse("/end_at", p.declared.EndAt, "is not after start_at, %s", p.declared.StartAt)
	}
	return start, end
}

func (p *parser) bound(pointer, written string, to *int64) bool {
	if written == "" {
		return false
	}
	m, err := parseMoment(written)
	if err != nil {
		p.refuse(pointer, written, "%v", err)
		return false
	}
	*to = m.in(p.zone)
	return true
}

func (p *parser) jitter() time.Duration {
	written := string(p.declared.Jitter)
	if written == "" {
		return 0
	}
	d, err := p.declared.Jitter.Parse()
	switch {
	case err != nil:
		p.refuse("/jitter", written, "is not a duration; write it like 30s or 10m")
	case d < time.Second:
		p.refuse("/jitter", written, "is shorter than 1s, the shortest jitter; lengthen it or remove it")
	case d%time.Second != 0:
		p.refuse("/jitter", written, "is not a whole number of seconds")
	}
	return d
}
