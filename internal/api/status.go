package api

import "time"

// Version is the API version that this package describes.
const Version = "v1"

// Info is what a runner says of itself.
type Info struct {
	API          string    `json:"api"`       // "v1"
	Version      string    `json:"version"`   // of the runner's binary
	RunnerID     string    `json:"runner_id"` // random, made with the data dir
	Epoch        int64     `json:"epoch"`     // grows by one with each start
	Zones        string    `json:"zones"`     // release of the embedded time zones
	DataDir      string    `json:"data_dir"`
	StartedAt    time.Time `json:"started_at"`
	PID          int       `json:"pid"`
	BinarySHA256 string    `json:"binary_sha256"`
	ConfigHash   string    `json:"config_hash"` // of the settings it was started with
}

// PutJob is the body of PUT /v1/jobs/{name}.
type PutJob struct {
	Spec     Job            `json:"spec"`
	Settings ClientSettings `json:"settings,omitzero"`
	Owner    string         `json:"owner,omitzero"`
	Reason   string         `json:"reason,omitzero"` // why it is changed, for the job's history
}

// StoredJob is a job as the runner keeps it.
type StoredJob struct {
	Spec       Job            `json:"spec"` // as submitted
	Settings   ClientSettings `json:"settings,omitzero"`
	Owner      string         `json:"owner,omitzero"`
	UID        string         `json:"uid"`
	Generation int64          `json:"generation"`
	Hash       string         `json:"hash"` // canonical, see Job.Hash
	CreatedAt  time.Time      `json:"created_at"`
	UpdatedAt  time.Time      `json:"updated_at"`
	// Resumed tells that a Put found the name buried and took up its history.
	Resumed bool `json:"resumed,omitzero"`
	// Held tells that the runner holds the job.
	Held *Hold `json:"held,omitzero"`
}

// Hold is why the runner holds a job: its due occurrences are skipped until
// somebody releases it.
type Hold struct {
	By     string    `json:"by"` // "hold_after_failures", or who asked for it
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
}

// Trigger is the body of POST /v1/jobs/{name}/runs.
type Trigger struct {
	// Occurrence is the nominal due time to run for; absent takes the second
	// of the trigger.
	Occurrence time.Time `json:"occurrence,omitzero"`
	// IfIdle refuses with 409 instead of waiting where a run is active.
	IfIdle bool `json:"if_idle,omitzero"`
}

// Rerun is the body of POST /v1/jobs/{name}/reruns: an occurrence once more,
// over fresh input.
type Rerun struct {
	// Occurrence is an instant (RFC 3339), or a local date or date-time in the
	// job's zone that names one occurrence: "2026-11-21".
	Occurrence string `json:"occurrence"`
	IfIdle     bool   `json:"if_idle,omitzero"`
}

// AskBackfill is the body of POST /v1/jobs/{name}/backfills: runs for a range
// of past occurrences.
type AskBackfill struct {
	// From and To, both included, are written as Rerun.Occurrence is; a date
	// stands for its whole day.
	From        string `json:"from"`
	To          string `json:"to"`
	Only        string `json:"only,omitzero"`         // "missing" (default), "failed" or "all"
	Order       string `json:"order,omitzero"`        // "oldest_first" (default) or "newest_first"
	MaxParallel int64  `json:"max_parallel,omitzero"` // runs at a time; 0 is 1
	DryRun      bool   `json:"dry_run,omitzero"`      // only tell what it would do
}

// Backfill is how a backfill stands.
type Backfill struct {
	ID          string    `json:"id,omitzero"` // empty for a dry run
	Job         string    `json:"job"`
	From        time.Time `json:"from"`
	To          time.Time `json:"to"`
	Only        string    `json:"only"`
	Order       string    `json:"order"`
	MaxParallel int64     `json:"max_parallel"`
	Actor       string    `json:"actor,omitzero"`
	CreatedAt   time.Time `json:"created_at,omitzero"`
	EndedAt     time.Time `json:"ended_at,omitzero"`
	// Total counts its occurrences: Waiting have no run yet, Active have one
	// that goes on; the others ended well (Succeeded) or otherwise (Failed).
	Total     int64 `json:"total"`
	Waiting   int64 `json:"waiting"`
	Active    int64 `json:"active"`
	Succeeded int64 `json:"succeeded"`
	Failed    int64 `json:"failed"`
	// Occurrences are the first hundred, in the order of their runs.
	Occurrences []time.Time `json:"occurrences"`
	// LeftOut counts the occurrences of the range that Only leaves out.
	LeftOut int64 `json:"left_out"`
	// Warnings say what else it will bring about.
	Warnings []string `json:"warnings,omitzero"`
}

// HoldJob is the body of POST /v1/jobs/{name}/hold.
type HoldJob struct {
	Reason string `json:"reason"`
}

