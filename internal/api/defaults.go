package api

import "slices"

// The defaults, in one table: the documentation, the summary and the runner
// read them here. They never change within a major version.
const (
	DefaultTimeZone       = "UTC"
	DefaultAnchor         = "1970-01-01T00:00:00Z"
	DefaultOnEmpty        = OnEmptyFail
	DefaultRows           = 10_000
	DefaultParallelism    = 8
	DefaultAs             = AsMatrix
	DefaultRowsPerRequest = 128
	DefaultRequestTimeout = Duration("60s")
	DefaultStartTimeout   = Duration("10m")
	DefaultPolicy         = PolicyPartial
	DefaultAttempts       = 4
	DefaultMaxFailed      = "1%"
	DefaultKeepWithheld   = Duration("7d")
	DefaultCatchUp        = CatchUpLatest
	DefaultMaxRuns        = 30
	DefaultOverlap        = OverlapSkip
	DefaultMaxQueued      = 100
	DefaultMissing        = MissingRunAfter
	DefaultRepeated       = RepeatedAuto
	DefaultOnly           = OnlyMissing
	DefaultOrder          = OldestFirst
	DefaultMode           = ModeFull
	DefaultMinAge         = Duration("1m")
	DefaultTimeout        = Duration("6h")
	DefaultRequests       = RequestsAdaptive
	DefaultOnModelChange  = ModelChangeFail
	DefaultReplicas       = 1
	DefaultPublish        = PublishOnComplete
	DefaultMaxRunAttempts = 2
	DefaultMaxCarries     = 3
	DefaultDeadInput      = DeadInputFull
	DefaultDeadKeepFor    = Duration("90d")
	DefaultCompression    = CompressionNone
	DefaultVerify         = VerifyIdentity // of files that are no objects
	DefaultLayout         = LayoutPerMiniBatch
	DefaultDuplicateKeys  = DuplicatesError // where predictions go to a table
	DefaultLag            = Duration("5m")
	DefaultMaxSpool       = Size("50GB")
	DefaultNaN            = NaNNull
	DefaultPer            = PerSlot
)

// DefaultBackoff is the wait before the 2nd, 3rd and 4th attempt of a
// mini-batch.
func DefaultBackoff() []Duration { return []Duration{"10s", "1m", "5m"} }

// The words that enumerated attributes take.
const (
	FormatCSV     = "csv"
	FormatJSONL   = "jsonl"
	FormatParquet = "parquet"

	CompressionNone = "none"
	CompressionGzip = "gzip"
	CompressionZstd = "zstd"

	VerifyIdentity = "identity"
	VerifyChecksum = "checksum"

	LayoutPerMiniBatch = "per_mini_batch"
	LayoutSingle       = "single"
	LayoutPerInputFile = "per_input_file"

	WriteUpdate = "update"
	WriteUpsert = "upsert"
	WriteInsert = "insert"

	DuplicatesError = "error"
	DuplicatesFirst = "first"
	DuplicatesLast  = "last"

	StartBeginning = "beginning"
	StartNow       = "now"

	NaNNull   = "null"
	NaNError  = "error"
	NaNString = "string"

	PerSlot      = "slot"
	PerMiniBatch = "mini_batch"

	OnEmptyFail    = "fail"
	OnEmptySkip    = "skip"
	OnEmptySucceed = "succeed"

	ProtocolOIPv2 = "oip_v2"
	ProtocolTFv1  = "tf_v1"
	// ProtocolProgram is what a program speaks; no job names it.
	ProtocolProgram = "program"

	AsMatrix  = "matrix"
	AsColumns = "columns"

	PolicyPartial   = "partial"    // what is predicted stays, what failed can be resumed
	PolicyComplete  = "complete"   // all or nothing, from one run attempt
	PolicyNextBatch = "next_batch" // one attempt, what failed is carried to the next run

	ModeFull     = "full"
	ModeNewFiles = "new_files"
	// ModePredicate takes what a query finds, ModeWatermark what is beyond a mark.
	ModePredicate = "predicate"
	ModeWatermark = "watermark"

	StateReset = "reset"
	StateKeep  = "keep"

	RequestsAdaptive = "adaptive"
	RequestsFixed    = "fixed"

	ModelChangeFail     = "fail"
	ModelChangeContinue = "continue"

	PublishOnComplete  = "on_complete"
	PublishProgressive = "progressive"

	DeadInputFull    = "full"
	DeadInputKeyOnly = "key_only"

	CatchUpLatest = "latest"
	CatchUpAll    = "all"
	CatchUpNone   = "none"

	OverlapSkip          = "skip"
	OverlapQueueOne      = "queue_one"
	OverlapQueueAll      = "queue_all"
	OverlapCancelRunning = "cancel_running"
	OverlapAllow         = "allow"

	MissingRunAfter = "run_after"
	MissingSkip     = "skip"

	RepeatedAuto  = "auto"
	RepeatedFirst = "first"
	RepeatedLast  = "last"
	RepeatedBoth  = "both"

	ShortMonthLastDay = "last_day"
	ShortMonthSkip    = "skip"

	OnlyMissing = "missing"
	OnlyFailed  = "failed"
	OnlyAll     = "all"

	OldestFirst = "oldest_first"
	NewestFirst = "newest_first"
)

