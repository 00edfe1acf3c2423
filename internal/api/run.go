package api

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Origin says what asked for a run.
type Origin string

// The origins. All of them are main runs.
const (
	OriginSchedule Origin = "schedule"
	OriginCatchUp  Origin = "catch_up"
	OriginManual   Origin = "manual"
	OriginBackfill Origin = "backfill"
)

// RunState is where a run stands in its life.
type RunState string

// The states of a run; see docs on a run's life.
const (
	RunQueued       RunState = "queued"
	RunPlanning     RunState = "planning"
	RunProvisioning RunState = "provisioning"
	RunRunning      RunState = "running"
	RunCommitting   RunState = "committing"
	RunSucceeded    RunState = "succeeded"
	RunIncomplete   RunState = "incomplete"
	RunFailed       RunState = "failed"
	RunCancelled    RunState = "cancelled"
	RunStopped      RunState = "stopped"
	RunSkipped      RunState = "skipped" // replaced in the queue by a newer occurrence
)

// Ended tells whether nothing more happens to a run by itself.
func (s RunState) Ended() bool {
	switch s {
	case RunSucceeded, RunIncomplete, RunFailed, RunCancelled, RunStopped, RunSkipped:
		return true
	}
	return false
}

// MiniBatchState is where a mini-batch stands.
type MiniBatchState string

// The states of a mini-batch.
const (
	MiniBatchPending   MiniBatchState = "pending"
	MiniBatchRunning   MiniBatchState = "running"
	MiniBatchRetryWait MiniBatchState = "retry_wait"
	MiniBatchStaged    MiniBatchState = "staged"
	MiniBatchCommitted MiniBatchState = "committed"
	MiniBatchGivenUp   MiniBatchState = "given_up"
	MiniBatchCancelled MiniBatchState = "cancelled"
)

// Class is the class of a failure; it decides what happens next.
type Class string

// The failure classes.
const (
	ClassConfig       Class = "config"        // the run fails at once
	ClassBadRecord    Class = "bad_record"    // that record becomes a dead letter, no request is sent
	ClassData         Class = "data"          // the server refused these records
	ClassTooLarge     Class = "too_large"     // the request is halved
	ClassThrottled    Class = "throttled"     // wait as told, no attempt used
	ClassTransient    Class = "transient"     // try again
	ClassServerLost   Class = "server_lost"   // relaunch, no attempt used
	ClassInputChanged Class = "input_changed" // the run fails at once
	ClassStorage      Class = "storage"       // our own disk: wait, no attempt used
)

// The classes of dead letters beside bad_record and data.
const (
	ClassNotIsolated Class = "not_isolated" // among these records is one that crashes or hangs the server
	ClassCarriedOut  Class = "carried_out"  // sent by max_carries runs in vain
)

// Reason says why a run ended other than succeeded, or why it waits in the
// queue. A Class is a Reason too.
type Reason string

// The reasons beside the classes.
const (
	ReasonInputMissing     Reason = "input_missing"
	ReasonInputLate        Reason = "input_late" // input.wait_for waited in vain
	ReasonInputEmpty       Reason = "input_empty"
	ReasonOutputUnwritable Reason = "output_unwritable"
	ReasonOutputTaken      Reason = "output_taken"
	ReasonLaunchFailed     Reason = "launch_failed"
	ReasonStartTimeout     Reason = "start_timeout"
	ReasonServerLost       Reason = "server_lost"
	ReasonMaxFailed        Reason = "max_failed"
	ReasonNothingSucceeded Reason = "nothing_succeeded"
	ReasonPublish          Reason = "publish"
	ReasonAccepted         Reason = "accepted"
	ReasonWaitingForSlot   Reason = "waiting_for_slot"
	ReasonWaitingForTurn   Reason = "waiting_for_turn"
	ReasonWaitingForInput  Reason = "waiting_for_input"
	ReasonReplaced         Reason = "replaced" // of a skipped run: a newer occurrence took its place
	ReasonOverlap          Reason = "overlap"  // of a cancelled run: a newer occurrence ended it
	ReasonModelChanged     Reason = "model_changed"
	ReasonSuperseded       Reason = "superseded" // of a run attempt: an upgrade started over the same plan
	ReasonRestored         Reason = "restored"   // of a cancelled run: it was under way when the backup was made
)