// SetCursor is the body of POST /v1/jobs/{name}/cursor.
type SetCursor struct {
	To string `json:"to"` // "now", or an instant (RFC 3339) up to now
}

// Accept is the body of POST /v1/runs/{id}/accept.
type Accept struct {
	Reason string `json:"reason"`
}

// RetryRun is the body of POST /v1/runs/{id}/retry; it may be absent.
type RetryRun struct {
	// DeadLetters sends the run's dead letters again, too.
	DeadLetters bool `json:"dead_letters,omitzero"`
}

// Generation is one version of a job's specification, and how it came about.
type Generation struct {
	Generation int64     `json:"generation"`
	At         time.Time `json:"at"`
	Actor      string    `json:"actor"`
	Owner      string    `json:"owner,omitzero"`
	Reason     string    `json:"reason,omitzero"`
	// Changes are against the generation before; the first has none.
	Changes []Change `json:"changes"`
}

// Change is one value of a specification that an edit changed.
type Change struct {
	Path string `json:"path"` // dotted: "predict.server.command[0]"
	From string `json:"from,omitzero"`
	To   string `json:"to,omitzero"`
}

// Cost is what a job's prediction servers came to in a month. A job has a row
// for each currency in which its servers had a price, and one for those that had
// none.
type Cost struct {
	Job           string  `json:"job"`
	Month         string  `json:"month"` // "2026-11", in UTC
	Runs          int64   `json:"runs"`
	Launches      int64   `json:"launches"`
	ServerSeconds float64 `json:"server_seconds"`
	Cost          string  `json:"cost,omitzero"` // "12.30 EUR"; absent where no launch had a price
}

// Verdict is what was decided about an occurrence.
type Verdict string

// The verdicts.
const (
	VerdictRun     Verdict = "run"
	VerdictSkipped Verdict = "skipped"
	VerdictMissed  Verdict = "missed"
)

// The reasons of decisions.
const (
	DecidedDue       = "due"        // run: in time
	DecidedCatchUp   = "catch_up"   // run: missed, and caught up with
	DecidedOverlap   = "overlap"    // skipped: a main run was active
	DecidedQueueFull = "queue_full" // skipped: max_queued runs waited
	DecidedPaused    = "paused"     // skipped
	DecidedHeld      = "held"       // skipped
	DecidedCursor    = "cursor"     // skipped: somebody moved the cursor past it
	DecidedOutage    = "outage"     // missed: nobody decided it in time
	DecidedTooOld    = "too_old"    // missed: older than catch_up.window
	DecidedMaxRuns   = "max_runs"   // missed: more than catch_up.max_runs
	DecidedRestored  = "restored"   // missed: between a backup and its restoration, when it may have run
)

// Decision is a row of equal neighbouring verdicts about a job's occurrences.
type Decision struct {
	Verdict Verdict   `json:"verdict"`
	Reason  string    `json:"reason,omitzero"` // one of the Decided words
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
	Count   int64     `json:"count"`
	Run     string    `json:"run,omitzero"`
}

// JobStatus is what a job's status data source, `status` and `check` blocks
// are made of.
type JobStatus struct {
	Job        string   `json:"job"`
	UID        string   `json:"uid"`
	Generation int64    `json:"generation"`
	Healthy    bool     `json:"healthy"`
	Summary    string   `json:"summary"` // the first clause of health that fails, or how the last run went
	Reasons    []string `json:"reasons"` // every clause that fails
	Paused     bool     `json:"paused"`
	Held       *Hold    `json:"held,omitzero"`
	// Cursor is the nominal instant up to which everything is decided.
	Cursor time.Time `json:"cursor"`
	// NextOccurrence is nominal; NextDueAt is that and the job's jitter.
	NextOccurrence time.Time `json:"next_occurrence,omitzero"`
	NextDueAt      time.Time `json:"next_due_at,omitzero"`
	// Missed and Skipped count occurrences by the reason of the decision.
	Missed      map[string]int64 `json:"missed"`
	Skipped     map[string]int64 `json:"skipped"`
	LastRun     *Run             `json:"last_run,omitzero"`     // newest by (occurrence, revision)
	LastSuccess *Run             `json:"last_success,omitzero"` // newest succeeded
	ActiveRun   *Run             `json:"active_run,omitzero"`
	// Backfill is the one that goes on.
	Backfill     *Backfill `json:"backfill,omitzero"`
	LastDecision *Decision `json:"last_decision,omitzero"`
	// Owed counts the records that wait in the job's ledger for its next run.
	Owed int64 `json:"owed"`
}

// Check is one finding of `batch-runner doctor`.
type Check struct {
	Name   string `json:"name"` // "store", "disk", "clock", "permissions", "input", "secret"
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
	Hint   string `json:"hint,omitzero"`
}