// WithDefaults is the job that is run: every optional setting filled in, those
// about due occurrences where there is a schedule. The receiver is left alone.
func (j Job) WithDefaults() Job {
	setDefault(&j.Paused, false)
	setDefault(&j.Parallelism, DefaultParallelism)
	setString(&j.KeepWithheld, DefaultKeepWithheld)
	setDefault(&j.AcceptIncomplete, false)
	dead := DeadLetters{Input: DefaultDeadInput}
	if j.DeadLetters != nil {
		dead = *j.DeadLetters
	}
	setString(&dead.KeepFor, DefaultDeadKeepFor)
	j.DeadLetters = &dead
	if j.Schedule != nil {
		s := *j.Schedule
		setString(&s.TimeZone, DefaultTimeZone)
		if s.Every != "" {
			setString(&s.Anchor, DefaultAnchor)
		}
		if s.Calendar != nil && len(s.Calendar.Minutes) == 0 {
			c := *s.Calendar
			c.Minutes = []int64{0}
			s.Calendar = &c
		}
		if s.Every == "" {
			d := DST{}
			if s.DST != nil {
				d = *s.DST
			}
			setString(&d.Missing, DefaultMissing)
			setString(&d.Repeated, DefaultRepeated)
			s.DST = &d
		}
		j.Schedule = &s
		c := CatchUp{Mode: DefaultCatchUp}
		if j.CatchUp != nil {
			c = *j.CatchUp
		}
		if c.Mode == CatchUpAll {
			setDefault(&c.MaxRuns, DefaultMaxRuns)
		}
		j.CatchUp = &c
		setString(&j.Overlap, DefaultOverlap)
		if j.Overlap == OverlapQueueAll {
			setDefault(&j.MaxQueued, DefaultMaxQueued)
		}
	}
	setString(&j.Input.Mode, DefaultMode)
	if !j.Input.Incremental() {
		setString(&j.Input.OnEmpty, DefaultOnEmpty)
	}
	setString(&j.Input.MaxSpool, DefaultMaxSpool)
	if j.Input.SQL != nil && j.Input.SQL.Watermark != nil {
		q, w := *j.Input.SQL, *j.Input.SQL.Watermark
		setString(&w.Lag, DefaultLag)
		q.Watermark = &w
		j.Input.SQL = &q
	}
	if j.Input.Files != nil {
		f := *j.Input.Files
		setString(&f.Format, formatByExtension(f.URI))
		setString(&f.Compression, compressionByExtension(f.URI))
		setString(&f.Compression, DefaultCompression)
		if f.Format == FormatCSV {
			setDefault(&f.Header, true)
		}
		setDefault(&f.HivePartitions, false)
		if !IsObject(f.URI) {
			setString(&f.Verify, DefaultVerify)
		}
		if j.Input.Incremental() && f.DoneMarker == "" {
			setString(&f.MinAge, DefaultMinAge)
		}
		j.Input.Files = &f
	}
	m := MiniBatchSpec{}
	if j.MiniBatch != nil {
		m = *j.MiniBatch
	}
	setDefault(&m.Rows, DefaultRows)
	setString(&m.Timeout, DefaultTimeout)
	j.MiniBatch = &m

	setString(&j.Predict.Features.As, DefaultAs)
	setString(&j.Predict.NaN, DefaultNaN)
	if j.Predict.Program != nil {
		p := *j.Predict.Program
		setString(&p.Per, DefaultPer)
		j.Predict.Program = &p
		setString(&j.Predict.Protocol, ProtocolProgram)
	}
	setDefault(&j.Predict.RowsPerRequest, DefaultRowsPerRequest)
	setString(&j.Predict.RequestTimeout, DefaultRequestTimeout)
	setString(&j.Predict.Requests, DefaultRequests)
	setString(&j.Predict.OnModelChange, DefaultOnModelChange)
	if j.Predict.Server != nil {
		s := *j.Predict.Server
		setString(&s.StartTimeout, DefaultStartTimeout)
		setDefault(&s.Replicas, DefaultReplicas)
		j.Predict.Server = &s
	}
	if j.Output.Files != nil {
		f := *j.Output.Files
		setString(&f.Format, FormatJSONL)
		setString(&f.Layout, DefaultLayout)
		j.Output.Files = &f
	}
	if j.Output.SQL != nil {
		q := *j.Output.SQL
		setDefault(&q.OnlyIfUnset, j.Input.Mode == ModePredicate)
		j.Output.SQL = &q
		setString(&j.Input.DuplicateKeys, DefaultDuplicateKeys)
		if j.Retry == nil || j.Retry.Policy != PolicyComplete {
			setString(&j.Output.Publish, PublishProgressive)
		}
	}
	if j.Output.Keep == nil {
		j.Output.Keep = slices.Clone(j.Input.Key)
	}
	setString(&j.Output.Publish, DefaultPublish)
	r := Retry{Policy: DefaultPolicy}
	if j.Retry != nil {
		r = *j.Retry
	}
	attempts, maxFailed := int64(DefaultAttempts), DefaultMaxFailed
	switch r.Policy {
	case PolicyNextBatch:
		attempts = 1
	case PolicyComplete:
		maxFailed = "0"
		setDefault(&r.MaxRunAttempts, DefaultMaxRunAttempts)
	}
	if carries(r.Policy, j.Input) {
		setDefault(&r.MaxCarries, DefaultMaxCarries)
	}
	setDefault(&r.Attempts, attempts)
	setString(&j.MaxFailed, maxFailed)
	if r.Backoff == nil {
		r.Backoff = DefaultBackoff()
	}
	j.Retry = &r
	return j
}

// carries tells whether runs may owe records to later ones. What a query finds
// anew in each run is not owed: it comes back by itself.
func carries(policy string, in Input) bool {
	if in.SQL != nil && in.Mode != ModeWatermark {
		return false
	}
	return policy == PolicyNextBatch || in.Incremental() && policy != PolicyComplete
}

func setDefault[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
}

func setString[T ~string](field *T, value T) {
	if *field == "" {
		*field = value
	}
}
