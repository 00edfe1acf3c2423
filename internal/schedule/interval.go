package schedule

import (
	"fmt"
	"strings"
	"time"
)

// interval is the rule of `every`: anchor + n × period for every whole n,
// negative ones too, since an anchor sets the phase and not a beginning. It
// counts elapsed time and never looks at the wall clock, so daylight saving
// does not touch it.
type interval struct {
	period time.Duration
	anchor int64
}

func newInterval(period time.Duration, anchor time.Time) (interval, error) {
	if period < time.Second {
		return interval{}, &Error{"every", shortDuration(period), "is shorter than 1s, the shortest interval"}
	}
	if period%time.Second != 0 {
		return interval{}, &Error{"every", shortDuration(period), "is not a whole number of seconds"}
	}
	if anchor.IsZero() {
		return interval{period: period}, nil
	}
	written := anchor.Format(time.RFC3339Nano)
	if anchor.Nanosecond() != 0 {
		return interval{}, &Error{"anchor", written, "has a fraction of a second; write whole seconds"}
	}
	if anchor.Unix() < minUnix || anchor.Unix() >= endUnix {
		return interval{}, &Error{"anchor", written, "is not in the years 1–2399"}
	}
	return interval{period: period, anchor: anchor.Unix()}, nil
}

func (r interval) next(from int64) (int64, bool) {
	return from + floorMod(r.anchor-from, r.seconds()), true
}

func (r interval) prev(upTo int64) (int64, bool) {
	return upTo - floorMod(upTo-r.anchor, r.seconds()), true
}

func (r interval) seconds() int64 { return int64(r.period / time.Second) }

func (r interval) String() string {
	text := "every " + shortDuration(r.period)
	if r.anchor != 0 {
		text += fmt.Sprintf(" from %s,", time.Unix(r.anchor, 0).UTC().Format(time.RFC3339))
	}
	return text
}

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
