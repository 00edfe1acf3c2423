package schedule

import (
	"fmt"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// CheckFolders compares so many occurrences in a row.
const foldersInARow = 1000

// foldersFrom is where CheckFolders begins, unless the schedule does later;
// what it finds must not depend on the day it is asked.
var foldersFrom = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Unix()

// CheckFolders finds occurrences whose predictions would share one folder, the
// later replacing the earlier: neighbours, like those of an hourly job into
// {date}, and those of a repeated hour, like 02:30 into {hour}. The error names
// the placeholder to add.
func CheckFolders(s *Schedule, uri string) error {
	if !api.HasOccurrencePlaceholder(uri) {
		return nil // the runner appends one that tells all occurrences apart
	}
	from := max(foldersFrom, s.start)
	if _, ok := s.rule.(*points); ok {
		from = s.start // date-times are few, and may all be past
	}
	if err := s.checkNeighbours(uri, from); err != nil {
		return err
	}
	z, year := s.zone, int64(366*secondsPerDay)
	for i := z.periodAt(max(foldersFrom, s.start)) + 1; i < len(z.periods) && z.periods[i].start < max(foldersFrom, s.start)+year; i++ {
		if err := s.checkRepeat(uri, &z.periods[i]); err != nil {
			return err
		}
	}
	return nil
}

func (s *Schedule) checkNeighbours(uri string, from int64) error {
	var before folder
	for range foldersInARow {
		u, ok := s.next(from)
		if !ok {
			return nil
		}
		here := s.folder(uri, u)
		if err := s.compare(uri, before, here); err != nil {
			return err
		}
		before, from = here, u+1
	}
	return nil
}

// checkRepeat compares the occurrences before the clock falls back into a
// period with those that see the same wall times again.
func (s *Schedule) checkRepeat(uri string, p *period) error {
	repeated := p.earlierWall + 1 - (p.start + p.offset)
	seen := map[string]folder{}
	for u, ok := s.next(p.start - repeated); ok && u < p.start+repeated; u, ok = s.next(u + 1) {
		here := s.folder(uri, u)
		if err := s.compare(uri, seen[here.path], here); err != nil {
			return err
		}
		seen[here.path] = here
	}
	return nil
}

// folder is where the predictions of an occurrence go.
type folder struct {
	at   time.Time // in the schedule's zone
	path string    // empty for none, and where the uri is wrong, which is said elsewhere
}

func (s *Schedule) folder(uri string, u int64) folder {
	at := time.Unix(u, 0).In(s.Location())
	path, err := api.ExpandURI(uri, api.Occasion{Occurrence: at, Run: "run"})
	if err != nil {
		path = ""
	}
	return folder{at, path}
}

func (s *Schedule) compare(uri string, before, here folder) error {
	if here.path == "" || here.path != before.path {
		return nil
	}
	return fmt.Errorf("%q: the occurrences %s and %s share the folder %s, and the later one would replace the earlier; add {%s}",
		uri, before.at.Format(time.RFC3339), here.at.Format(time.RFC3339), here.path, s.missing(before.at, here.at))
}

// missing is the coarsest placeholder that tells two occurrences apart.
func (s *Schedule) missing(a, b time.Time) string {
	switch {
	case a.Format(time.DateOnly) != b.Format(time.DateOnly):
		return "date"
	case a.Hour() != b.Hour() && a.Minute() == b.Minute() && a.Second() == b.Second() && !s.repeats(a):
		return "hour"
	default:
		return "scheduled_at"
	}
}

// repeats tells whether the local date of t has an hour twice.
func (s *Schedule) repeats(t time.Time) bool {
	start := time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, t.Location())
	return start.AddDate(0, 0, 1).Sub(start) > 24*time.Hour
}
