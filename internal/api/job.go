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
	// KeepWithheld is how long the staged results, and the copies of input, of a
	// run that did not succeed are kept.
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

// Input is the source of a job's records: exactly one of Files and SQL.
type Input struct {
	Files *InputFiles `json:"files,omitzero"`
	SQL   *InputSQL   `json:"sql,omitzero"`
	// Key names the column(s) that identify a record for people, and for a
	// table that predictions are written to.
	Key []string `json:"key,omitzero"`
	// DuplicateKeys says what planning does with records of one key: "error",
	// or take the "first" or the "last". Absent: keys are not compared, unless
	// predictions go to a table, where it is "error".
	DuplicateKeys string `json:"duplicate_keys,omitzero"`
	// OnEmpty says what a run in mode "full" does when its input holds no
	// record: "fail", "skip" or "succeed".
	OnEmpty string `json:"on_empty,omitzero"`
	// Mode says what a run takes of its input: "full", all of it; "new_files",
	// the files that no run has taken yet; "predicate", the rows that the query
	// finds without a prediction; or "watermark", the rows beyond a column's
	// mark.
	Mode string `json:"mode,omitzero"`
	// State says what becomes of the memory of an incremental mode when an
	// edit changes which input it is about: "reset" or "keep".
	State string `json:"state,omitzero"`
	// WaitFor holds a run back until its input is there.
	WaitFor *WaitFor `json:"wait_for,omitzero"`
	// MaxSpool bounds what a run copies of an input that can't be read twice:
	// rows of a query, compressed files.
	MaxSpool Size `json:"max_spool,omitzero"`
}

// Incremental tells whether runs remember what earlier ones have taken.
func (in Input) Incremental() bool {
	return in.Mode == ModeNewFiles || in.Mode == ModePredicate || in.Mode == ModeWatermark
}

// InputFiles are local files or objects of a store, chosen by a glob with
// placeholders.
type InputFiles struct {
	URI    string `json:"uri"`             // absolute path, file:///…, or an object store's, as s3://bucket/…; may hold globs and placeholders
	Format string `json:"format,omitzero"` // "csv", "jsonl" or "parquet"; by extension where absent
	// Compression is "none", "gzip" or "zstd"; by extension where absent.
	Compression string `json:"compression,omitzero"`
	// Header tells whether CSV files begin with the names of their columns.
	Header *bool `json:"header,omitzero"`
	// Columns are the names of CSV files' columns where Header is false.
	Columns []string `json:"columns,omitzero"`
	// NullValues are the texts of CSV cells that stand for no value.
	NullValues []string `json:"null_values,omitzero"`
	// HivePartitions makes columns of the folders named column=value.
	HivePartitions *bool `json:"hive_partitions,omitzero"`
	// Verify is how a local file is known to be the planned one each time it is
	// read: "identity" (inode, size, time of its last change, and how many
	// records a mini-batch has) or "checksum" (beside these, a CRC-32C of each
	// mini-batch's bytes).
	Verify string `json:"verify,omitzero"`

	// MinAge is how long a new file must have been left alone to be taken; with
	// mode "new_files" only.
	MinAge Duration `json:"min_age,omitzero"`
	// DoneMarker names a file beside a new file that says it is complete, where
	// "*" stands for the new file's name: "*.done", "_SUCCESS". With mode
	// "new_files" only.
	DoneMarker string `json:"done_marker,omitzero"`
}

// InputSQL is the result of a query.
type InputSQL struct {
	DSN SecretRef `json:"dsn"` // postgres://…, mysql://… or sqlite:///abs/path
	// Query is one SELECT. It may name the parameters :scheduled_at and
	// :previous_success_at.
	Query     string     `json:"query"`
	Watermark *Watermark `json:"watermark,omitzero"` // with mode "watermark"
}

// Watermark says which column tells new rows from those that runs have taken.
type Watermark struct {
	Column string `json:"column"`
	// Start is where the first run begins: "beginning", "now", or a value of
	// the column.
	Start string `json:"start"`
	// Lag is kept between the database's clock and the mark; it must exceed the
	// longest transaction that writes rows.
	Lag Duration `json:"lag,omitzero"`
}

// WaitFor says when an input is there: one of URI, SQL and RowsAtLeast.
type WaitFor struct {
	URI string `json:"uri,omitzero"` // a file or object that must exist, with globs and placeholders
	SQL string `json:"sql,omitzero"` // a query over input.sql's database whose first value must be true or above 0
	// RowsAtLeast is the number of rows that input.sql.query must have.
	RowsAtLeast *int64   `json:"rows_at_least,omitzero"`
	Timeout     Duration `json:"timeout"`
}