// Counts is the accounting of a run, in records. At every moment
//
//	Planned = Committed + Carried + DeadLettered + Gone + Unfinished
//
// Unfinished is a sum over mini-batches, never a difference; Staged and
// GivenUp are parts of it.
type Counts struct {
	Planned      int64 `json:"planned"`
	Committed    int64 `json:"committed"`
	Carried      int64 `json:"carried"`
	DeadLettered int64 `json:"dead_lettered"`
	Gone         int64 `json:"gone"`
	Unfinished   int64 `json:"unfinished"`
	Staged       int64 `json:"staged"`
	GivenUp      int64 `json:"given_up"`
}

// Balanced tells whether the accounting law holds.
func (c Counts) Balanced() bool {
	return c.Planned == c.Committed+c.Carried+c.DeadLettered+c.Gone+c.Unfinished &&
		c.Staged >= 0 && c.GivenUp >= 0 && c.Staged+c.GivenUp <= c.Unfinished
}

// Failed is what max_failed is compared with.
func (c Counts) Failed() int64 { return c.DeadLettered + c.Carried + c.GivenUp }

// MiniBatchCounts is the number of mini-batches of a run in each state.
type MiniBatchCounts struct {
	Total     int64 `json:"total"`
	Pending   int64 `json:"pending"`
	Running   int64 `json:"running"`
	RetryWait int64 `json:"retry_wait"`
	Staged    int64 `json:"staged"`
	Committed int64 `json:"committed"`
	GivenUp   int64 `json:"given_up"`
	Cancelled int64 `json:"cancelled"`
}

// Run is one execution of a job.
type Run struct {
	ID         string    `json:"id"`
	Job        string    `json:"job"`
	JobUID     string    `json:"job_uid"`
	Generation int64     `json:"generation"`
	Occurrence time.Time `json:"occurrence"`
	Origin     Origin    `json:"origin"`
	Sequence   int64     `json:"sequence"`
	Backfill   string    `json:"backfill,omitzero"` // id of the backfill that asked for it
	Attempt    int64     `json:"attempt"`           // run attempt, counting from 1
	State      RunState  `json:"state"`
	Reason     Reason    `json:"reason,omitzero"`
	// Message is one sentence for a person: what happened, where.
	Message  string `json:"message,omitzero"`
	Withheld bool   `json:"withheld,omitzero"` // failed over max_failed; staging is kept until WithheldUntil

	WithheldUntil time.Time       `json:"withheld_until,omitzero"`
	Counts        Counts          `json:"counts"`
	MiniBatches   MiniBatchCounts `json:"mini_batches"`
	Requests      int64           `json:"requests"` // requests answered with predictions
	Launches      int64           `json:"launches"` // prediction servers started
	// ServerSeconds is how long its prediction servers lived, together; Cost
	// what that came to ("0.12 EUR"), where the job has a price.
	ServerSeconds float64 `json:"server_seconds"`
	Cost          string  `json:"cost,omitzero"`
	// Fingerprint identifies the model that the run began with.
	Fingerprint string    `json:"fingerprint,omitzero"`
	Isolation   Isolation `json:"isolation,omitzero"`
	PlanHash    string    `json:"plan_hash,omitzero"`
	Revision    int64     `json:"revision,omitzero"` // of the published folder, counting from 1
	Output      string    `json:"output,omitzero"`   // the published folder
	CreatedAt   time.Time `json:"created_at"`
	StartedAt   time.Time `json:"started_at,omitzero"`
	EndedAt     time.Time `json:"ended_at,omitzero"`
	// Trouble is what a run under way waits for, where something is wrong.
	Trouble Trouble `json:"trouble,omitzero"`
	// SpoolBytes is what its copies of input take in the runner's data dir now.
	SpoolBytes int64 `json:"spool_bytes,omitzero"`
}

// Trouble is what keeps a run from going on, and may pass by itself.
type Trouble struct {
	Since time.Time `json:"since"`
	// Until is when the run gives up, where that is known beforehand.
	Until time.Time `json:"until,omitzero"`
	Error string    `json:"error"`
}

// StorageLimit is how long a run waits for a disk, a store or a database.
const StorageLimit = time.Hour

