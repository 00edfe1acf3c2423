package engine_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// model is the contract in small: what becomes of each record, by key, when
// runs end as they did. It knows nothing of stores, files, requests or time,
// and shares no code with the engine.
type model struct {
	policy      string
	incremental bool
	bad         map[int]bool // records that can't be read: never predicted
	suspected   map[int]bool // records that a server may have refused, or died of
	maxCarries  int
	comesBack   bool // what a run leaves is found by the next one

	done    map[int]string // key → run that committed it or made it a dead letter
	owed    map[int]string // key → run that owes it
	carries map[int]int    // runs that have sent an owed record, at most
	known   map[string]bool
	shown   map[string]ending // occurrence → the run that is published there
	planned map[string]bool   // runs whose plan was looked at
	resumed map[string]bool   // runs that are retried, and have taken back what they owe
}

// slice is a mini-batch of a run that has ended: its records, whether they have
// a result, and whether readers see it.
type slice struct {
	keys            []int
	result, visible bool
}

// ending is all that is known of a run that has ended.
type ending struct {
	run, occurrence string
	state           api.RunState
	reason          api.Reason
	revision        int64
	counts          api.Counts
	allowed         int // failed records that max_failed allows
	files           []string
	slices          []slice
	dead            map[int]api.Class
}

func newModel(policy string, incremental bool) *model {
	return &model{policy: policy, incremental: incremental, bad: map[int]bool{}, suspected: map[int]bool{}, maxCarries: api.DefaultMaxCarries,
		done: map[int]string{}, owed: map[int]string{}, carries: map[int]int{}, known: map[string]bool{}, shown: map[string]ending{}, planned: map[string]bool{}, resumed: map[string]bool{}}
}

// plans holds a run's plan to what it must take: of its own input what no run
// has taken, and all that was owed.
func (m *model) plans(e ending) error {
	if len(e.slices) == 0 || m.planned[e.run] {
		return nil
	}
	m.planned[e.run] = true
	keys := map[int]bool{}
	for _, s := range e.slices {
		for _, key := range s.keys {
			if keys[key] {
				return fmt.Errorf("run %s plans record %d twice", e.run, key)
			}
			keys[key] = true
			if by, done := m.done[key]; done && m.incremental {
				return fmt.Errorf("run %s plans record %d, which run %s has finished", e.run, key, by)
			}
		}
	}
	for key, run := range m.owed {
		if !keys[key] && !m.resumed[run] {
			return fmt.Errorf("run %s leaves out record %d, which run %s owes", e.run, key, run)
		}
	}
	return nil
}

// end takes in how a run ended, or says why it can't have ended so.
func (m *model) end(e ending) error {
	delete(m.resumed, e.run)
	good, left := e.outcomes()
	failed := len(left) + len(e.dead)
	committed := e.revision > 0 && (e.state == api.RunSucceeded || e.state == api.RunIncomplete)
	if err := m.judge(e, len(good), len(left), failed); err != nil {
		return fmt.Errorf("run %s ended %s(%s), but %w", e.run, e.state, e.reason, err)
	}
	for _, key := range slices.Concat(good, slices.Collect(maps.Keys(e.dead))) {
		_, dead := e.dead[key]
		switch other := m.done[key]; {
		case m.bad[key] && !dead, dead && !m.bad[key] && !m.mayDie(key, e):
			return fmt.Errorf("record %d is a dead letter: %v (%s), but it should be: %v", key, dead, e.dead[key], m.bad[key])
		case m.incremental && committed && other != "" && other != e.run:
			return fmt.Errorf("record %d has an outcome in run %s and in run %s", key, other, e.run)
		}
	}
	if !committed {
		return m.left(e)
	}
	m.shown[e.occurrence] = e
	for _, file := range e.files {
		m.known[file] = true
	}
	for _, key := range slices.Concat(good, slices.Collect(maps.Keys(e.dead))) {
		m.done[key] = e.run
		delete(m.owed, key)
	}
	if m.remembers() {
		for _, key := range left {
			m.owed[key] = e.run
			m.carries[key]++
		}
	}
	return nil
}

