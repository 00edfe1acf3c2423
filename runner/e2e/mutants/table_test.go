package mutants

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// root is the module's folder.
const root = "../../.."

// histories is the test of the model.
const histories = "TestWhateverHappensEveryRecordHasOneOutcome"

// mutant is a bug and the test that must catch it.
type mutant struct {
	bug      string
	file     string // of the module
	old, new string // old occurs exactly once
	test     string // a pattern of -run that one test fits
	room     string // the test's package
	drawn    bool   // the test draws its cases
}

var mutants = []mutant{
	{
		bug:  "drop the fence check",
		file: "runner/store/mini_batches.go",
		old:  "AND state = 'running' AND epoch = $10 AND fence = $11 AND records = $12", new: "AND state = 'running' AND epoch = $10 AND $11 > 0 AND records = $12",
		test: "TestALateWorkerIsFencedOff", room: "./runner/engine",
	},
	{
		bug:  "publish before the row",
		file: "runner/engine/commit.go",
		old:  "	err = x.e.Store.Write(ctx, func(tx *store.Tx) error {\n		counted, err := tx.Run(x.run.ID)",
		new: "	x.run.Intent = store.Intent{State: api.RunSucceeded, Revision: ahead.revision, Parts: ahead.parts, Folder: x.out.Folder(), At: x.e.Now()}\n" +
			"	if _, err := x.publishOnce(ctx); err != nil {\n		return err\n	}\n" +
			"	err = x.e.Store.Write(ctx, func(tx *store.Tx) error {\n		counted, err := tx.Run(x.run.ID)",
		test: histories, room: "./runner/engine", drawn: true,
	},
	{
		bug:  "move the mark on failure",
		file: "runner/engine/ledger.go",
		old:  "	if counted.Counts.Committed == 0 {", new: "	if counted.Counts.Committed < 0 {",
		test: "TestARunThatCommitsNothingMovesNoMemory", room: "./runner/engine",
	},
	{
		bug:  "dead-letter on timeout",
		file: "runner/predict/error.go",
		old:  "	reason := \"\"\n	switch {\n	case errors.Is(a.Err, retryhttp.ErrTooLong):",
		new:  "	if e.Timeout {\n		e.Class = api.ClassData\n	}\n	reason := \"\"\n	switch {\n	case errors.Is(a.Err, retryhttp.ErrTooLong):",
		test: "TestATimeoutIsNoRecordsFault", room: "./runner/engine",
	},
	{
		bug:  "skip the folder fsync",
		file: "runner/sink/stage.go",
		old:  "	if err := p.staging.fs.SyncDir(filepath.Dir(p.full())); err != nil {\n		return err\n	}\n", new: "",
		test: "TestAPartIsSyncedBeforeItsFolderIs", room: "./runner/sink",
	},
	{
		bug:  "count a dead letter twice",
		file: "runner/store/mini_batches.go",
		old:  "c.DeadLettered += g.dead", new: "c.DeadLettered += 2 * g.dead",
		test: "TestTheAccountsBalanceAfterEveryTransition", room: "./runner/store", drawn: true,
	},
	{
		bug:  "count a gone record as committed",
		file: "runner/store/mini_batches.go",
		old:  "c.Committed += g.staged - g.gone", new: "c.Committed += g.staged",
		test: "TestTheAccountsBalanceAfterEveryTransition", room: "./runner/store", drawn: true,
	},
	{
		bug:  "forget what a run owes",
		file: "runner/engine/ledger.go",
		old:  "carriesOwn(plan.Spec))\n	if err", new: "false)\n	if err",
		test: "TestTheLedgerAcrossRunsThatEndInEveryWay", room: "./runner/engine",
	},
	{
		bug:  "move a watermark though nothing was committed",
		file: "runner/engine/ledger.go",
		old:  "	if counted.Counts.Committed == 0 {", new: "	if plan.Mark == nil && counted.Counts.Committed == 0 {",
		test: "TestTheMarkAcrossRunsThatEndInEveryWay", room: "./runner/engine",
	},
	{
		bug:  "forget owed rows",
		file: "runner/engine/ledger.go",
		old:  "planned.Input.SQL != nil && planned.Input.Mode != api.ModeWatermark", new: "planned.Input.SQL != nil",
		test: "TestTheMarkAcrossRunsThatEndInEveryWay", room: "./runner/engine",
	},
	{
		bug:  "forget a dead row before its prediction is visible",
		file: "runner/store/known_keys.go",
		old:  "FROM dead_letters WHERE run_id = $3 AND key <> ''", new: "FROM dead_letters WHERE run_id = $3 AND redriven = 0 AND key <> ''",
		test: "TestARedriveThatIsNotPublishedForgetsNoDeadRow", room: "./runner/engine",
	},
	{
		bug:  "take files anew that are visible already",
		file: "runner/engine/plan.go",
		old:  "	if err := x.settleEarlier(ctx); err != nil {\n		return err\n	}\n", new: "",
		test: "TestWhatIsVisibleThoughPublishingFailedIsNotTakenTwice", room: "./runner/engine",
	},
	{
		bug:  "read a copy that has changed",
		file: "runner/source/spool.go",
		old:  "	if info.Size() == f.SpoolSize {", new: "	if info.Size() >= 0 {",
		test: "TestACopyThatChangesEndsTheRun", room: "./runner/engine",
	},
	{
		bug:  "go on with a copy that is given up",
		file: "runner/engine/actions.go",
		old:  "		if err := copiesThere(tx, run); err != nil {\n			return err\n		}\n", new: "",
		test: "TestACopyThatIsHalfRemovedIsNotRead", room: "./runner/engine",
	},
	{
		bug:  "write rows before their marker",
		file: "runner/database/commit.go",
		old:  "	fresh, err := w.mark(ctx, c)\n	if err != nil {\n		return Result{}, err\n	}\n",
		new:  "	if _, err := w.writeAll(ctx, c); err != nil {\n		return Result{}, err\n	}\n	fresh, err := w.mark(ctx, c)\n	if err != nil {\n		return Result{}, err\n	}\n",
		test: "TestACommitHappensOnceHoweverOftenItIsCalled", room: "./runner/database",
	},
	{
		bug:  "ignore only_if_unset",
		file: "runner/database/writer.go",
		old:  "	if w.target.OnlyIfUnset {", new: "	if w.target.OnlyIfUnset && w.target.RunAt == \"-\" {",
		test: "TestRowsThatOthersHaveFilledStayAsTheyAre", room: "./runner/database",
	},
	{
		bug:  "overwrite a newer run's row",
		file: "runner/database/writer.go",
		old:  "	if w.target.RunAt != \"\" {\n		fmt.Fprintf(&when", new: "	if w.target.RunAt == \"-\" {\n		fmt.Fprintf(&when",
		test: histories, room: "./runner/engine", drawn: true,
	},
	{
		bug:  "publish a manifest without its precondition",
		file: "runner/sink/objects_publish.go",
		old:  "object.Condition{Absent: now.manifest == nil, Match: now.etag}", new: "object.Condition{}",
		test: "TestAManifestThatCameMeanwhileIsNotReplaced", room: "./runner/sink",
	},
	{
		bug:  "publish what was swept meanwhile",
		file: "runner/sink/objects_claim.go",
		old:  "object.Condition{Match: held.etag}", new: "object.Condition{}",
		test: "TestRunsOfOneJobTakeNothingFromEachOther", room: "./runner/sink",
	},
	{
		bug:  "sweep what may be published yet",
		file: "runner/sink/objects_sweep.go",
		old:  "object.Condition{Match: held.etag}", new: "object.Condition{}",
		test: "TestRunsOfOneJobTakeNothingFromEachOther", room: "./runner/sink",
	},
	{
		bug:  "take another's upload for one's own",
		file: "runner/sink/objects_claim.go",
		old:  "case there.in(c.State) == c:", new: "case there.Run == c.Run:",
		test: "TestRunsOfOneJobTakeNothingFromEachOther", room: "./runner/sink",
	},
}

// Each seeded bug can be put into the source as it is.
func TestEachSeededBugHasItsPlace(t *testing.T) {
	for _, m := range mutants {
		t.Run(m.bug, func(t *testing.T) { m.place(t) })
	}
}

// place is the file that the bug is put into, and its source.
func (m mutant) place(t *testing.T) (path, source string) {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(root, m.file))
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(content), m.old); n != 1 {
		t.Fatalf("%s holds the anchor of %q %d times; bring the mutant up to date:\n%s", m.file, m.bug, n, m.old)
	}
	return path, string(content)
}
