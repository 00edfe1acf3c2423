package api

// Job is what a user declares: the specification of one batch prediction job.
// The same tree, with the same names, is the HCL of batch_prediction_job, the
// body of PUT /v1/jobs/{name} and the file of `batch-runner predict -f`.
//
// Absent means "the default"; the runner stores and echoes a job as it was
// submitted. WithDefaults gives the job that is run.
type Job struct {
	// Name is unique on its runner and matches NamePattern.
	Name string `json:"name"`
	// Labels are free key-value pairs for people and queries.
	Labels map[string]string `json:"labels,omitzero"`
	// Paused records due occurrences as skipped instead of running them.
	Paused *bool `json:"paused,omitzero"`
	// Schedule says when the job is due; absent means manual runs only.
	Schedule *Schedule `json:"schedule,omitzero"`
	// CatchUp says what becomes of occurrences that nobody decided in time.
	CatchUp *CatchUp `json:"catch_up,omitzero"`
	// Overlap says what becomes of an occurrence that falls due while a main
	// run of the job is active: one of the Overlap words.
	Overlap string `json:"overlap,omitzero"`
	// MaxQueued bounds the scheduled runs that wait under "queue_all".
	MaxQueued *int64 `json:"max_queued,omitzero"`
	// HoldAfterFailures is the number of main runs in a row that may fail
	// before the runner holds the job; absent never holds it.
	HoldAfterFailures *int64 `json:"hold_after_failures,omitzero"`
	// Input says where the records come from.
	Input Input `json:"input"`
	// MiniBatch says how the input is cut.
	MiniBatch *MiniBatchSpec `json:"mini_batch,omitzero"`
	// Parallelism is the number of requests in flight in the whole run.
	Parallelism *int64 `json:"parallelism,omitzero"`
	// Predict says who predicts and how to talk to it.
	Predict Predict `json:"predict"`
	// Output says where the predictions go.
	Output Output `json:"output"`
	// Retry says what happens when records could not be predicted.
	Retry *Retry `json:"retry,omitzero"`
	// MaxFailed is the number ("25") or share ("1%", of planned records,
	// rounded up) of records that may fail before a run is withheld.
	MaxFailed string `json:"max_failed,omitzero"`
	// KeepWithheld is how long the staged results of a withheld run are kept.
	KeepWithheld Duration `json:"keep_withheld,omitzero"`
	// AcceptIncomplete has a job whose last run ended incomplete count as
	// healthy.
	AcceptIncomplete *bool `json:"accept_incomplete,omitzero"`
	// DeadLetters says what is kept of records given up because of their data.
	DeadLetters *DeadLetters `json:"dead_letters,omitzero"`
}

// Schedule is a rule for due times: exactly one of Cron, Every, Calendar and
// At. Package schedule checks it.
type Schedule struct {
	Cron     string    `json:"cron,omitzero"`  // five fields, six with seconds first, or @daily and the like
	Every    Duration  `json:"every,omitzero"` // a fixed interval, blind to the wall clock
	Calendar *Calendar `json:"calendar,omitzero"`
	At       []string  `json:"at,omitzero"` // single instants: RFC 3339, or local like "2026-12-24T18:00"

	Anchor   string `json:"anchor,omitzero"`    // RFC 3339 instant that Every counts from; with Every only
	TimeZone string `json:"time_zone,omitzero"` // IANA name; never the host's zone
	// StartAt and EndAt bound the occurrences to [StartAt, EndAt); written as
	// an element of At is.
	StartAt string `json:"start_at,omitzero"`
	EndAt   string `json:"end_at,omitzero"`
	// ExcludeDates are local dates, "2026-12-24", that have no occurrence.
	ExcludeDates []string `json:"exclude_dates,omitzero"`
	// Jitter spreads jobs that share a rule: each is due a stable part of it
	// later than its nominal occurrences.
	Jitter Duration `json:"jitter,omitzero"`
	DST    *DST     `json:"dst,omitzero"`
}

// Calendar is a rule in words: the days that all of Months, DaysOfMonth and
// Weekdays allow, at each of Minutes in each of Hours. What is absent allows
// every month or day; Minutes absent is minute 0.
type Calendar struct {
	Months      []string `json:"months,omitzero"`        // "jan" to "dec", or "1" to "12"
	DaysOfMonth []int64  `json:"days_of_month,omitzero"` // 1 to 31, or -1 (the last day) to -28
	Weekdays    []string `json:"weekdays,omitzero"`      // "mon", "mon#2" (the second), "fri#-1" (the last)
	Hours       []int64  `json:"hours"`
	Minutes     []int64  `json:"minutes,omitzero"`
	// OnShortMonth says what a day above 28 is in a month without it:
	// "last_day" or "skip". Required where such a day is listed.
	OnShortMonth string `json:"on_short_month,omitzero"`
}

