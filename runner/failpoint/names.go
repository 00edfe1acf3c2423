// Package failpoint marks the instants at which a crash is worth a test. In a
// binary built with the tag failpoint, BATCH_FAILPOINT=name or name:n makes the
// process kill itself as kill -9 does at the n-th pass of that point; before,
// the name is appended, durably, to the file BATCH_FAILPOINT_LOG, so that a
// test can tell that the point was reached. Without the tag Here is empty.
package failpoint

// Names are all points there are; one that is not listed panics when it is
// passed or asked for in a tagged binary, so that a typo can't pass for a test.
var Names = []string{
	"plan.spooled", // what can't be read twice is copied, the plan is not stored
	"plan.stored",  // the plan is in the store, nothing is predicted

	"launch.intent",   // the store knows that a server will be started
	"launch.forked",   // the server runs, the store does not know its pid
	"launch.recorded", // the store knows the server's pid

	"predict.sent", // a request is on its way, its answer unknown

	"stage.written",  // a part is written, not yet synced
	"stage.synced",   // a part is durable, the store does not know it
	"stage.row",      // the store has the part's row
	"isolate.half",   // the answer of a half is known, the next is not sent
	"retry_wait.row", // the store has the wait of a failed mini-batch
	"carry.row",      // the ledger rows of what is carried are written, not stored

	"publish.intent",   // the point of no return is stored
	"publish.claim",    // nobody else can publish to the prefix, nothing is uploaded
	"publish.part",     // the parts of the folder are assembled
	"publish.manifest", // the folder is complete and durable, not in place
	"publish.renamed",  // the folder is in place, the pointer is not
	"publish.pointer",  // the pointer is in place, the store does not know it
	"publish.row",      // the store knows that the run has ended
	"close.ledger",     // the memory of a job is moved with the end of a run, not stored

	"reveal.marked", // a folder says that its run is under way, nothing is in it
	"reveal.part",   // a mini-batch is visible, the store does not know it
	"reveal.row",    // the store knows that a mini-batch is visible

	"sql.marker",                  // a mini-batch's marker is in its transaction, nothing else
	"sql.before_commit",           // a transaction has all its rows, and is not committed
	"sql.after_commit_before_row", // a transaction is committed, the store does not know it
	"sql.publish",                 // everything is in the table, the store does not know it

	"retain.decided",  // the store says that a folder goes, it is there
	"retain.unmarked", // a folder that goes has lost its _SUCCESS
	"retain.emptied",  // only the manifest is left of a folder that goes
	"retain.removed",  // a folder is gone, the store does not know it

	"drain.begin", // the runner was told to stop

	"trigger.before_commit", // decisions are made, not stored
	"trigger.after_commit",  // decisions, cursor and run rows are stored
}
