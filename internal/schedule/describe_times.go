package schedule

import (
	"fmt"
	"math/bits"
	"time"
)

// describeTimes says at which times of a day the pattern is due.
func (p *pattern) describeTimes() string {
	times := p.timesOfDay()
	first, last := times[0], times[len(times)-1]
	step, even := evenStep(times)
	// Goes on in the same step from one day to the next.
	allDay := even && secondsPerDay%step == 0 && first < step && last+step >= secondsPerDay
	const few, many = 4, 6
	switch {
	case allDay && step <= 3600 && first == 0:
		return "every " + stepWords(step)
	case p.hourly():
		return p.describeFields()
	case allDay && len(times) >= few:
		return "every " + stepWords(step) + " from " + timeOfDay(first)
	case even && step == 60 && first%3600 == 0 && last%3600 == 3600-60:
		return "every minute of " + timeOfDay(first) + "–" + timeOfDay(last)
	case even && len(times) >= few:
		return "every " + stepWords(step) + " from " + timeOfDay(first) + " to " + timeOfDay(last)
	case len(times) <= many:
		items := make([]string, len(times))
		for i, t := range times {
			items[i] = timeOfDay(t)
		}
		return "at " + join(items, "and")
	}
	return p.describeFields()
}

// timesOfDay are the pattern's times in seconds since midnight, ascending.
func (p *pattern) timesOfDay() []int {
	times := make([]int, 0, bits.OnesCount32(p.hours)*bits.OnesCount64(p.minutes)*bits.OnesCount64(p.seconds))
	for _, hour := range members(uint64(p.hours)) {
		for _, minute := range members(p.minutes) {
			for _, second := range members(p.seconds) {
				times = append(times, hour*3600+minute*60+second)
			}
		}
	}
	return times
}

// describeFields says the times field by field: "at minutes 0, 20 and 40 past
// 01, 05 and 09".
func (p *pattern) describeFields() string {
	const everyOf60 = 1<<60 - 1
	text := "every minute"
	switch {
	case p.seconds == 1 && p.minutes != everyOf60:
		text = "at " + numbered("minute", p.minutes)
	case p.seconds == everyOf60 && p.minutes != everyOf60:
		text = "every second of " + numbered("minute", p.minutes)
	case p.seconds == everyOf60:
		text = "every second"
	case p.seconds != 1 && p.minutes == everyOf60:
		text = "at " + numbered("second", p.seconds) + " of every minute"
	case p.seconds != 1:
		text = "at " + numbered("second", p.seconds) + " of " + numbered("minute", p.minutes)
	}
	switch {
	case !p.hourly():
		text += " past " + numbers(members(uint64(p.hours)), "%02d")
	case p.minutes != everyOf60:
		text += " of every hour"
	}
	return text
}

// numbered writes "minute 30" or "minutes 0, 20 and 40".
func numbered(unit string, set uint64) string {
	if bits.OnesCount64(set) > 1 {
		unit += "s"
	}
	return unit + " " + numbers(members(set), "%d")
}

// stepWords writes what goes after "every": "minute", "15 minutes".
func stepWords(seconds int) string {
	for _, unit := range []struct {
		name   string
		length int
	}{{"hour", 3600}, {"minute", 60}, {"second", 1}} {
		switch {
		case seconds == unit.length:
			return unit.name
		case seconds%unit.length == 0:
			return fmt.Sprintf("%d %ss", seconds/unit.length, unit.name)
		}
	}
	return shortDuration(time.Duration(seconds) * time.Second)
}

func timeOfDay(seconds int) string {
	text := fmt.Sprintf("%02d:%02d", seconds/3600, seconds/60%60)
	if odd := seconds % 60; odd != 0 {
		text += fmt.Sprintf(":%02d", odd)
	}
	return text
}
