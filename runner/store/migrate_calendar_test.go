package store

import (
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// A store of schema 2 with a job that is due, one that is buried, runs in
// every place of a life, and decisions.
const schemaTwo = `
INSERT INTO meta (key, value) VALUES ('runner_id', 'me'), ('epoch', '4');
INSERT INTO jobs (uid, name, generation, spec, settings, owner, hash, created_at, updated_at, buried_at, cursor, next_due_at) VALUES
  ('u1', 'iris', 3, '{"name":"iris","schedule":{"cron":"0 * * * *"},"max_failed":"5%","input":{},"predict":{},"output":{}}', '{"run_on_create":"5m"}',
    'me', 'of the time before', 10, 20, 0, 3600000000000, 7200000000000),
  ('u2', 'gone', 1, '{"name":"gone","input":{},"predict":{},"output":{}}', '{}', '', 'old', 10, 20, 30, 40, 0);
INSERT INTO job_generations (uid, generation, spec, owner, at) VALUES ('u1', 3, '{}', 'me', 20);
INSERT INTO decisions (uid, first, last, count, verdict, reason, run_id) VALUES
  ('u1', 100, 300, 3, 'missed', 'outage', ''), ('u1', 400, 400, 1, 'run', 'due', 'r1'), ('u1', 500, 600, 2, 'missed', 'outage', ''),
  ('u1', 700, 700, 1, 'skipped', 'overlap', '');
INSERT INTO runs (id, uid, job, generation, occurrence, origin, sequence, state, reason, counts, created_at, started_at, ended_at) VALUES
  ('r1', 'u1', 'iris', 3, 400, 'schedule', 1, 'succeeded', '', '{"counts":{"planned":7,"committed":7}}', 400, 401, 402),
  ('r2', 'u1', 'iris', 3, 900, 'schedule', 1, 'queued', 'waiting_for_turn', '', 900, 0, 0),
  ('r3', 'u1', 'iris', 3, 800, 'manual', 1, 'queued', 'waiting_for_slot', '', 800, 0, 0),
  ('r4', 'u1', 'iris', 3, 950, 'catch_up', 1, 'queued', '', '', 950, 0, 0);
INSERT INTO events (uid, run_id, at, kind, actor, "from", "to", reason, detail) VALUES ('u1', 'r1', 400, 'state', 'schedule', '', 'queued', 'schedule', '');
`

func TestAStoreOfSchemaTwoIsTakenOver(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, File)
	db := must(openDB(path))(t)
	steps := append(must(loadMigrations())(t)[:2:2], step{script: schemaTwo})
	if err := apply(t.Context(), db, steps, 0); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	setVersion(t, path, 2)
	s := openAt(t, dir, &clock{})

	ns := func(n int64) time.Time { return time.Unix(0, n).UTC() }
	spec := api.Job{Name: "iris", Schedule: &api.Schedule{Cron: "0 * * * *"}, MaxFailed: "5%"}
	job := must(s.Job("iris"))(t)
	want := Job{Cursor: ns(3600e9), NextDueAt: ns(7200e9), StoredJob: api.StoredJob{UID: "u1", Generation: 3, Owner: "me",
		Spec: spec, Settings: api.ClientSettings{RunOnCreate: "5m"}, Hash: spec.Hash(), CreatedAt: ns(10), UpdatedAt: ns(20)}}
	if !reflect.DeepEqual(job, want) {
		t.Errorf("the job is %+v\nwant %+v", job, want)
	}
	do(t, s, func(tx *Tx) error { return tx.RespellJob(job) }) // its hash is this version's
	if buried := made(t, s, func(tx *Tx) (Job, error) { return tx.BuriedJob("gone") }); buried.UID != "u2" || !buried.BuriedAt.Equal(ns(30)) {
		t.Errorf("the buried job is %+v", buried)
	}

	due := made(t, s, func(tx *Tx) ([]DueJob, error) { return tx.ClaimDue(ns(7200e9), 10) })
	calendar := calendarOf(spec)
	if len(due) != 1 || due[0].Active != 3 || due[0].Waiting != 1 || !reflect.DeepEqual(due[0].Calendar, &calendar) {
		t.Errorf("due: %+v", due)
	}
	if got := runnableIDs(t, s.Runnable()); !slices.Equal(got, []string{"r4"}) {
		t.Errorf("runnable: %v", got)
	}
	if got := ids(must(s.UnfinishedOf("u1"))(t)); !slices.Equal(got, []string{"r4", "r2", "r3"}) {
		t.Errorf("in slot order: %v", got)
	}
	if run := must(s.Run("r3"))(t); run.Reason != api.ReasonWaitingForTurn || run.Shared || run.Backfill != "" {
		t.Errorf("a queued run is %+v", run)
	}
	standing := must(s.Standing("u1"))(t)
	if standing.Missed[api.DecidedOutage] != 5 || standing.Skipped[api.DecidedOverlap] != 1 || standing.Success.ID != "r1" || standing.Success.Counts.Committed != 7 {
		t.Errorf("it stands %+v", standing)
	}
	if events := must(s.Events("r1"))(t); len(events) != 1 {
		t.Errorf("events: %+v", events)
	}
	if s.RunnerID() != "me" || s.Epoch() != 5 {
		t.Errorf("runner %s in epoch %d", s.RunnerID(), s.Epoch())
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}
