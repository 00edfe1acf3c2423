package schedule

import (
	"archive/zip"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"sort"
	"strings"
	"sync"
	"time"
)

// The zone data is a copy of the one in the Go distribution, with the name of
// its IANA release beside it. `go generate` refreshes both from the Go toolchain
// in use. The host's zone files are never read: provider and runner must agree.
//
//go:generate sh -c "cp \"$(go env GOROOT)/lib/time/zoneinfo.zip\" . && sed -n s/^DATA=//p \"$(go env GOROOT)/lib/time/update.bash\" > zoneinfo.release"

//go:embed zoneinfo.zip
var zoneArchive string

//go:embed zoneinfo.release
var zoneRelease string

// ZoneRelease is the IANA release of the embedded zone data, like "2025c".
func ZoneRelease() string { return strings.TrimSpace(zoneRelease) }

// LoadZone finds a zone of the embedded data by its IANA name. The host's zone
// ("Local", "") is not one. Its errors are *Error.
func LoadZone(name string) (*time.Location, error) {
	z, err := loadZone(name)
	if err != nil {
		return nil, err
	}
	return z.location, nil
}

// zone is a location with the periods between its transitions spelled out.
// (time.Location finds a period too, but past the transitions it lists it gives
// bounds that are only good near a transition: years of 365 days, for one.)
type zone struct {
	location *time.Location
	periods  []period // in order, without a hole, up to endUnix; the first has no start
}

// period is a stretch of time with one offset from UTC: wall = instant + offset.
type period struct{ start, offset int64 }

// maxOffset is above every offset from UTC that there is (RFC 8536).
const maxOffset = 26 * 60 * 60

var zones sync.Map // name → *zone, all that were ever asked for

var zoneFiles = sync.OnceValue(func() map[string]*zip.File {
	archive, err := zip.NewReader(strings.NewReader(zoneArchive), int64(len(zoneArchive)))
	if err != nil {
		panic(fmt.Sprintf("open the embedded zone data: %v", err)) // the binary is broken
	}
	files := make(map[string]*zip.File, len(archive.File))
	for _, file := range archive.File {
		files[file.Name] = file
	}
	return files
})

func loadZone(name string) (*zone, error) {
	if z, ok := zones.Load(name); ok {
		return z.(*zone), nil
	}
	file, ok := zoneFiles()[name]
	if !ok {
		return nil, &Error{"time_zone", name, unknownZone(name)}
	}
	location, err := readZone(file)
	if err != nil {
		return nil, &Error{"time_zone", name, fmt.Sprintf("read the embedded zone data: %v", err)}
	}
	z, _ := zones.LoadOrStore(name, newZone(location))
	return z.(*zone), nil
}

func unknownZone(name string) string {
	if name == "" || strings.EqualFold(name, "Local") {
		return "the host's zone is never used; name one, like Europe/Berlin"
	}
	wanted := strings.ReplaceAll(name, " ", "_")
	best := ""
	for known := range zoneFiles() {
		if strings.EqualFold(known, wanted) || strings.EqualFold(path.Base(known), wanted) {
			if best == "" || known < best {
				best = known
			}
		}
	}
	if best != "" {
		return fmt.Sprintf("is not an IANA time zone; did you mean %s?", best)
	}
	return "is not an IANA time zone; write one like Europe/Berlin"
}

func readZone(file *zip.File) (*time.Location, error) {
	r, err := file.Open()
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		return nil, err
	}
	return time.LoadLocationFromTZData(file.Name, data)
}

func newZone(location *time.Location) *zone {
	z := &zone{location: location}
	defer func() { z.periods[0].start = math.MinInt64 }()
	for u := minUnix; u < endUnix; {
		t := time.Unix(u, 0).In(location)
		_, offset := t.Zone()
		if n := len(z.periods); n == 0 || z.periods[n-1].offset != int64(offset) {
			z.periods = append(z.periods, period{start: u, offset: int64(offset)})
		}
		_, end := t.ZoneBounds()
		switch {
		case end.IsZero():
			return z
		case end.Unix() <= u: // the 366th day of a year
			u += secondsPerDay
		default:
			u = end.Unix()
		}
	}
	return z
}

// periodAt is the index of the period that holds an instant.
func (z *zone) periodAt(u int64) int {
	return max(0, sort.Search(len(z.periods), func(i int) bool { return z.periods[i].start > u })-1)
}

func (z *zone) end(i int) int64 {
	if i+1 < len(z.periods) {
		return z.periods[i+1].start
	}
	return endUnix
}

// latestWall is the latest wall time that the clock has shown by an instant.
// After the clock fell back that is more than it shows now.
func (z *zone) latestWall(u int64) int64 {
	i := z.periodAt(u)
	latest := u + z.periods[i].offset
	for ; i > 0 && z.periods[i].start > u-2*maxOffset; i-- {
		latest = max(latest, z.periods[i].start-1+z.periods[i-1].offset)
	}
	return latest
}

// firstAtOrPast is the first instant at which the clock shows w or later.
func (z *zone) firstAtOrPast(w int64) (int64, bool) {
	for i := z.periodAt(w - maxOffset); i < len(z.periods); i++ {
		p := z.periods[i]
		if u := max(p.start, w-p.offset); u < z.end(i) {
			return u, true
		}
	}
	return 0, false
}