// DST says what becomes of wall times that daylight saving removes or repeats.
type DST struct {
	Missing  string `json:"missing,omitzero"`  // "run_after" (the gap) or "skip"
	Repeated string `json:"repeated,omitzero"` // "auto", "first", "last" or "both"
}

// CatchUp says what becomes of missed occurrences.
type CatchUp struct {
	Mode    string   `json:"mode"`              // "latest", "all" or "none"
	Window  Duration `json:"window,omitzero"`   // how old a missed occurrence may be and still run; absent: however old
	MaxRuns *int64   `json:"max_runs,omitzero"` // of "all"
}

// Input is the source of a job's records.
type Input struct {
	Files *InputFiles `json:"files,omitzero"`
	// Key names the column(s) that identify a record for people.
	Key []string `json:"key,omitzero"`
	// OnEmpty says what a run in mode "full" does when its files hold no
	// record: "fail", "skip" or "succeed".
	OnEmpty string `json:"on_empty,omitzero"`
	// Mode says what a run takes of the files that match: "full", all of them,
	// or "new_files", those that no run has taken yet.
	Mode string `json:"mode,omitzero"`
	// State says what becomes of the memory of an incremental mode when an
	// edit changes which input it is about: "reset" or "keep".
	State string `json:"state,omitzero"`
}

// Incremental tells whether runs remember what earlier ones have taken.
func (in Input) Incremental() bool { return in.Mode == ModeNewFiles }

// InputFiles are local files, chosen by a glob with placeholders.
type InputFiles struct {
	URI    string `json:"uri"`             // absolute path or file:///…, may hold globs and placeholders
	Format string `json:"format,omitzero"` // "csv" or "jsonl"; by extension where absent

	// MinAge is how long a new file must have been left alone to be taken; with
	// mode "new_files" only.
	MinAge Duration `json:"min_age,omitzero"`
	// DoneMarker names a file beside a new file that says it is complete, where
	// "*" stands for the new file's name: "*.done", "_SUCCESS". With mode
	// "new_files" only.
	DoneMarker string `json:"done_marker,omitzero"`
}

// MiniBatchSpec says how the input is cut into mini-batches.
type MiniBatchSpec struct {
	Rows    *int64   `json:"rows,omitzero"`    // records per mini-batch; the last of each file may hold fewer
	Timeout Duration `json:"timeout,omitzero"` // of one attempt at a mini-batch
}

// Predict says which prediction server answers, and how to talk to it.
type Predict struct {
	Protocol       string            `json:"protocol"` // "oip_v2" or "tf_v1"
	Model          Model             `json:"model"`
	Features       Features          `json:"features"`
	Outputs        map[string]string `json:"outputs,omitzero"` // result column → output name with optional index, "predict_proba[1]"
	RowsPerRequest *int64            `json:"rows_per_request,omitzero"`
	// Requests is "adaptive": a server that finds requests too large gets
	// smaller ones, or "fixed": their size never changes.
	Requests       string   `json:"requests,omitzero"`
	RequestTimeout Duration `json:"request_timeout,omitzero"` // of one try
	// PermanentStatuses are HTTP statuses by which this server refuses records
	// (class data), TransientStatuses those that pass (class transient),
	// whatever they mean elsewhere.
	PermanentStatuses []int64 `json:"permanent_statuses,omitzero"`
	TransientStatuses []int64 `json:"transient_statuses,omitzero"`
	// Golden is a record that the model is known to answer, feature column →
	// cell: the warm-up, and what a sick server is asked before any record has
	// succeeded.
	Golden map[string]string `json:"golden,omitzero"`
	// OnModelChange says what a run does when a later launch serves another
	// model than its first: "fail" or "continue".
	OnModelChange string    `json:"on_model_change,omitzero"`
	Server        *Server   `json:"server,omitzero"`   // launched for the run, stopped with it
	Endpoint      *Endpoint `json:"endpoint,omitzero"` // somebody else's, already running
}

