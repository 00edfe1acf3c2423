package store

import (
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// withFolder is a run that has ended with an output.
func withFolder(t *testing.T, s *Store, job Job, at time.Time, folder string, revision int64) Run {
	t.Helper()
	run := move(t, s, runningRun(t, s, job, at, 10), api.RunCommitting)
	return made(t, s, func(tx *Tx) (Run, error) {
		return tx.MoveRun(run, RunChange{To: api.RunSucceeded, Actor: "test", Output: folder, Revision: revision})
	})
}

func TestAFolderThatGoesIsNobodysOutput(t *testing.T) {
	s, _ := open(t)
	iris, other := newJob(t, s, "iris"), newJob(t, s, "other")
	first, second := withFolder(t, s, iris, begin, "/out/a", 1), withFolder(t, s, iris, begin, "/out/a", 2)
	kept := withFolder(t, s, iris, begin.Add(time.Hour), "/out/b", 1)
	others := withFolder(t, s, other, begin, "/out/a", 1)
	if all := must(s.WithOutput(iris.UID))(t); len(all) != 3 || all[0].ID != kept.ID || all[1].ID != second.ID {
		t.Errorf("with output are %+v", all)
	}
	removal := Removal{Folder: "/out/a", UID: iris.UID, Run: second.ID, Revision: 2}
	do(t, s, func(tx *Tx) error { return tx.DecideRemoval(removal, nil) })
	for run, want := range map[string]string{first.ID: "", second.ID: "", kept.ID: "/out/b", others.ID: "/out/a"} {
		if got := must(s.Run(run))(t); got.Output != want {
			t.Errorf("output of %s is %q, want %q", run, got.Output, want)
		}
	}
	if all := must(s.Removals())(t); len(all) != 1 || all[0] != removal {
		t.Errorf("removals are %+v", all)
	}
	if n := must(s.LastRevision(first))(t); n != 2 {
		t.Errorf("the last revision is %d", n)
	}
	do(t, s, func(tx *Tx) error { return tx.EndRemoval("/out/a") })
	if all := must(s.Removals())(t); len(all) != 0 {
		t.Errorf("removals are %+v", all)
	}
}

func TestAFolderStaysThatARunMayNeed(t *testing.T) {
	s, _ := open(t)
	iris := newJob(t, s, "iris")
	old := withFolder(t, s, iris, begin, "/out/a", 1)
	removal := Removal{Folder: "/out/a", UID: iris.UID, Run: old.ID, Revision: 1}
	looked := must(s.UnderWayOf(iris.UID))(t)
	run := runningRun(t, s, iris, begin.Add(time.Hour), 10) // nobody has looked where it writes to
	before := dump(t, s)
	doErr(t, s, ErrBusy, func(tx *Tx) error { return tx.DecideRemoval(removal, looked) })
	if dump(t, s) != before {
		t.Error("a removal that was refused left something behind")
	}
	do(t, s, func(tx *Tx) error { return tx.DecideRemoval(removal, []Run{run}) })

	taken := withFolder(t, s, iris, begin.Add(2*time.Hour), "/out/c", 1)
	do(t, s, func(tx *Tx) error {
		return tx.exec(`UPDATE runs SET state = 'queued', ended_at = 0 WHERE id = $1`, taken.ID)
	})
	doErr(t, s, ErrBusy, func(tx *Tx) error {
		return tx.DecideRemoval(Removal{Folder: "/out/c", UID: iris.UID, Run: taken.ID, Revision: 1}, []Run{run})
	})
}

func TestWhyAFolderStaysIsNewsOnce(t *testing.T) {
	s, _ := open(t)
	r := Removal{Folder: "/out/a", UID: "u", Run: "r", Revision: 1, Kept: "it holds notes.txt"}
	for i, want := range []bool{true, false, true} {
		if i == 2 {
			r.Kept = "it holds more.txt"
		}
		if news := made(t, s, func(tx *Tx) (bool, error) { return tx.KeepRemoval(r) }); news != want {
			t.Errorf("telling %d, %q, is news: %v", i, r.Kept, news)
		}
	}
}

func TestOnlyLiveJobsWithALimitAreRetaining(t *testing.T) {
	s, _ := open(t)
	insert := func(name string, output api.Output) Job {
		return made(t, s, func(tx *Tx) (Job, error) {
			return tx.InsertJob(Job{StoredJob: api.StoredJob{Spec: api.Job{Name: name, Output: output}}, Cursor: tx.Now})
		})
	}
	insert("forever", api.Output{})
	limited := insert("limited", api.Output{KeepRuns: new(int64(3))})
	buried := insert("buried", api.Output{KeepFor: "7d"})
	do(t, s, func(tx *Tx) error { return tx.BuryJob(buried.UID) })
	if all := must(s.Retaining())(t); len(all) != 1 || all[0].UID != limited.UID || *all[0].Spec.Output.KeepRuns != 3 {
		t.Errorf("retaining are %+v", all)
	}
}

func TestAPurgeRemembersWhatToTidyUp(t *testing.T) {
	s, _ := open(t)
	iris := newJob(t, s, "iris")
	newRun(t, s, iris, api.Run{Origin: api.OriginManual}) // has never left the queue
	staged := move(t, s, runningRun(t, s, iris, begin, 10), api.RunFailed)
	swept := move(t, s, runningRun(t, s, iris, begin.Add(time.Hour), 10), api.RunFailed)
	do(t, s, func(tx *Tx) error { return tx.StagingSwept(swept) })
	do(t, s, func(tx *Tx) error { return tx.PurgeJob(iris.UID) })
	left := map[string]bool{}
	for _, run := range must(s.PurgedRuns(10))(t) {
		left[run.Run] = run.Staged
		if run.UID != iris.UID || run.Job != "iris" {
			t.Errorf("purged is %+v", run)
		}
		do(t, s, func(tx *Tx) error { return tx.PurgedSwept(run.Run) })
	}
	if len(left) != 2 || !left[staged.ID] || left[swept.ID] {
		t.Errorf("to tidy up are %v", left)
	}
	if all := must(s.PurgedRuns(10))(t); len(all) != 0 {
		t.Errorf("still to tidy up are %v", all)
	}
}

func TestAMiniBatchIsCommittedAsShownByItsOwnerOnly(t *testing.T) {
	s, _ := open(t)
	run := runningRun(t, s, newJob(t, s, "iris"), begin, 10, 10)
	m := claim(t, s, run, 1)[0]
	doErr(t, s, ErrFenced, func(tx *Tx) error { return tx.CommitShown(run, m, nil) }) // not staged yet
	stage(t, s, run, m, 2)
	do(t, s, func(tx *Tx) error { return tx.Show(run) })
	late := m
	late.Fence--
	doErr(t, s, ErrFenced, func(tx *Tx) error { return tx.CommitShown(run, late, nil) })
	do(t, s, func(tx *Tx) error { return tx.CommitShown(run, m, nil) })
	now := must(s.Run(run.ID))(t)
	if c := now.Counts; c.Committed != 8 || c.DeadLettered != 2 || c.Unfinished != 10 || !c.Balanced() {
		t.Errorf("counts are %+v", c)
	}

	cancelled := move(t, s, run, api.RunCancelled)
	if all := must(s.Shown())(t); len(all) != 1 || all[0].ID != run.ID {
		t.Errorf("shown are %+v", all)
	}
	doErr(t, s, ErrFenced, func(tx *Tx) error { _, err := tx.Concluded(run, "/out/a"); return err })
	do(t, s, func(tx *Tx) error { _, err := tx.Concluded(cancelled, "/out/a"); return err })
	if now := must(s.Run(run.ID))(t); now.Output != "/out/a" || now.Revision != 0 {
		t.Errorf("output is %q, revision %d", now.Output, now.Revision)
	}
	if shown := must(s.IsShown(run.ID))(t); shown {
		t.Error("the run is concluded and still shown")
	}
}