// TroubleOf finds in the history of a run under way what it waits for; the zero
// value where nothing is wrong, or that has passed. How long an input is waited
// for is not in the history.
func TroubleOf(events []Event) Trouble {
	for _, e := range slices.Backward(events) {
		switch e.Kind {
		case "storage":
			return Trouble{Since: e.At, Until: e.At.Add(StorageLimit), Error: e.Detail}
		case "waiting":
			return Trouble{Since: e.At, Error: e.Detail}
		case "not_ready":
			what := e.Detail
			if !strings.HasPrefix(what, "program ") { // which says so itself
				what = "the prediction server is not ready: " + what
			}
			return Trouble{Since: e.At, Error: what}
		case "state", "planned", "launch", "ready":
			return Trouble{}
		}
	}
	return Trouble{}
}

// Told says in words since when, for what and how long a run waits; at writes an
// instant for its reader.
func (t Trouble) Told(at func(time.Time) string) string {
	text := fmt.Sprintf("since %s: %s", at(t.Since.Truncate(time.Second)), t.Error)
	if !t.Until.IsZero() {
		text += "; if this lasts, the run gives up at " + at(t.Until.Truncate(time.Second))
	}
	return text
}

// Isolation counts the requests that looked for poison records.
type Isolation struct {
	Probes        int64 `json:"probes"`        // halves and single records below a failed request
	Controls      int64 `json:"controls"`      // known good records, to tell a bad record from a sick server
	Confirmations int64 `json:"confirmations"` // a bad record once more, after a control
	Launches      int64 `json:"launches"`      // servers that suspects cost
}

// RunAttempt is one pass of a run over its plan.
type RunAttempt struct {
	Number       int64     `json:"number"` // counting from 1
	Generation   int64     `json:"generation"`
	ExecSpecHash string    `json:"exec_spec_hash"` // of the server, timeouts and thresholds it used
	StartedAt    time.Time `json:"started_at"`
	EndedAt      time.Time `json:"ended_at,omitzero"`
	Outcome      string    `json:"outcome,omitzero"` // the run state it led to, or "superseded"
	Reason       Reason    `json:"reason,omitzero"`
	Message      string    `json:"message,omitzero"`
}

// MiniBatchAttempt is one attempt at a mini-batch that has ended.
type MiniBatchAttempt struct {
	MiniBatch  int64          `json:"mini_batch"`
	Fence      int64          `json:"fence"` // counting the attempts at this mini-batch
	RunAttempt int64          `json:"run_attempt"`
	EndedAt    time.Time      `json:"ended_at"`
	Outcome    MiniBatchState `json:"outcome"` // the state it led to
	Class      Class          `json:"class,omitzero"`
	Status     int            `json:"status,omitzero"`
	Error      string         `json:"error,omitzero"`
}

// MiniBatch is one slice of a run's pinned input.
type MiniBatch struct {
	Number       int64          `json:"number"` // counting from 1, as in part-000001
	State        MiniBatchState `json:"state"`
	File         string         `json:"file"`
	FirstLine    int64          `json:"first_line"`
	Records      int64          `json:"records"`
	DeadLettered int64          `json:"dead_lettered"`
	// Gone counts the records that had no row to write to, by why: "deleted",
	// "taken" by another writer, or written by a "newer" run.
	Gone      map[string]int64 `json:"gone,omitzero"`
	Attempts  int64            `json:"attempts"`
	Class     Class            `json:"class,omitzero"`
	Error     string           `json:"error,omitzero"`
	NotBefore time.Time        `json:"not_before,omitzero"` // of a mini-batch in retry_wait

	Requests    int64  `json:"requests,omitzero"`     // answered with predictions
	Carried     bool   `json:"carried,omitzero"`      // its records are in the ledger, for the next run
	CarriedFrom string `json:"carried_from,omitzero"` // the run that owed its records
	Losses      int64  `json:"losses,omitzero"`       // servers lost while it was in flight
	Timeouts    int64  `json:"timeouts,omitzero"`     // of requests, in attempts that failed by them
	Fingerprint string `json:"fingerprint,omitzero"`  // of the model that predicted it, where runs may mix models
}

