package schedule

import (
	"errors"
	"strings"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// interval is the rule of `every`: anchor + n × period for every whole n,
// negative ones too, since an anchor sets the phase and not a beginning. It
// counts elapsed time and never looks at the wall clock, so daylight saving
// does not touch it; only the excluded dates are those of its zone.
type interval struct {
	period   time.Duration
	anchor   int64
	zone     *zone
	excluded dates
}

func (p *parser) interval() *interval {
	written := string(p.declared.Every)
	period, err := p.declared.Every.Parse()
	switch {
	case err != nil:
		p.refuse("/every", written, "is not a duration; write it like 30s, 10m, 1h30m or 7d")
	case period < time.Second:
		p.refuse("/every", written, "is shorter than 1s, the shortest interval")
	case period%time.Second != 0:
		p.refuse("/every", written, "is not a whole number of seconds")
	}
	r := &interval{period: period, zone: p.zone, excluded: p.excluded}
	if p.declared.Anchor != "" {
		r.anchor = p.anchor(p.declared.Anchor)
	}
	return r
}

func (p *parser) anchor(written string) int64 {
	anchor, err := parseInstant(written)
	if errors.Is(err, errNotWritten) {
		p.refuse("/anchor", written, "is not an RFC 3339 instant; write it like %s", api.DefaultAnchor)
	} else if err != nil {
		p.refuse("/anchor", written, "%v", err)
	}
	return anchor
}

func (r *interval) next(from int64) (int64, bool) {
	for u := r.notBefore(from); u < endUnix; {
		i := r.zone.periodAt(u)
		offset := r.zone.periods[i].offset
		day := floorDiv(u+offset, secondsPerDay)
		free := r.excluded.runEnd(day)
		if free == day {
			return u, true
		}
		u = r.notBefore(min(r.zone.end(i), free*secondsPerDay-offset))
	}
	return 0, false
}

func (r *interval) prev(upTo int64) (int64, bool) {
	for u := r.notAfter(upTo); u >= minUnix; {
		p := r.zone.periods[r.zone.periodAt(u)]
		day := floorDiv(u+p.offset, secondsPerDay)
		free := r.excluded.runBegin(day)
		if free == day {
			return u, true
		}
		u = r.notAfter(max(p.start, (free+1)*secondsPerDay-p.offset) - 1)
	}
	return 0, false
}

// notBefore and notAfter are the neighbouring instants of the interval itself.
func (r *interval) notBefore(u int64) int64 { return u + floorMod(r.anchor-u, r.seconds()) }
func (r *interval) notAfter(u int64) int64  { return u - floorMod(u-r.anchor, r.seconds()) }

func (r *interval) seconds() int64 { return int64(r.period / time.Second) }

// shortDuration writes 15m where Duration.String writes 15m0s.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