// left takes in what a run has left that ended unpublished. Nothing moves, unless
// readers have seen something of it before: that is done, and the rest is owed.
func (m *model) left(e ending) error {
	if e.counts.Committed == 0 || e.revision > 0 {
		return nil
	}
	for _, file := range e.files {
		m.known[file] = true
	}
	for _, s := range e.slices {
		for _, key := range s.keys {
			other := m.done[key]
			switch {
			case s.visible && m.incremental && other != "" && other != e.run:
				return fmt.Errorf("record %d has an outcome in run %s and in run %s", key, other, e.run)
			case s.visible:
				m.done[key] = e.run
				delete(m.owed, key)
			case m.remembers() && other == "":
				if m.owed[key] == "" {
					m.owed[key] = e.run
				}
				m.carries[key]++
			}
		}
	}
	return nil
}

// endTable is end for rows of a table.
func (m *model) endTable(e ending) error {
	delete(m.resumed, e.run)
	good, left := e.outcomes()
	if err := m.judge(e, len(good), len(left), len(left)+len(e.dead)); err != nil {
		return fmt.Errorf("run %s ended %s(%s), but %w", e.run, e.state, e.reason, err)
	}
	for _, s := range e.slices {
		for _, key := range s.keys {
			m.carries[key]++
		}
	}
	for key, class := range e.dead {
		if !m.bad[key] && !m.mayDie(key, e) {
			return fmt.Errorf("version %d is a dead letter (%s), and nothing is wrong with it", key, class)
		}
	}
	return nil
}

// judge holds the state a run ended in to the records' outcomes.
func (m *model) judge(e ending, good, left, failed int) error {
	planned := good + left + len(e.dead)
	switch {
	case e.counts.Planned != int64(planned) || e.counts.DeadLettered != int64(len(e.dead)) ||
		e.counts.Committed+e.counts.Gone+e.counts.Staged != int64(good) || e.counts.Unfinished-e.counts.Staged+e.counts.Carried != int64(left):
		return fmt.Errorf("its records say %d good, %d left, %d dead: %+v", good, left, len(e.dead), e.counts)
	case e.state == api.RunSucceeded && failed > 0:
		return fmt.Errorf("%d records failed", failed)
	case e.state == api.RunSucceeded || e.state == api.RunIncomplete:
		switch {
		case planned > 0 && good == 0:
			return fmt.Errorf("nothing was committed")
		case e.state == api.RunIncomplete && failed == 0:
			return fmt.Errorf("nothing failed")
		case failed > e.allowed && e.reason != api.ReasonAccepted:
			return fmt.Errorf("%d records failed, and %d are allowed", failed, e.allowed)
		case m.policy == api.PolicyComplete && failed > 0:
			return fmt.Errorf("%d records failed under a policy of all or nothing", failed)
		case m.remembers() && !m.comesBack && e.counts.Carried != int64(left):
			return fmt.Errorf("%d of %d unfinished records are carried", e.counts.Carried, left)
		}
	case e.reason == api.ReasonMaxFailed && failed <= e.allowed:
		return fmt.Errorf("only %d records failed, and %d are allowed", failed, e.allowed)
	}
	return nil
}

// remembers tells whether what a run leaves is owed by the job.
func (m *model) remembers() bool { return m.incremental || m.policy == api.PolicyNextBatch }

// mayDie tells whether a record that can be read may become a dead letter.
func (m *model) mayDie(key int, e ending) bool {
	switch e.dead[key] {
	case api.ClassCarriedOut:
		return m.carries[key]+1 >= m.maxCarries
	case api.ClassNotIsolated: // one of its mini-batch is to blame
		return slices.ContainsFunc(e.slices, func(s slice) bool {
			return slices.Contains(s.keys, key) && slices.ContainsFunc(s.keys, func(k int) bool { return m.suspected[k] })
		})
	}
	return m.suspected[key]
}

// outcomes sorts the records of a run.
func (e ending) outcomes() (good, left []int) {
	for _, s := range e.slices {
		for _, key := range s.keys {
			switch _, dead := e.dead[key]; {
			case dead:
			case s.result:
				good = append(good, key)
			default:
				left = append(left, key)
			}
		}
	}
	return good, left
}

// lists gives keys as they are printed, for comparisons.
func lists[K int | string, V any](keys map[K]V) string {
	return strings.Trim(fmt.Sprint(slices.Sorted(maps.Keys(keys))), "[]")
}
