package schedule

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Collision is an instant at which several schedules are due.
type Collision struct {
	At    time.Time // in UTC
	Names []string  // sorted
}

// Collisions finds the instants in (after, until] at which at least so many
// schedules are due together, earliest first and no more than limit.
func Collisions(schedules map[string]*Schedule, after, until time.Time, atLeast, limit int) []Collision {
	var heads []head
	for name, s := range schedules {
		heads = append(heads, head{name: name, schedule: s})
	}
	heads = advance(heads, len(heads), after.Unix()+1)
	var found []Collision
	for atLeast = max(atLeast, 1); len(heads) >= atLeast && len(found) < limit; {
		// No collision can come before so many heads are reached.
		at := heads[atLeast-1].at
		if at > until.Unix() {
			break
		}
		due := 0
		for due < len(heads) && heads[due].at == at {
			due++
		}
		if due < atLeast {
			behind, _ := slices.BinarySearchFunc(heads, at, func(h head, at int64) int { return cmp.Compare(h.at, at) })
			heads = advance(heads, behind, at)
			continue
		}
		found = append(found, collision(at, heads[:due]))
		heads = advance(heads, due, at+1)
	}
	return found
}

// head is a schedule and its next instant.
type head struct {
	name     string
	schedule *Schedule
	at       int64
}

// advance moves the first heads to their next instant at or after from, drops
// those that have none, and restores the order.
func advance(heads []head, count int, from int64) []head {
	for i := range heads[:count] {
		at, ok := heads[i].schedule.next(from)
		if !ok {
			at = endUnix
		}
		heads[i].at = at
	}
	slices.SortFunc(heads, func(a, b head) int {
		return cmp.Or(cmp.Compare(a.at, b.at), strings.Compare(a.name, b.name))
	})
	for len(heads) > 0 && heads[len(heads)-1].at == endUnix {
		heads = heads[:len(heads)-1]
	}
	return heads
}

func collision(at int64, due []head) Collision {
	names := make([]string, len(due))
	for i, h := range due {
		names[i] = h.name
	}
	return Collision{At: time.Unix(at, 0).UTC(), Names: names}
}
