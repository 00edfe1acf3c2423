package trigger

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// backUp copies the room's store to a file.
func (r *room) backUp() (path string) {
	r.t.Helper()
	b, err := r.store.Backup(r.t.Context(), "test")
	if err != nil {
		r.t.Fatal(err)
	}
	path = filepath.Join(r.t.TempDir(), "monday.backup")
	content, err := io.ReadAll(b)
	if err := errors.Join(err, b.Close(), os.WriteFile(path, content, 0o600)); err != nil {
		r.t.Fatal(err)
	}
	return path
}

// restored is a room over what a backup holds, restored and taken up at these
// times.
func restored(t *testing.T, file, at, start string) *room {
	t.Helper()
	return restoredIn(t, t.TempDir(), file, at, start)
}

func restoredIn(t *testing.T, dir, file, at, start string) *room {
	t.Helper()
	if _, err := store.Restore(t.Context(), file, dir, false, instant(at)); err != nil {
		t.Fatal(err)
	}
	r := roomIn(t, dir, start)
	if err := r.TakeUpRestoration(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestARestoredStoreDecidesNothingASecondTime(t *testing.T) {
	lost := newRoom(t, "2026-01-01T00:30:00Z")
	hourly := lost.put(validJob("hourly", every("1h"))).UID
	eager := validJob("eager", every("1h"))
	eager.CatchUp = &api.CatchUp{Mode: api.CatchUpAll}
	catchesUp := lost.put(eager).UID
	lost.put(validJob("manual", nil))
	lost.set(instant("2026-01-01T01:00:00Z"))
	lost.wakeUp()
	lost.finish(hourly)
	lost.finish(catchesUp)
	file := lost.backUp()
	before := map[string][]api.Decision{hourly: lost.decisions(hourly), catchesUp: lost.decisions(catchesUp)}

	// The runner goes on for five hours, is restored in the sixth and started
	// in the eighth.
	r := restored(t, file, "2026-01-01T06:30:00Z", "2026-01-01T08:10:00Z")
	r.wakeUp()

	for uid, want := range map[string][]string{
		// 02 to 06 may have run; 07 fell due while nobody worked, and 08 is late.
		hourly:    {"run due 01T01:00", "missed restored 01T02:00-01T06:00 x5", "missed outage 01T07:00", "run catch_up 01T08:00"},
		catchesUp: {"run due 01T01:00", "missed restored 01T02:00-01T06:00 x5", "run catch_up 01T07:00", "run catch_up 01T08:00"},
	} {
		if got := r.history(uid); !slices.Equal(got, want) {
			t.Errorf("decided\n%q, want\n%q", got, want)
		}
		if got := r.decisions(uid); got[0] != before[uid][0] {
			t.Errorf("what was decided before the backup is %+v, was %+v", got[0], before[uid][0])
		}
	}
	if n := r.status("hourly").Missed[api.DecidedRestored]; n != 5 {
		t.Errorf("%d are missed since restored", n)
	}
	if err := r.TakeUpRestoration(t.Context()); err != nil {
		t.Error(err)
	}
	if got := r.history(hourly); len(got) != 4 {
		t.Errorf("taken up twice, it decided %q", got)
	}
}

func TestAnOldBackupIsNoClockJump(t *testing.T) {
	lost := newRoom(t, "2026-01-01T00:30:00Z")
	uid := lost.put(validJob("hourly", every("24h"))).UID
	lost.set(instant("2026-01-02T00:00:00Z"))
	lost.wakeUp()
	r := restored(t, lost.backUp(), "2027-06-01T00:00:00Z", "2027-06-01T00:01:00Z")
	if trouble := r.Trouble(); trouble != "" {
		t.Errorf("trouble: %s", trouble)
	}
	if got := r.history(uid); !slices.Equal(got, []string{"run due 02T00:00", "missed restored 03T00:00-01T00:00 x515"}) {
		t.Errorf("decided %q", got)
	}
}

func TestWhatHadNotEndedInTheBackupDoesNotGoOn(t *testing.T) {
	lost := newRoom(t, "2026-01-01T00:30:00Z")
	closing := lost.put(validJob("closing", every("1h"))).UID
	filling := lost.put(validJob("filling", every("1h")))
	lost.add(3 * time.Hour)
	lost.wakeUp()
	lost.finish(filling.UID)
	if _, _, err := lost.Backfill(t.Context(), "filling", api.AskBackfill{From: "2026-01-01T01:00:00Z", To: "2026-01-01T02:00:00Z"}, "", "test"); err != nil {
		t.Fatal(err)
	}
	run := lost.move(lost.active(closing)[0], api.RunPlanning)
	for _, to := range []api.RunState{api.RunProvisioning, api.RunRunning, api.RunCommitting} {
		run = lost.move(run, to)
	}
	file := lost.backUp()

	r := restored(t, file, "2026-01-01T09:00:00Z", "2026-01-01T09:00:00Z")
	for _, uid := range []string{closing, filling.UID} {
		if active := r.active(uid); len(active) > 0 {
			t.Errorf("%+v goes on", active[0].Run)
		}
	}
	run = r.run(run.ID)
	if run.State != api.RunCancelled || run.Reason != api.ReasonRestored {
		t.Errorf("the run that was committing is %+v", run.Run)
	}
	want := "it was committing when the backup of 2026-01-01T03:30:00Z was made, and may have ended since: look at its output; " +
		"where that is missing, batch-runner run closing --occurrence 2026-01-01T03:00:00Z"
	if run.Message != want {
		t.Errorf("its message is %q", run.Message)
	}
	if b := r.status("filling").Backfill; b != nil {
		t.Errorf("the backfill goes on: %+v", b)
	}
}

func TestJobsThatRememberWhatTheyTookAreHeld(t *testing.T) {
	lost := newRoom(t, "2026-01-01T00:30:00Z")
	incremental := validJob("incremental", every("1h"))
	incremental.Input.Mode = api.ModeNewFiles
	lost.put(incremental)
	owing := lost.put(validJob("owing", every("1h")))
	lost.put(validJob("plain", every("1h")))
	lost.owe(owing.UID, "")
	if _, err := lost.Hold(t.Context(), "owing", api.HoldJob{Reason: "the model is bad"}, "cli:alice"); err != nil {
		t.Fatal(err)
	}
	r := restored(t, lost.backUp(), "2026-01-01T09:00:00Z", "2026-01-01T10:00:00Z")
	r.wakeUp()
	for name, reason := range map[string]string{"incremental": "the store was restored", "owing": "the model is bad; and the store was restored", "plain": ""} {
		held := r.status(name).Held
		switch {
		case reason == "" && held != nil:
			t.Errorf("%s is held: %+v", name, held)
		case reason != "" && (held == nil || held.By != "restore" || len(held.Reason) < len(reason) || held.Reason[:len(reason)] != reason):
			t.Errorf("%s is held: %+v", name, held)
		case reason != "" && len(r.active(r.job(name).UID)) > 0:
			t.Errorf("%s runs", name)
		}
	}
}

// A backup holds no copies of input: who restores it elsewhere is told what
// that costs, before anything is lost.
func TestOwedRecordsWhoseCopyIsNotThereAreTold(t *testing.T) {
	for there, want := range map[string]bool{"": true, "of another size": true, "the copy": false} {
		lost := newRoom(t, "2026-01-01T00:30:00Z")
		owing := lost.put(validJob("owing", every("1h")))
		run := lost.oweFile(owing.UID, "", `{"path":"query","spool":"spool/1.jsonl","spool_run":"r1","spool_size":8}`)
		file, dir := lost.backUp(), t.TempDir()
		if there != "" {
			path := filepath.Join(dir, "runs", "r1", "spool", "1.jsonl")
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(there), 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		r := restoredIn(t, dir, file, "2026-01-01T09:00:00Z", "2026-01-01T10:00:00Z")
		held := r.status("owing").Held
		text := "It owes 7 records of copies of its input that are in no backup and not here: bring the folders of these runs from the old data dir to " +
			filepath.Join(dir, "runs") + " first, or the next run makes dead letters of them: r1"
		if held == nil || strings.Contains(held.Reason, text) != want {
			t.Errorf("with %q there, after run %s, it is held: %+v", there, run, held)
		}
	}
}

// Owed records that a run under way had shown are not taken once more.
func TestWhatWasCommittedBeforeTheBackupIsNotOwedAgain(t *testing.T) {
	for visible, want := range map[bool]bool{true: false, false: true} {
		lost := newRoom(t, "2026-01-01T00:30:00Z")
		uid := lost.put(validJob("late", nil)).UID
		lost.owe(uid, "")
		if _, _, err := lost.Run(t.Context(), "late", api.Trigger{}, "", "test"); err != nil {
			t.Fatal(err)
		}
		run := lost.move(lost.active(uid)[0], api.RunPlanning)
		lost.write(func(tx *store.Tx) error {
			return errors.Join(
				tx.InsertMiniBatches(run.ID, []store.MiniBatch{{Number: 1, Records: 7, Ledger: 1}}),
				tx.InsertPlan(store.Plan{Run: run.ID, Format: 1, Spec: validJob("late", nil), Files: []byte("[{}]"), Records: 7, Hash: "h"}),
				tx.ClaimOwed(run.ID))
		})
		run = lost.move(lost.move(run, api.RunProvisioning), api.RunRunning)
		lost.write(func(tx *store.Tx) error {
			claimed, err := tx.Claim(run, 1, false)
			if err == nil {
				err = tx.Stage(run, claimed[0], store.Staged{Path: "1/000001.1", Records: 7})
			}
			if err == nil && visible {
				err = tx.CommitShown(run, claimed[0], nil)
			}
			return err
		})
		r := restored(t, lost.backUp(), "2026-01-01T09:00:00Z", "2026-01-01T09:00:00Z")
		r.write(func(tx *store.Tx) error {
			owes, err := tx.Owes(uid)
			if owes != want {
				t.Errorf("visible %v: owed still: %v", visible, owes)
			}
			return err
		})
	}
}

// owe writes a row into a job's ledger, as a run that ends does.
func (r *room) owe(uid, identity string) { r.oweFile(uid, identity, `{}`) }

// oweFile is owe, of a file.
func (r *room) oweFile(uid, identity, file string) (by string) {
	r.t.Helper()
	run := store.Run{Run: api.Run{JobUID: uid, Job: "owing", Occurrence: r.clock.now(), Origin: api.OriginManual}}
	r.write(func(tx *store.Tx) (err error) {
		if run, err = tx.InsertRun(run, "", "test"); err != nil {
			return err
		}
		if err := tx.InsertMiniBatches(run.ID, []store.MiniBatch{{Number: 1, Records: 7}}); err != nil {
			return err
		}
		if _, err := tx.CloseOwed(run, identity, []json.RawMessage{json.RawMessage(file)}, true); err != nil {
			return err
		}
		_, err = tx.MoveRun(run, store.RunChange{To: api.RunCancelled, Actor: "test"})
		return err
	})
	return run.ID
}
