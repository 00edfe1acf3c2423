package schedule

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// Describe says in English when the rule is due: a sentence without a full
// stop. What is written shows in it, so that a plan shows what was taken away;
// only defaults go without saying, and long lists of dates are counted.
func (s *Schedule) Describe() string {
	parts := []string{s.describeRule()}
	if name := s.Location().String(); name != api.DefaultTimeZone || s.readsTheWallClock() {
		parts = append(parts, name)
	}
	if from := s.declared.StartAt; from != "" {
		parts = append(parts, "from "+from)
	}
	if until := s.declared.EndAt; until != "" {
		parts = append(parts, "until "+until)
	}
	if dates := s.declared.ExcludeDates; len(dates) > 0 {
		parts = append(parts, "not on "+enumerate(dates, "more dates"))
	}
	if s.jitter > 0 {
		parts = append(parts, "up to "+shortDuration(s.jitter)+" later (jitter)")
	}
	if dst := s.declared.DST; dst != nil {
		parts = append(parts, describeDST(*dst)...)
	}
	return strings.Join(parts, ", ")
}

// describeRule says when the rule is due, without zone and bounds.
func (s *Schedule) describeRule() string {
	switch at := s.declared.At; {
	case s.declared.Every != "":
		return "every " + string(s.declared.Every) + s.describeAnchor()
	case len(at) == 1:
		return "once at " + at[0]
	case len(at) > 1:
		return "at " + enumerate(at, "more times")
	}
	p := s.pattern()
	return p.describeTimes() + p.describeDays()
}

func (s *Schedule) describeAnchor() string {
	anchor, err := time.Parse(time.RFC3339, s.declared.Anchor)
	if err != nil || anchor.Unix() == 0 {
		return "" // the default
	}
	return " from " + anchor.UTC().Format(time.RFC3339)
}

// readsTheWallClock tells whether the rule means times of a zone's wall clock.
func (s *Schedule) readsTheWallClock() bool {
	instants := len(s.declared.At) > 0 && !slices.ContainsFunc(s.declared.At, isLocal)
	return s.declared.Every == "" && !instants
}

func isLocal(text string) bool {
	_, err := time.Parse(time.RFC3339, text)
	return err != nil
}

func describeDST(dst api.DST) []string {
	var parts []string
	if dst.Missing == "skip" {
		parts = append(parts, "skipped when daylight saving removes the time")
	}
	switch dst.Repeated {
	case "first":
		parts = append(parts, "the first time when daylight saving repeats it")
	case "last":
		parts = append(parts, "the last time when daylight saving repeats it")
	case "both":
		parts = append(parts, "both times when daylight saving repeats it")
	}
	return parts
}

// enumerate lists a few items, or the first of many and how many more there are.
func enumerate(items []string, more string) string {
	const few = 3
	if len(items) <= few {
		return join(items, "and")
	}
	return fmt.Sprintf("%s and %d %s", items[0], len(items)-1, more)
}

// join writes "a", "a and b" or "a, b and c".
func join(items []string, word string) string {
	last := len(items) - 1
	if last < 1 {
		return strings.Join(items, "")
	}
	return strings.Join(items[:last], ", ") + " " + word + " " + items[last]
}

// members are the values of a set, ascending.
func members(set uint64) []int {
	var values []int
	for v := range 64 {
		if set>>v&1 != 0 {
			values = append(values, v)
		}
	}
	return values
}

// runs writes ascending values, three and more in a row as their first and last.
func runs(values []int, word func(int) string, to string) []string {
	var items []string
	for i := 0; i < len(values); {
		end := i + 1
		for end < len(values) && values[end] == values[end-1]+1 {
			end++
		}
		if end-i >= 3 {
			items = append(items, word(values[i])+to+word(values[end-1]))
			i = end
			continue
		}
		items = append(items, word(values[i]))
		i++
	}
	return items
}

// numbers writes ascending values: "1, 15 and 30", "1–7", "1–59 by 2".
func numbers(values []int, form string) string {
	word := func(v int) string { return fmt.Sprintf(form, v) }
	if step, even := evenStep(values); even && step > 1 && len(values) >= 5 {
		return fmt.Sprintf("%s–%s by %d", word(values[0]), word(values[len(values)-1]), step)
	}
	return join(runs(values, word, "–"), "and")
}

// evenStep is the distance of neighbours, where it is always the same.
func evenStep(values []int) (step int, even bool) {
	if len(values) < 2 {
		return 0, false
	}
	step = values[1] - values[0]
	for i := 2; i < len(values); i++ {
		if values[i]-values[i-1] != step {
			return 0, false
		}
	}
	return step, true
}
