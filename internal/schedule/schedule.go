// Package schedule is the calendar of the product: it turns a rule (a cron
// expression or a fixed interval) into the instants at which a job is due, its
// occurrences, and holds the daylight saving rules and the embedded zone data
// that make the answer the same on every host.
//
// It is pure: it reads no clock, no host file and keeps no state but a cache of
// zones. What to do with an occurrence (run it, skip it, catch up) is decided
// by the trigger, not here.
//
// Three layers, each in its own file:
//
//   - cron.go reads an expression into a pattern;
//   - pattern.go finds the wall times of a pattern, knowing nothing of zones;
//   - local.go maps wall times to instants with the transitions of zone.go.
package schedule

import (
	"fmt"
	"iter"
	"strings"
	"time"
)

// Spec is a rule as a user writes it: exactly one of Cron and Every.
type Spec struct {
	Cron     string
	Every    time.Duration // whole seconds
	Anchor   time.Time     // one of the instants of Every; zero means the Unix epoch
	TimeZone string        // IANA name; empty means UTC
}

// Error is a finding about one field of a Spec. Callers put the path of the
// field's parent in front of it ("schedule.").
type Error struct {
	Field   string // "cron", "every", "anchor" or "time_zone"
	Value   string // as the user wrote it
	Problem string
}

func (e *Error) Error() string { return fmt.Sprintf("%s %q: %s", e.Field, e.Value, e.Problem) }

// rule finds occurrences as Unix seconds. Both directions answer false when
// there is none within the range the calendar covers.
type rule interface {
	next(from int64) (int64, bool) // the first at or after from
	prev(upTo int64) (int64, bool) // the last at or before upTo
}

// The calendar covers the years 1 to 2399; asked beyond, it answers "none". The
// upper bound keeps a zone's table of transitions small (see zone.go).
const (
	minUnix int64 = -62135596800
	endUnix int64 = 13569465600 // 2400-01-01T00:00:00Z
)

// Schedule is a parsed rule. It never changes, so goroutines may share it.
type Schedule struct {
	rule rule
	zone *zone
	text string
}

// Parse checks a spec and makes it ready to be asked. Its errors are *Error.
func Parse(spec Spec) (*Schedule, error) {
	if err := spec.checkShape(); err != nil {
		return nil, err
	}
	name := spec.TimeZone
	if name == "" {
		name = "UTC"
	}
	zone, err := loadZone(name)
	if err != nil {
		return nil, err
	}
	s := &Schedule{zone: zone}
	if spec.Cron == "" {
		rule, err := newInterval(spec.Every, spec.Anchor)
		if err != nil {
			return nil, err
		}
		s.rule, s.text = rule, rule.String()
	} else {
		pattern, err := parseCron(spec.Cron)
		if err != nil {
			return nil, err
		}
		s.rule, s.text = newLocalRule(pattern, zone), strings.Join(strings.Fields(spec.Cron), " ")
	}
	s.text += " " + name
	return s, nil
}

// checkShape finds fields that do not go together.
func (spec Spec) checkShape() error {
	switch {
	case spec.Cron == "" && spec.Every == 0:
		return &Error{"cron", "", "neither cron nor every is set; set one of them"}
	case spec.Cron != "" && spec.Every != 0:
		return &Error{"every", shortDuration(spec.Every), "cron is set too; keep one of them"}
	case spec.Cron != "" && !spec.Anchor.IsZero():
		return &Error{"anchor", spec.Anchor.Format(time.RFC3339Nano), "goes with every, not with cron; remove it"}
	}
	return nil
}

// Next is the first occurrence strictly after an instant, in UTC.
func (s *Schedule) Next(after time.Time) (time.Time, bool) {
	u, ok := s.next(after.Unix() + 1) // Unix rounds down
	return instant(u, ok)
}

// Previous is the last occurrence strictly before an instant, in UTC.
func (s *Schedule) Previous(before time.Time) (time.Time, bool) {
	upTo := before.Unix()
	if before.Nanosecond() == 0 {
		upTo--
	}
	if upTo < minUnix {
		return time.Time{}, false
	}
	u, ok := s.rule.prev(min(upTo, endUnix-1))
	return instant(u, ok && u >= minUnix)
}

// Between yields the occurrences in (after, until], oldest first, in UTC.
func (s *Schedule) Between(after, until time.Time) iter.Seq[time.Time] {
	return func(yield func(time.Time) bool) {
		from, upTo := after.Unix()+1, until.Unix()
		for {
			u, ok := s.next(from)
			if !ok || u > upTo || !yield(time.Unix(u, 0).UTC()) {
				return
			}
			from = u + 1
		}
	}
}

// Span sums up the occurrences of a stretch of time. First and Last are zero
// when Count is.
type Span struct {
	First, Last time.Time
	Count       int
}

// Span sums up (after, until] without holding the occurrences in memory.
func (s *Schedule) Span(after, until time.Time) Span {
	var span Span
	for t := range s.Between(after, until) {
		if span.Count == 0 {
			span.First = t
		}
		span.Last = t
		span.Count++
	}
	return span
}

// String is the rule as written, with its zone: "0 2 * * MON-SAT Europe/Berlin".
func (s *Schedule) String() string { return s.text }

// Location is the zone the rule is judged in.
func (s *Schedule) Location() *time.Location { return s.zone.location }

func (s *Schedule) next(from int64) (int64, bool) {
	if from >= endUnix {
		return 0, false
	}
	u, ok := s.rule.next(max(from, minUnix))
	return u, ok && u < endUnix
}

func instant(u int64, ok bool) (time.Time, bool) {
	if !ok {
		return time.Time{}, false
	}
	return time.Unix(u, 0).UTC(), true
}
