package trigger

import (
	"slices"
	"sort"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// The years a person can ask for: the store keeps instants as nanoseconds in
// 64 bits.
const firstYear, lastYear = 1970, 2200

// farthest is above every offset from UTC that there is.
const farthest = 26 * time.Hour

// stretch is a stretch of time with both ends included: one second, or a local
// date.
type stretch struct{ from, to time.Time }

// readStretch reads what a person wrote: an RFC 3339 instant, or a local
// date-time or date in a zone. The problem, about pointer, is for that person.
func readStretch(pointer, text string, zone *time.Location) (stretch, *api.Error) {
	refuse := func(format string, args ...any) (stretch, *api.Error) {
		e := invalid(pointer, "%q "+format, append([]any{text}, args...)...)
		return stretch{}, &e
	}
	var s stretch
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		s = stretch{at.UTC(), at.UTC()}
	} else if date, err := time.Parse(time.DateOnly, text); err == nil {
		s = stretch{shownFirst(date, zone), shownFirst(date.AddDate(0, 0, 1), zone).Add(-time.Second)}
	} else if wall, ok := readWall(text); ok {
		switch instants := shown(wall, zone); len(instants) {
		case 0:
			return refuse("does not exist in %s: the clock is set forward over it; write %s, the first instant after",
				zone, shownFirst(wall, zone).In(zone).Format(time.RFC3339))
		case 1:
			s = stretch{instants[0], instants[0]}
		default:
			return refuse("is shown twice in %s; write which is meant: %s or %s",
				zone, instants[0].In(zone).Format(time.RFC3339), instants[1].In(zone).Format(time.RFC3339))
		}
	} else {
		return refuse("is not an instant; write it like 2026-11-21T02:00:00Z, or 2026-11-21T02:00 or 2026-11-21 in %s", zone)
	}
	switch {
	case s.from.Nanosecond() != 0:
		return refuse("has a fraction of a second; write whole seconds")
	case s.from.Year() < firstYear || s.from.Year() > lastYear:
		return refuse("is not in the years %d–%d", firstYear, lastYear)
	}
	return s, nil
}

// readWall reads a local date-time; the wall time is given as if it were UTC.
func readWall(text string) (time.Time, bool) {
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05"} {
		if wall, err := time.Parse(layout, text); err == nil {
			return wall, true
		}
	}
	return time.Time{}, false
}

// shown lists the instants, in order, at which the clock of a zone shows a
// wall time: none in a gap, two where it is repeated.
func shown(wall time.Time, zone *time.Location) []time.Time {
	var instants []time.Time
	for at := wall.Add(-farthest); !at.After(wall.Add(farthest)); at = at.Add(time.Hour) {
		_, offset := at.In(zone).Zone()
		instant := wall.Add(-time.Duration(offset) * time.Second)
		if _, shows := instant.In(zone).Zone(); shows == offset && !slices.Contains(instants, instant) {
			instants = append(instants, instant)
		}
	}
	slices.SortFunc(instants, time.Time.Compare)
	return instants
}

// shownFirst is the first instant at which the clock shows a wall time, or a
// later one where it skips that.
func shownFirst(wall time.Time, zone *time.Location) time.Time {
	if instants := shown(wall, zone); len(instants) > 0 {
		return instants[0]
	}
	from := wall.Add(-farthest)
	seconds := sort.Search(int(2*farthest/time.Second), func(i int) bool {
		at := from.Add(time.Duration(i) * time.Second)
		_, offset := at.In(zone).Zone()
		return !at.Add(time.Duration(offset) * time.Second).Before(wall)
	})
	return from.Add(time.Duration(seconds) * time.Second)
}
