package engine_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// ended are the runs of whose end the model has not heard, in the order in
// which they ended: by their last events, as clocks may lie.
func (w *world) ended() (ids []string) {
	var rows string
	w.ask([]any{&rows}, `SELECT COALESCE(group_concat(id || ' ' || version, char(10)), '') FROM (SELECT id, version FROM runs WHERE ended_at > 0
		ORDER BY (SELECT MAX(events.id) FROM events WHERE run_id = runs.id AND kind = 'state'))`)
	for line := range strings.Lines(rows) {
		id, version := w.version(line)
		if w.seen[id] != version {
			ids = append(ids, id)
		}
	}
	return ids
}

func (w *world) version(line string) (run string, version int64) {
	_, err := fmt.Sscan(line, &run, &version)
	must(w.t, err)
	return run, version
}

// ending reads how a run ended from its rows.
func (w *world) ending(run store.Run) ending {
	if w.table != nil {
		return w.table.ending(run)
	}
	e := ending{run: run.ID, occurrence: w.folder(run.Occurrence), state: run.State, reason: run.Reason, revision: run.Revision, counts: run.Counts,
		dead: map[int]api.Class{}}
	plan, err := w.store.Plan(run.ID)
	if errors.Is(err, store.ErrNotFound) {
		return e
	}
	must(w.t, err)
	var files []struct{ Path string }
	must(w.t, json.Unmarshal(plan.Files, &files))
	for _, file := range files {
		e.files = append(e.files, file.Path)
	}
	e.allowed = w.allowed(run, plan)
	batches, err := w.store.MiniBatches(run.ID, 0, 1000)
	must(w.t, err)
	for _, m := range batches {
		first := m.FirstLine - 2 // behind the header
		e.slices = append(e.slices, slice{
			keys:    w.keys[e.files[m.File]][first : first+m.Records],
			result:  m.State == api.MiniBatchStaged || m.State == api.MiniBatchCommitted,
			visible: m.State == api.MiniBatchCommitted,
		})
	}
	must(w.t, w.store.DeadLetters(run.ID, func(letter api.DeadLetter) error {
		key := w.keys[letter.Source.File][letter.Source.Line-2]
		if _, twice := e.dead[key]; twice {
			return fmt.Errorf("record %d has two dead letters", key)
		}
		e.dead[key] = letter.Class
		return nil
	}))
	return e
}

// allowed is how many records of a run may fail.
func (w *world) allowed(run store.Run, plan store.Plan) int {
	var generation int64 // of the job that its last attempt was executed with
	w.ask([]any{&generation}, `SELECT generation FROM run_attempts WHERE run_id = ? ORDER BY attempt DESC LIMIT 1`, run.ID)
	max, err := api.ParseThreshold(w.declared[generation].WithDefaults().MaxFailed)
	must(w.t, err)
	return int(max.Allows(plan.Records))
}

// owes tells whether the job's ledger holds anything.
func (w *world) owes() (owes bool) {
	w.ask([]any{&owes}, `SELECT EXISTS (SELECT 1 FROM ledger WHERE settled_by = '')`)
	return owes
}

// books are the rows that a failure is explained by.
func (w *world) books() (text string) {
	w.ask([]any{&text}, `SELECT group_concat(line, char(10)) FROM (
		SELECT 'run ' || id || ' ' || state || '(' || reason || ') attempt ' || attempt || ' revision ' || revision || ' ' || counts AS line FROM runs
		UNION ALL SELECT 'mini-batch ' || run_id || ' ' || number || ' ' || state || ' ' || class || ' carried ' || carried || ' ledger ' || ledger || ' dead ' || dead_lettered || ' sent ' || sent FROM mini_batches
		UNION ALL SELECT 'ledger ' || id || ' of ' || run_id || ' ' || mini_batch || ' line ' || first_line || ' carries ' || carries || ' taken ' || taken_by || ' settled ' || settled_by FROM ledger
		UNION ALL SELECT 'event ' || id || ' ' || run_id || ' ' || kind || ' ' || "from" || '>' || "to" || ' ' || reason || ' ' || substr(detail, 1, 100) FROM events)`)
	return text
}

// rests tells whether a run is as it was when the model heard of its end.
func (w *world) rests(run string) bool {
	var version int64
	w.ask([]any{&version}, `SELECT version FROM runs WHERE id = ?`, run)
	return w.seen[run] == version
}

// ask reads a row of the database, past the store.
func (w *world) ask(into []any, query string, args ...any) {
	if w.rows == nil {
		var err error
		w.rows, err = sql.Open("sqlite", "file:"+filepath.Join(w.dir, "data", store.File)+"?_pragma=query_only(1)&_pragma=busy_timeout(10000)")
		must(w.t, err)
		w.asked = map[string]*sql.Stmt{}
	}
	if w.asked[query] == nil {
		var err error
		w.asked[query], err = w.rows.PrepareContext(context.Background(), query)
		must(w.t, err)
	}
	must(w.t, w.asked[query].QueryRowContext(context.Background(), args...).Scan(into...))
}

// forget closes the connection of ask.
func (w *world) forget() {
	for _, stmt := range w.asked {
		must(w.t, stmt.Close())
	}
	if w.rows != nil {
		must(w.t, w.rows.Close())
	}
	w.rows, w.asked = nil, nil
}
