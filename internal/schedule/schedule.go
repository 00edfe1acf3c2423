// Package schedule is the calendar of the product: it turns a declared rule (a
// cron expression, a fixed interval, a calendar in words or a list of
// date-times) into the instants at which a job is due, its occurrences, and
// holds the daylight saving rules and the embedded zone data that make the
// answer the same on every host. It also says in words what it will do.
//
// It is pure: it reads no clock, no host file and keeps no state but a cache of
// zones. What to do with an occurrence (run it, skip it, catch up) is decided
// by the trigger, not here.
//
// Three layers:
//
//   - parse.go reads a declaration; cron.go, calendar.go, interval.go and
//     points.go the four kinds of rules, the first two into a pattern;
//   - pattern.go and days.go find the wall times of a pattern, knowing nothing
//     of zones;
//   - local.go maps wall times to instants with the transitions of zone.go.
package schedule

import (
	"hash/fnv"
	"iter"
	"strings"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// rule finds occurrences as Unix seconds. Both directions answer false when
// there is none within the range the calendar covers.
type rule interface {
	next(from int64) (int64, bool) // the first at or after from
	prev(upTo int64) (int64, bool) // the last at or before upTo
}

// The calendar covers the years 1 to 2399; asked beyond, it answers "none". The
// upper bound keeps a zone's table of transitions small (see zone.go). Patterns
// look a year further, since wall times are ahead of and behind UTC.
const (
	minUnix int64 = -62135596800
	endUnix int64 = 13569465600 // 2400-01-01T00:00:00Z

	minYear, maxYear = 0, 2400
)

// Schedule is a parsed rule. It never changes, so goroutines may share it.
type Schedule struct {
	declared   api.Schedule // as written
	zone       *zone
	rule       rule // *interval, *localRule or *points
	start, end int64
	jitter     time.Duration
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
	if upTo < s.start {
		return time.Time{}, false
	}
	u, ok := s.rule.prev(min(upTo, s.end-1))
	return instant(u, ok && u >= s.start)
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

// String is a cron expression with its zone, "0 2 * * MON-SAT Europe/Berlin",
// and any other rule in words.
func (s *Schedule) String() string {
	if s.declared.Cron == "" {
		return s.Describe()
	}
	return strings.Join(strings.Fields(s.declared.Cron), " ") + " " + s.zone.location.String()
}

// Jitter is the stretch over which jobs of this rule are spread; 0 without one.
func (s *Schedule) Jitter() time.Duration { return s.jitter }

// Offset is the part of the jitter that a job, told by its key, is due later
// than its nominal occurrences. It never changes.
func (s *Schedule) Offset(key string) time.Duration {
	if s.jitter == 0 {
		return 0
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(key)) // a hash takes every byte
	return time.Duration(h.Sum64()%uint64(s.jitter/time.Second)) * time.Second
}

// Location is the zone the rule is judged in.
func (s *Schedule) Location() *time.Location { return s.zone.location }

// local is the part of the rule that wall times tell; nil where there is none.
func (s *Schedule) local() *localRule {
	switch r := s.rule.(type) {
	case *localRule:
		return r
	case *points:
		return r.local
	}
	return nil
}

// pattern is that of a cron expression or a calendar, else nil.
func (s *Schedule) pattern() *pattern {
	if r, ok := s.rule.(*localRule); ok {
		return r.walls.(*pattern)
	}
	return nil
}

// next is the first occurrence at or after an instant.
func (s *Schedule) next(from int64) (int64, bool) {
	from = max(from, s.start)
	if from >= s.end {
		return 0, false
	}
	u, ok := s.rule.next(from)
	return u, ok && u < s.end
}

func instant(u int64, ok bool) (time.Time, bool) {
	if !ok {
		return time.Time{}, false
	}
	return time.Unix(u, 0).UTC(), true
}
