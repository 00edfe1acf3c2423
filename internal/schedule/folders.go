package schedule

import (
	"fmt"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// CheckFolders compares so many occurrences in a row from the beginning of the
// year, and so many on each day whose offset changes.
const foldersInARow, foldersAtAChange = 1000, 5000

// foldersFrom is where CheckFolders begins; what it finds must not depend on
// the day it is asked.
var foldersFrom = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// CheckFolders finds neighbouring occurrences whose predictions would share
// one folder, each replacing the one before: an hourly job into {date}, or
// {hour} where an hour is repeated. The error names the placeholder to add.
func CheckFolders(s *Schedule, uri string) error {
	if !api.HasOccurrencePlaceholder(uri) {
		return nil // the runner appends one that tells all occurrences apart
	}
	year := foldersFrom.AddDate(1, 0, 0)
	if err := s.compareFolders(uri, foldersFrom, year, foldersInARow); err != nil {
		return err
	}
	// Repeated hours are few and may lie far apart: each day of the year on
	// which the zone's offset changes is looked at by itself.
	for day := foldersFrom; day.Before(year); day = day.AddDate(0, 0, 1) {
		next := day.AddDate(0, 0, 1)
		_, offset := day.In(s.Location()).Zone()
		if _, after := next.In(s.Location()).Zone(); after != offset {
			if err := s.compareFolders(uri, day.Add(-time.Hour), next.Add(time.Hour), foldersAtAChange); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Schedule) compareFolders(uri string, after, until time.Time, limit int) error {
	var (
		before time.Time
		folder string
		seen   int
	)
	for at := range s.Between(after, until) {
		here, err := api.ExpandURI(uri, api.Occasion{Occurrence: at.In(s.Location()), Run: "run"})
		if err != nil {
			return nil // said elsewhere
		}
		if seen > 0 && here == folder {
			return fmt.Errorf("%q: the occurrences %s and %s share the folder %s, and the later one would replace the earlier; add {%s}",
				uri, before.Format(time.RFC3339), at.Format(time.RFC3339), here, s.missing(before, at))
		}
		before, folder = at, here
		if seen++; seen > limit {
			return nil
		}
	}
	return nil
}

// missing is the coarsest placeholder that tells two occurrences apart.
func (s *Schedule) missing(a, b time.Time) string {
	a, b = a.In(s.Location()), b.In(s.Location())
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
