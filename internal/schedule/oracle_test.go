package schedule_test

import (
	"archive/zip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime/debug"
	"slices"
	"sort"
	"sync/atomic"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/schedule"
)

const (
	firstYear, lastYear = 2016, 2035
	// longestShift is at least what any clock is moved by in these years.
	longestShift = 3 * time.Hour
)

// TestAgainstTheOracle compares every occurrence of 60 rules around every change
// of every zone's clock in 20 years, each with every choice of dst, and over the
// month ends of one of the years.
func TestAgainstTheOracle(t *testing.T) {
	zones := zonesToCompare(t)
	o := newOracle(oracleRules, time.Minute)
	var total tally
	t.Run("zones", func(t *testing.T) {
		for i, name := range zones {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				c := newComparison(t, o, name)
				for _, change := range clockChanges(t, c.zone) {
					c.compare(around(change, 3*24*time.Hour), around(change, 24*time.Hour))
				}
				year := firstYear + i%(lastYear-firstYear+1)
				for month := time.January; month <= time.December; month++ {
					end := time.Date(year, month+1, 1, 0, 0, 0, 0, c.zone)
					c.compare(around(end, 36*time.Hour), nothing)
				}
				total.add(&c.tally)
			})
		}
	})
	t.Logf("%d zones × %d expressions with %d choices of dst: %s", len(zones), len(oracleRules), o.choices(), &total)
	total.atLeast(t, int64(len(zones))*50_000, int64(len(zones))*100_000)
}

// TestEveryMinuteOfTwentyYears leaves out nothing that only some days show.
func TestEveryMinuteOfTwentyYears(t *testing.T) {
	t.Parallel()
	o := newOracle(oracleRules, time.Minute)
	c := newComparison(t, o, "Europe/Berlin")
	until := lastYear
	if sampling() {
		until = firstYear + 1
	}
	for month := time.Date(firstYear, 1, 1, 0, 0, 0, 0, c.zone); month.Year() <= until; month = month.AddDate(0, 1, 0) {
		c.compare(window{month, month.AddDate(0, 1, 0)}, nothing)
	}
	t.Logf("%d expressions, %d to %d: %s", len(oracleRules), firstYear, until, &c.tally)
	c.tally.atLeast(t, 1_000_000, 1_000_000)
}

// TestSecondsAgainstTheOracle compares rules with seconds, second by second.
func TestSecondsAgainstTheOracle(t *testing.T) {
	t.Parallel()
	o := newOracle(secondRules, time.Second)
	var total tally
	zones := oddZones
	if sampling() {
		zones = oddZones[len(oddZones)-3:]
	}
	for _, name := range zones {
		c := newComparison(t, o, name)
		for _, change := range clockChanges(t, c.zone) {
			if change.Year() == 2018 || change.Year() == 2026 {
				c.compare(around(change, 4*time.Hour), around(change, 4*time.Hour))
			}
		}
		yearEnd := time.Date(2028, 1, 1, 0, 0, 0, 0, c.zone)
		c.compare(around(yearEnd, 25*time.Hour), nothing)
		total.add(&c.tally)
	}
	t.Logf("%d zones × %d expressions with %d choices of dst: %s", len(zones), len(secondRules), o.choices(), &total)
	total.atLeast(t, int64(len(zones))*200_000, int64(len(zones))*20_000)
}

