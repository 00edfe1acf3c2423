package schedule

import (
	"archive/zip"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
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
// ("Local", "") is not one. Its errors are *api.Error about time_zone.
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
	periods  []period // in order, without a hole, from minUnix to endUnix
}

// period is a stretch of time with one offset from UTC: wall = instant + offset.
type period struct {
	start, offset int64
	// earlierWall is the latest wall time shown before the period, laterWall
	// the earliest one shown after it. Where the clock springs forward into
	// the period, the times between earlierWall and its first are missing.
	earlierWall, laterWall int64
}

// instant is that of a wall time in the period, or of one in the gap before it.
func (p *period) instant(w int64) int64 { return max(p.start, w-p.offset) }

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

func loadZone(name string) (*zone, *api.Error) {
	if z, ok := zones.Load(name); ok {
		return z.(*zone), nil
	}
	file, ok := zoneFiles()[name]
	if !ok {
		return nil, finding("/schedule/time_zone", name, "%s", unknownZone(name))
	}
	location, err := readZone(file)
	if err != nil {
		return nil, finding("/schedule/time_zone", name, "read the embedded zone data: %v", err)
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
	for u := minUnix; u < endUnix; {
		t := time.Unix(u, 0).In(location)
		_, offset := t.Zone()
		if n := len(z.periods); n == 0 || z.periods[n-1].offset != int64(offset) {
			z.periods = append(z.periods, period{start: u, offset: int64(offset)})
		}
		_, end := t.ZoneBounds()
		switch {
		case end.IsZero():
			u = endUnix
		case end.Unix() <= u: // the 366th day of a year
			u += secondsPerDay
		default:
			u = end.Unix()
		}
	}
	z.lookAround()
	return z
}

// lookAround finds what each period's neighbours show.
func (z *zone) lookAround() {
	earlier := z.periods[0].start + z.periods[0].offset - 1
	for i := range z.periods {
		z.periods[i].earlierWall = earlier
		earlier = max(earlier, z.end(i)-1+z.periods[i].offset)
	}
	later := int64(math.MaxInt64)
	for i := len(z.periods) - 1; i >= 0; i-- {
		z.periods[i].laterWall = later
		later = min(later, z.periods[i].start+z.periods[i].offset)
	}
}

// periodAt is the index of the period that holds an instant.
func (z *zone) periodAt(u int64) int {
	lo, hi := 0, len(z.periods) // the one wanted is in [lo, hi)
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; z.periods[mid].start <= u {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo
}

// end is the instant at which a period ends.
func (z *zone) end(i int) int64 {
	if i+1 < len(z.periods) {
		return z.periods[i+1].start
	}
	return endUnix
}

// wall is what the clock shows at an instant.
func (z *zone) wall(u int64) int64 { return u + z.periods[z.periodAt(u)].offset }

// firstAtOrPast is the first instant at which the clock shows w or later.
func (z *zone) firstAtOrPast(w int64) int64 {
	i := z.periodAt(w - maxOffset)
	for i+1 < len(z.periods) && w-z.periods[i].offset >= z.end(i) {
		i++
	}
	return z.periods[i].instant(w)
}