// MiniBatchSpec says how the input is cut into mini-batches.
type MiniBatchSpec struct {
	Rows    *int64   `json:"rows,omitzero"`    // records per mini-batch; the last of each file may hold fewer
	Timeout Duration `json:"timeout,omitzero"` // of one attempt at a mini-batch
}

// Predict says which prediction server answers, and how to talk to it.
type Predict struct {
	Protocol string   `json:"protocol,omitzero"` // "oip_v2" or "tf_v1"; none with Program
	Model    Model    `json:"model,omitzero"`    // not needed with Program
	Features Features `json:"features"`
	// Outputs are result column → output: its name with an optional index,
	// "predict_proba[1]", or a JSON pointer into a record's prediction, "/label".
	Outputs map[string]string `json:"outputs,omitzero"`
	// NaN says what becomes of a prediction that is NaN or infinite, which JSON
	// has no number for: "null", "error" (its record is a dead letter) or "string".
	NaN            string `json:"nan,omitzero"`
	RowsPerRequest *int64 `json:"rows_per_request,omitzero"`
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
	Program       *Program  `json:"program,omitzero"`  // JSON Lines in, JSON Lines out
}

// Model names the model on the prediction server.
type Model struct {
	Name    string `json:"name"`
	Version string `json:"version,omitzero"`
}

// Features says which columns are sent, in which order and shape.
type Features struct {
	// Columns are the input columns to send; absent: all but Exclude, the key
	// and what nothing but output.keep names.
	Columns []string `json:"columns,omitzero"`
	// Exclude are input columns that are not sent; instead of Columns.
	Exclude  []string `json:"exclude,omitzero"`
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

// Program is a program that predicts: a line of JSON per record on its standard
// input, a line of JSON per prediction on its standard output, in the same
// order. It ends with 0 after its last line; 10 says that it may work another
// time, 11 that it never will with these records, 12 that its input is bad.
type Program struct {
	Command    []string             `json:"command"`
	WorkingDir string               `json:"working_dir,omitzero"`
	Env        map[string]string    `json:"env,omitzero"`
	SecretEnv  map[string]SecretRef `json:"secret_env,omitzero"`
	// Per is "slot": the processes live as long as the run, one for each request
	// in flight; or "mini_batch": one process for each.
	Per string `json:"per,omitzero"`
}

// SecretRef says where a secret lies; exactly one of its fields is set. The
// secret itself never travels.
type SecretRef struct {
	Secret string `json:"secret,omitzero"` // a file of this name in the runner's secrets_dir
	File   string `json:"file,omitzero"`   // an absolute path on the runner's host
	Env    string `json:"env,omitzero"`    // a name in the runner's environment_file
}

// Output is where predictions are committed: exactly one of Files and SQL.
type Output struct {
	Files *OutputFiles `json:"files,omitzero"`
	SQL   *OutputSQL   `json:"sql,omitzero"`
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

// OutputFiles is one folder per occurrence, local or in an object store.
type OutputFiles struct {
	URI    string `json:"uri"`             // absolute path, file:///…, or an object store's, of a folder, with placeholders
	Format string `json:"format,omitzero"` // "csv", "jsonl" or "parquet"
	// Layout is "per_mini_batch", a part for each; "single", one file; or
	// "per_input_file", one for each input file, under its name.
	Layout string `json:"layout,omitzero"`
	// PartitionBy are kept columns whose values name folders, column=value,
	// that the parts lie in.
	PartitionBy []string `json:"partition_by,omitzero"`
	// Types are the types of columns in Parquet: "double", "int64", "boolean",
	// "string", "timestamp", "date", "json" or "decimal(18,4)". Absent: as in a
	// Parquet input, else by what the first prediction holds.
	Types map[string]string `json:"types,omitzero"`
}

// OutputSQL is a table.
type OutputSQL struct {
	DSN   SecretRef `json:"dsn"`
	Table string    `json:"table"` // optionally with its schema: "scores.churn"
	// Write is "update": rows that exist, by key; "upsert": those, and new ones;
	// or "insert": new ones only.
	Write string `json:"write"`
	// JSONColumn takes all outputs of a record as one JSON value; absent: each
	// output has a column of its own.
	JSONColumn string `json:"json_column,omitzero"`
	// RunAt is a column for the run's occurrence. Rows that a newer one has
	// written stay as they are.
	RunAt string `json:"run_at,omitzero"`
	// OnlyIfUnset leaves rows alone that have a prediction by now.
	OnlyIfUnset *bool `json:"only_if_unset,omitzero"`
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
