package provider

import (
	"slices"
	"strings"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/schedule"
)

// collisionHorizon bounds the search for instants that schedules share: two
// that never meet would be followed for centuries.
const collisionHorizon = 366 * 24 * time.Hour

// preview is what batch_schedule_preview computes.
type preview struct {
	Descriptions map[string]string `json:"descriptions"`
	Occurrences  []occurrence      `json:"occurrences"`
	Collisions   []collision       `json:"collisions"`
	Zones        string            `json:"zones"`
}

type occurrence struct {
	Schedule string    `json:"schedule"`
	At       time.Time `json:"at"`
	Local    string    `json:"local"`
	Nominal  string    `json:"nominal"`
	Note     string    `json:"note,omitzero"`
}

type collision struct {
	At        time.Time `json:"at"`
	Schedules []string  `json:"schedules"`
}

// newPreview lists occurrences at or after an instant.
func newPreview(rules map[string]*schedule.Schedule, from time.Time, limit int) preview {
	p := preview{Descriptions: map[string]string{}, Occurrences: []occurrence{}, Collisions: []collision{}, Zones: schedule.ZoneRelease()}
	before, until := from.Add(-time.Nanosecond), from
	for name, rule := range rules {
		p.Descriptions[name] = rule.Describe()
		for _, o := range rule.Preview(before, limit) {
			p.Occurrences = append(p.Occurrences, occurrence{Schedule: name, At: o.At, Local: o.Local.Format(time.RFC3339), Nominal: o.Nominal, Note: o.Text})
			if o.At.After(until) {
				until = o.At
			}
		}
	}
	slices.SortFunc(p.Occurrences, func(a, b occurrence) int {
		if order := a.At.Compare(b.At); order != 0 {
			return order
		}
		return strings.Compare(a.Schedule, b.Schedule)
	})
	if year := from.Add(collisionHorizon); until.After(year) {
		until = year
	}
	for _, c := range schedule.Collisions(rules, before, until, 2, limit) {
		p.Collisions = append(p.Collisions, collision{At: c.At, Schedules: c.Names})
	}
	return p
}