// TestExcludedDatesAgainstTheOracle excludes the dates on which clocks change.
func TestExcludedDatesAgainstTheOracle(t *testing.T) {
	t.Parallel()
	o := newOracle(oracleRules, time.Minute)
	var total tally
	for _, name := range oddZones {
		zone, err := schedule.LoadZone(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, change := range clockChanges(t, zone) {
			if change.Year() == 2018 || change.Year() == 2026 {
				days := around(change.In(zone), time.Minute) // two dates where the clock changes at midnight
				c := newComparison(t, o.without(days.after, days.until), name)
				c.compare(around(change, 3*24*time.Hour), around(change, 24*time.Hour))
				total.add(&c.tally)
			}
		}
	}
	t.Logf("%d zones × %d expressions with %d choices of dst: %s", len(oddZones), len(oracleRules), o.choices(), &total)
	total.atLeast(t, 300_000, 700_000)
}

// oddZones change their clocks as few do, or never.
var oddZones = []string{
	"UTC", "America/New_York", "America/Santiago", "America/Havana", "America/Nuuk", "America/Sao_Paulo", "Europe/Berlin", "Europe/Dublin",
	"Africa/Casablanca", "Asia/Beirut", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia", "Pacific/Chatham", "Antarctica/Troll",
}

// zonesToCompare are the zones of the embedded data, each set of identical data
// once.
func zonesToCompare(t *testing.T) []string {
	t.Helper()
	archive, err := zip.OpenReader("zoneinfo.zip")
	if err != nil {
		t.Fatal(err)
	}
	names, byData := 0, map[[sha256.Size]byte]string{}
	for _, file := range archive.File {
		if file.FileInfo().IsDir() {
			continue
		}
		names++
		data, err := readAll(file)
		if err != nil {
			t.Fatal(err)
		}
		// Of the names of one zone, an odd one is kept, else the first.
		key := sha256.Sum256(data)
		if kept, ok := byData[key]; !ok || !slices.Contains(oddZones, kept) && (file.Name < kept || slices.Contains(oddZones, file.Name)) {
			byData[key] = file.Name
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	zones := slices.Sorted(maps.Values(byData))
	t.Logf("zone data %s: %d names, %d of them with data of their own", schedule.ZoneRelease(), names, len(zones))
	if len(zones) < 300 {
		t.Fatalf("the embedded data has %d zones only", len(zones))
	}
	if sampling() {
		const every = 25
		sample := slices.Clone(oddZones)
		for i := 0; i < len(zones); i += every {
			sample = append(sample, zones[i])
		}
		slices.Sort(sample)
		zones = slices.Compact(sample)
		t.Logf("a sample of %d zones is compared; run without -short and -race to compare all", len(zones))
	}
	return zones
}

func readAll(file *zip.File) ([]byte, error) {
	r, err := file.Open()
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(r)
	return data, errors.Join(err, r.Close())
}

// sampling tells whether a part of the comparisons has to do: in short runs, and
// with the race detector, which makes them ten times slower.
func sampling() bool {
	info, ok := debug.ReadBuildInfo()
	races := ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
	return testing.Short() || races
}

// clockChanges finds the instants at which a zone's offset from UTC changes.
func clockChanges(t *testing.T, zone *time.Location) []time.Time {
	t.Helper()
	const stride = 3 * time.Hour
	var changes []time.Time
	offset := func(at time.Time) time.Duration {
		_, seconds := at.In(zone).Zone()
		return time.Duration(seconds) * time.Second
	}
	before := time.Date(firstYear, 1, 1, 0, 0, 0, 0, time.UTC)
	for at := before; at.Year() <= lastYear; before, at = at, at.Add(stride) {
		if offset(at) == offset(before) {
			continue
		}
		minutes := sort.Search(int(stride/time.Minute), func(n int) bool {
			return offset(before.Add(time.Duration(n)*time.Minute)) != offset(before)
		})
		changes = append(changes, before.Add(time.Duration(minutes)*time.Minute))
		if shift := offset(at) - offset(before); shift.Abs() > longestShift {
			t.Fatalf("the clock of %s moves by %s: let longestShift allow for it", zone, shift)
		}
	}
	return changes
}

// tally counts what was compared, so that a test cannot pass by comparing
// nothing.
type tally struct{ windows, instants, occurrences int64 }

func (n *tally) add(more *tally) {
	atomic.AddInt64(&n.windows, more.windows)
	atomic.AddInt64(&n.instants, more.instants)
	atomic.AddInt64(&n.occurrences, more.occurrences)
}

func (n *tally) String() string {
	return fmt.Sprintf("%d instants in %d windows walked, %d occurrences compared", n.instants, n.windows, n.occurrences)
}

func (n *tally) atLeast(t *testing.T, instants, occurrences int64) {
	t.Helper()
	if !t.Failed() && (n.instants < instants || n.occurrences < occurrences) {
		t.Errorf("only %s, want at least %d and %d", n, instants, occurrences)
	}
}
