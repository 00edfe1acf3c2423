package engine_test

import (
	"errors"
	"fmt"
	"strings"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// ending reads how a run over the table ended, from its rows.
func (s *somebody) ending(run store.Run) ending {
	w := s.w
	e := ending{run: run.ID, occurrence: w.folder(run.Occurrence), state: run.State, reason: run.Reason, revision: run.Revision, counts: run.Counts, dead: map[int]api.Class{}}
	plan, err := w.store.Plan(run.ID)
	if errors.Is(err, store.ErrNotFound) {
		return e
	}
	must(w.t, err)
	e.allowed = w.allowed(run, plan)
	batches, err := w.store.MiniBatches(run.ID, 0, 1000)
	must(w.t, err)
	read, byID := s.planned(plan), map[int]int{}
	for _, m := range batches {
		keys := read(m)
		e.slices = append(e.slices, slice{keys: keys, visible: m.State == api.MiniBatchCommitted,
			result: m.State == api.MiniBatchStaged || m.State == api.MiniBatchCommitted})
		for _, key := range keys {
			id := s.versions[key].id
			if other, twice := byID[id]; twice {
				w.r.Fatalf("run %s plans row %d twice: versions %d and %d\n%s", run.ID, id, other, key, w.books())
			}
			byID[id] = key
		}
	}
	must(w.t, w.store.DeadLetters(run.ID, func(letter api.DeadLetter) error {
		var id int
		if _, err := fmt.Sscan(letter.Key["id"], &id); err != nil { // it can't be read
			_, err = fmt.Sscan(strings.TrimPrefix(letter.Input, `{"id":`), &id)
			must(w.t, err)
		}
		key := byID[id]
		if _, twice := e.dead[key]; twice || key == 0 {
			return fmt.Errorf("row %d has two dead letters, or was not planned", id)
		}
		e.dead[key] = letter.Class
		return nil
	}))
	return e
}

// written is one prediction that the engine wrote.
type written struct {
	seq, id, version int
	day              string
	over             bool // a prediction that there was
	wasDay           string
}

func (s *somebody) writes() (all []written) {
	rows, err := s.db.Query(`SELECT seq, id, CAST(score - 0.5 AS INTEGER), COALESCE(substr(run_at, 1, 10), ''), was IS NOT NULL, COALESCE(substr(was_at, 1, 10), '') FROM writes ORDER BY seq`)
	must(s.w.t, err)
	defer rows.Close() //nolint:errcheck // read only
	for rows.Next() {
		var o written
		must(s.w.t, rows.Scan(&o.seq, &o.id, &o.version, &o.day, &o.over, &o.wasDay))
		all = append(all, o)
	}
	must(s.w.t, rows.Err())
	return all
}

// ahead tells whether the table holds a mini-batch that the store does not know
// to be committed.
func (s *somebody) ahead() (ahead bool) {
	rows, err := s.db.Query(`SELECT run, CAST(substr(unit, 12) AS INTEGER) FROM _batch_commits`)
	if err != nil {
		return false // no run has begun to write
	}
	defer rows.Close() //nolint:errcheck // read only
	for rows.Next() {
		var (
			run    string
			number int64
		)
		must(s.w.t, rows.Scan(&run, &number))
		batches, err := s.w.store.MiniBatches(run, number-1, 1)
		must(s.w.t, err)
		ahead = ahead || len(batches) > 0 && batches[0].State == api.MiniBatchStaged
	}
	must(s.w.t, rows.Err())
	return ahead
}

// check holds what is in the table to the runs' rows, where every run rests.
func (s *somebody) check(final bool) {
	w := s.w
	type of struct {
		day     string
		version int
	}
	by, versions := map[of]int{}, map[int]string{}
	for _, o := range s.writes() {
		v := s.versions[o.version]
		switch {
		case v.id != o.id:
			w.r.Fatalf("row %d got the prediction of version %d, which is of row %d\n%s", o.id, o.version, v.id, s.books())
		case o.wasDay > o.day:
			w.r.Fatalf("the run of %s wrote row %d, which that of %s had written\n%s", o.day, o.id, o.wasDay, s.books())
		case s.k.mode == api.ModePredicate && o.over:
			w.r.Fatalf("the run of %s wrote over the prediction that row %d had\n%s", o.day, o.id, s.books())
		case s.k.mode == api.ModeWatermark && versions[o.version] != "":
			w.r.Fatalf("version %d of row %d was written by the runs of %s and %s\n%s", o.version, o.id, versions[o.version], o.day, s.books())
		}
		if by[of{o.day, o.version}]++; by[of{o.day, o.version}] > 1 {
			w.r.Fatalf("the run of %s wrote version %d of row %d twice\n%s", o.day, o.version, o.id, s.books())
		}
		versions[o.version] = o.day
	}
	done := map[int]bool{}
	for _, id := range w.runs {
		run, err := w.store.Run(id)
		must(w.t, err)
		plan, err := w.store.Plan(id)
		if errors.Is(err, store.ErrNotFound) || !run.State.Ended() {
			continue
		}
		must(w.t, err)
		batches, err := w.store.MiniBatches(id, 0, 1000)
		must(w.t, err)
		read := s.planned(plan)
		for _, m := range batches {
			n := 0
			for _, key := range read(m) {
				if by[of{run.Occurrence.Format("2006-01-02"), key}] > 0 {
					n++
				}
				done[key] = done[key] || m.State == api.MiniBatchCommitted
			}
			want := 0
			switch {
			case m.Redrive || m.State == api.MiniBatchStaged: // it may be there already
				continue
			case m.State == api.MiniBatchCommitted:
				want = int(m.StagedRecords - m.Gone.Total())
			}
			if n != want {
				w.r.Fatalf("of mini-batch %d of run %s, %s, %d records are in the table, want %d\n%s", m.Number, id, m.State, n, want, s.books())
			}
		}
	}
	if final {
		s.checkAll(done)
	}
}

// checkAll holds the table, once all is repaired, to what a person expects: every
// row that is there was predicted as it is now.
func (s *somebody) checkAll(done map[int]bool) {
	w := s.w
	if last, err := w.store.Run(w.runs[len(w.runs)-1]); err != nil || last.State == api.RunFailed && w.hopeless(last) {
		return
	}
	for id, number := range s.rows {
		v := s.versions[number]
		switch {
		case v.bad || w.model.suspected[number] || done[number] || s.k.mode == api.ModePredicate:
		case s.k.mode == api.ModeWatermark && s.excused(v):
		default:
			w.r.Fatalf("version %d of row %d, written %s, was never predicted\n%s", number, id, v.at, s.books())
		}
	}
	if s.k.mode == api.ModePredicate {
		rows, err := s.db.Query(`SELECT id FROM items WHERE score IS NULL`)
		must(w.t, err)
		defer rows.Close() //nolint:errcheck // read only
		for rows.Next() {
			var id int
			must(w.t, rows.Scan(&id))
			if number := s.rows[id]; !s.versions[number].bad && !w.model.suspected[number] {
				w.r.Fatalf("row %d has no prediction\n%s", id, s.books())
			}
		}
		must(w.t, rows.Err())
	}
}

// excused tells whether a row was being written while a run read the clock: with
// no lag, which is what lag is for, it may be overlooked.
func (s *somebody) excused(v version) (excused bool) {
	for _, id := range s.w.runs {
		plan, err := s.w.store.Plan(id)
		if err != nil || plan.Mark == nil {
			continue
		}
		to := strings.NewReplacer("T", " ", "Z", "").Replace(plan.Mark.To)
		excused = excused || to >= v.at && to <= v.until+"9"
	}
	return excused
}

func (s *somebody) books() string {
	text := s.w.books() + "\nwrites:"
	for _, o := range s.writes() {
		text += fmt.Sprintf(" %s:%d(row %d)", o.day, o.version, o.id)
	}
	var marks string
	if err := s.db.QueryRow(`SELECT group_concat(run || ' ' || unit || ' ' || rows || ' ' || gone, char(10)) FROM _batch_commits`).Scan(&marks); err == nil {
		text += "\nmarkers:\n" + marks
	}
	return text
}
