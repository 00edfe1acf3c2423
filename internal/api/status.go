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
}

// Trigger is the body of POST /v1/jobs/{name}/runs.
type Trigger struct {
	// Occurrence is the nominal due time to run for; absent takes the second
	// of the trigger.
	Occurrence time.Time `json:"occurrence,omitzero"`
	// IfIdle refuses with 409 instead of waiting where a run is active.
	IfIdle bool `json:"if_idle,omitzero"`
}

// Accept is the body of POST /v1/runs/{id}/accept.
type Accept struct {
	Reason string `json:"reason"`
}

// Verdict is what was decided about an occurrence.
type Verdict string

// The verdicts.
const (
	VerdictRun     Verdict = "run"
	VerdictSkipped Verdict = "skipped"
	VerdictMissed  Verdict = "missed"
)

// Decision is a row of equal neighbouring verdicts about a job's occurrences.
type Decision struct {
	Verdict Verdict   `json:"verdict"`
	Reason  string    `json:"reason,omitzero"` // "due", "catch_up", "overlap", "paused", "outage"
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
	Count   int64     `json:"count"`
	Run     string    `json:"run,omitzero"`
}

// JobStatus is what a job's status data source, `status` and `check` blocks
// are made of.
type JobStatus struct {
	Job          string    `json:"job"`
	UID          string    `json:"uid"`
	Generation   int64     `json:"generation"`
	Healthy      bool      `json:"healthy"`
	Summary      string    `json:"summary"` // the first clause of health that fails, or how the last run went
	Reasons      []string  `json:"reasons"` // every clause that fails
	Paused       bool      `json:"paused"`
	NextDueAt    time.Time `json:"next_due_at,omitzero"`
	LastRun      *Run      `json:"last_run,omitzero"`     // newest by (occurrence, revision)
	LastSuccess  *Run      `json:"last_success,omitzero"` // newest succeeded
	ActiveRun    *Run      `json:"active_run,omitzero"`
	LastDecision *Decision `json:"last_decision,omitzero"`
}

// Check is one finding of `batch-runner doctor`.
type Check struct {
	Name   string `json:"name"` // "store", "disk", "clock", "permissions", "input", "secret"
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
	Hint   string `json:"hint,omitzero"`
}