// DeadLetter is a record given up because of its data.
type DeadLetter struct {
	Key       map[string]string `json:"key,omitzero"`
	Input     string            `json:"input,omitzero"` // absent with dead_letters.input = "key_only"
	Source    Place             `json:"source"`
	Run       string            `json:"run"`
	MiniBatch int64             `json:"mini_batch"`
	Class     Class             `json:"class"`
	Status    int               `json:"status,omitzero"`
	Error     string            `json:"error"`
	Group     string            `json:"group,omitzero"` // shared by the letters of records that could not be told apart
	Attempts  int64             `json:"attempts"`
	FirstSeen time.Time         `json:"first_seen"`
	LastSeen  time.Time         `json:"last_seen"`
}

// Place is where a record stands: a file and the physical line it begins on
// (the row, in Parquet), or a table and the row's key.
type Place struct {
	File  string            `json:"file,omitzero"`
	Line  int64             `json:"line,omitzero"`
	Table string            `json:"table,omitzero"`
	Key   map[string]string `json:"key,omitzero"`
}

// String reads as people name places: "/in/a.csv:17", "items(id=7)".
func (p Place) String() string {
	if p.Table == "" {
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	var cells []string
	for _, column := range slices.Sorted(maps.Keys(p.Key)) {
		cells = append(cells, column+"="+p.Key[column])
	}
	return p.Table + "(" + strings.Join(cells, ", ") + ")"
}

// Event is one entry of a run's history.
type Event struct {
	ID     int64     `json:"id,omitzero"` // grows within the runner; 0 for the first, which is the run's own row
	At     time.Time `json:"at"`
	Kind   string    `json:"kind"` // "state", "planned", "launch", "ready", "server_lost", "isolation", "breaker", "carried", …
	Actor  string    `json:"actor"`
	From   string    `json:"from,omitzero"`
	To     string    `json:"to,omitzero"`
	Reason string    `json:"reason,omitzero"`
	Detail string    `json:"detail,omitzero"`
}

// TopError is one of a run's most frequent errors.
type TopError struct {
	Class       Class  `json:"class"`
	Status      int    `json:"status,omitzero"`
	Error       string `json:"error"`
	Records     int64  `json:"records"`
	MiniBatches int64  `json:"mini_batches"`
	// Example says which records one of the failed requests held.
	Example string `json:"example,omitzero"`
}

// OwedSlice is an entry of a job's ledger: records that a run could not
// finish, for the next one to take.
type OwedSlice struct {
	ID         int64     `json:"id"`
	Run        string    `json:"run"` // that owes it
	Occurrence time.Time `json:"occurrence"`
	MiniBatch  int64     `json:"mini_batch"` // of that run
	File       string    `json:"file"`
	FirstLine  int64     `json:"first_line"`
	Records    int64     `json:"records"`
	Carries    int64     `json:"carries"` // runs that have sent them
	Class      Class     `json:"class,omitzero"`
	Error      string    `json:"error,omitzero"`
	Since      time.Time `json:"since"`
	TakenBy    string    `json:"taken_by,omitzero"` // the run that has it in its plan now
}

// Why explains how a run came to its state.
type Why struct {
	Run   Run    `json:"run"`
	Cause string `json:"cause"`
	// Notes say what else is to know, a sentence each: where carried records
	// are, what the model changed from, how poison records were looked for.
	Notes       []string     `json:"notes"`
	Errors      []TopError   `json:"errors"`
	DeadLetters []DeadLetter `json:"dead_letters"` // at most three examples
	Next        []string     `json:"next"`         // the commands that make sense now
	Events      []Event      `json:"events"`
}

// Failure is an error that ends a run: a room returns it, the engine records
// its reason and shows its text.
type Failure struct {
	Reason Reason
	Err    error
	Hint   string // the remedy; may be empty
}

// Fail makes a Failure.
func Fail(reason Reason, hint string, err error) *Failure {
	return &Failure{Reason: reason, Err: err, Hint: hint}
}

// Error reads "what happened; what to do".
func (f *Failure) Error() string {
	if f.Hint == "" {
		return f.Err.Error()
	}
	return f.Err.Error() + "; " + f.Hint
}

// Unwrap gives the cause.
func (f *Failure) Unwrap() error { return f.Err }
