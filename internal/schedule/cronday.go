package schedule

import (
	"fmt"
	"strings"
)

// The day fields know more than values: * may be written ?, and days may be
// told from the end of the month, by the nearest weekday and by their count.

// parseNumbers reads a day-of-month field: values, L, L-3, LW and 15W.
func (d *daySet) parseNumbers(text string) error {
	if text == "?" {
		text = "*"
	}
	for item := range strings.SplitSeq(text, ",") {
		if special, err := d.parseSpecialNumber(item); special || err != nil {
			if err != nil {
				return err
			}
			continue
		}
		set, err := dayOfMonthField.parseItem(item)
		if err != nil {
			return err
		}
		d.numbers |= uint32(set)
	}
	return nil
}

func (d *daySet) parseSpecialNumber(item string) (bool, error) {
	back, fromEnd := cutPrefixFold(item, "L-")
	day, nearest := cutSuffixFold(item, "W")
	switch {
	case strings.EqualFold(item, "L"):
		d.fromEnd |= 1 << 1
	case strings.EqualFold(item, "LW"):
		d.lastWorkday = true
	case fromEnd:
		n, ok := parseNumber(back)
		if !ok || n < 1 || n > 30 {
			return false, fmt.Errorf("day-of-month %q is not L-1 to L-30, so many days before the last", item)
		}
		d.fromEnd |= 1 << (n + 1)
	case nearest:
		n, ok := parseNumber(day)
		if !ok || n < 1 || n > 31 {
			return false, fmt.Errorf("day-of-month %q is not 1W to 31W, the weekday nearest to one day, nor LW, the last one", item)
		}
		d.nearest |= 1 << n
	default:
		return false, nil
	}
	return true, nil
}

// parseWeekdays reads a day-of-week field: values, FRIL and MON#2.
func (d *daySet) parseWeekdays(text string) error {
	if text == "?" {
		text = "*"
	}
	for item := range strings.SplitSeq(text, ",") {
		if special, err := d.parseSpecialWeekday(item); special || err != nil {
			if err != nil {
				return err
			}
			continue
		}
		set, err := dayOfWeekField.parseItem(item)
		if err != nil {
			return err
		}
		d.weekdays |= uint8(set)
	}
	return nil
}

func (d *daySet) parseSpecialWeekday(item string) (bool, error) {
	name, count, counted := strings.Cut(item, "#")
	of, last := cutSuffixFold(item, "L")
	switch {
	case strings.EqualFold(item, "L"):
		return false, fmt.Errorf("day-of-week %q lacks its day; write FRIL for the last Friday of the month, SAT for every Saturday, or L in day-of-month for the last day of the month", item)
	case counted:
		n, ok := parseNumber(count)
		if !ok || n < 1 || n > len(d.nth) {
			return false, fmt.Errorf("day-of-week %q is not counted by 1–5; write MON#2 for the second Monday of the month, or MONL for its last", item)
		}
		weekday, err := parseWeekday(name)
		if err != nil {
			return false, err
		}
		d.nth[n-1] |= 1 << weekday
	case last:
		weekday, err := parseWeekday(of)
		if err != nil {
			return false, err
		}
		d.nthLast[0] |= 1 << weekday
	default:
		return false, nil
	}
	return true, nil
}

func parseWeekday(text string) (int, error) {
	v, err := dayOfWeekField.parseValue(text)
	return v % 7, err
}

func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

func cutSuffixFold(s, suffix string) (string, bool) {
	if len(s) < len(suffix) || !strings.EqualFold(s[len(s)-len(suffix):], suffix) {
		return s, false
	}
	return s[:len(s)-len(suffix)], true
}