// Model names the model on the prediction server.
type Model struct {
	Name    string `json:"name"`
	Version string `json:"version,omitzero"`
}

// Features says which columns are sent, in which order and shape.
type Features struct {
	Columns  []string `json:"columns"`
	As       string   `json:"as,omitzero"`       // "matrix": one [n,k] tensor; "columns": one [n,1] tensor a column
	Name     string   `json:"name,omitzero"`     // tensor name of the matrix; from the server's metadata where absent
	Datatype string   `json:"datatype,omitzero"` // Open Inference Protocol datatype; from the metadata where absent
}

// Server is a prediction server that the runner launches for each run.
type Server struct {
	Command      []string             `json:"command"` // argv; {port}, {model_name}, {model_version} are replaced
	WorkingDir   string               `json:"working_dir,omitzero"`
	Env          map[string]string    `json:"env,omitzero"`
	SecretEnv    map[string]SecretRef `json:"secret_env,omitzero"`
	StartTimeout Duration             `json:"start_timeout,omitzero"`
	// Replicas is the number of servers that are launched side by side.
	Replicas *int64 `json:"replicas,omitzero"`
	// ModelFiles are absolute paths or globs whose content belongs to the
	// model's fingerprint.
	ModelFiles []string `json:"model_files,omitzero"`
	// PricePerHour is what an hour of one server costs: "0.35", "0.35 EUR".
	PricePerHour string `json:"price_per_hour,omitzero"`
}

// Endpoint is a prediction server that is already running.
type Endpoint struct {
	URL string `json:"url"` // http(s)://host[:port][/base]
}

// SecretRef says where a secret lies; exactly one of its fields is set. The
// secret itself never travels.
type SecretRef struct {
	Secret string `json:"secret,omitzero"` // a file of this name in the runner's secrets_dir
	File   string `json:"file,omitzero"`   // an absolute path on the runner's host
	Env    string `json:"env,omitzero"`    // a name in the runner's environment_file
}

// Output is where predictions are committed.
type Output struct {
	Files *OutputFiles `json:"files,omitzero"`
	// Keep names the input columns copied before the results; absent keeps
	// the key.
	Keep []string `json:"keep,omitzero"`
	// Publish is "on_complete": readers see nothing before the run has ended, or
	// "progressive": each mini-batch as soon as it is predicted.
	Publish string `json:"publish,omitzero"`
	// KeepRuns is the number of newest published occurrences that are kept,
	// KeepFor the age at which one is removed. Absent: forever. Where both are
	// set, what either keeps stays.
	KeepRuns *int64   `json:"keep_runs,omitzero"`
	KeepFor  Duration `json:"keep_for,omitzero"`
}

// OutputFiles is one local folder per occurrence.
type OutputFiles struct {
	URI    string `json:"uri"`             // absolute path or file:///… of a folder, with placeholders
	Format string `json:"format,omitzero"` // "csv" or "jsonl"
}

// Retry is the policy for records that could not be predicted.
type Retry struct {
	Policy   string     `json:"policy"`            // "partial", "complete" or "next_batch"
	Attempts *int64     `json:"attempts,omitzero"` // attempts of one mini-batch; with "next_batch" one
	Backoff  []Duration `json:"backoff,omitzero"`  // wait before the 2nd, 3rd, … attempt; the last repeats
	// MaxRunAttempts is how often "complete" predicts the whole plan.
	MaxRunAttempts *int64 `json:"max_run_attempts,omitzero"`
	// MaxCarries is how many runs may send a record that is carried from run to
	// run before it becomes a dead letter.
	MaxCarries *int64 `json:"max_carries,omitzero"`
}

// DeadLetters says what is kept of records given up because of their data.
type DeadLetters struct {
	Input   string   `json:"input"`             // "full", or "key_only" where records must not be copied
	KeepFor Duration `json:"keep_for,omitzero"` // in the runner; those beside the output stay with it
}

// ClientSettings are the settings of a batch_prediction_job that only the
// provider acts on. They travel verbatim beside the spec so that an import
// finds them again.
type ClientSettings struct {
	// RunOnCreate is how long Create waits for a first run; empty runs none.
	RunOnCreate Duration   `json:"run_on_create,omitzero"`
	OnDestroy   *OnDestroy `json:"on_destroy,omitzero"`
}

// OnDestroy says what destroying the resource does to what the runner keeps.
type OnDestroy struct {
	Purge bool `json:"purge"`
}
