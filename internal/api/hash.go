package api

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// Hash is the canonical hash of a job: two spellings of one specification
// ("90m" and "1h30m", a default written out or left away) hash alike.
func (j Job) Hash() string {
	j = j.canonical()
	return hash(j)
}

// PlanSpecHash covers what is frozen with a run's plan: which records, in
// which mini-batches, sent and published how.
func (j Job) PlanSpecHash() string {
	j = j.canonical()
	input, output := j.Input, j.Output
	input.State = ""
	output.KeepRuns, output.KeepFor = nil, ""
	parts := []any{input, j.MiniBatch.Rows, j.Predict.Features, j.Predict.Outputs, output, j.Retry.Policy}
	if j.Predict.NaN != "" {
		parts = append(parts, j.Predict.NaN)
	}
	return hash(parts)
}

// ExecSpecHash covers what may change between the attempts of one plan: the
// server, credentials, timeouts, attempts, parallelism and thresholds.
func (j Job) ExecSpecHash() string {
	j = j.canonical()
	parts := []any{
		j.Predict.Protocol, j.Predict.Model, j.Predict.RowsPerRequest, j.Predict.Requests, j.Predict.RequestTimeout,
		j.Predict.PermanentStatuses, j.Predict.TransientStatuses, j.Predict.Golden, j.Predict.OnModelChange,
		j.Predict.Server, j.Predict.Endpoint, j.MiniBatch.Timeout, j.Retry.Attempts, j.Retry.Backoff, j.Retry.MaxRunAttempts, j.Retry.MaxCarries,
		j.Parallelism, j.MaxFailed, j.KeepWithheld, j.DeadLetters,
	}
	if j.Predict.Program != nil {
		parts = append(parts, j.Predict.Program)
	}
	return hash(parts)
}

// InputIdentity names the input that the memory of an incremental mode is
// about; an edit that changes it must say what becomes of the memory. It is
// empty in mode "full".
func (j Job) InputIdentity() string {
	switch {
	case !j.Input.Incremental():
		return ""
	case j.Input.SQL != nil:
		column := ""
		if w := j.Input.SQL.Watermark; w != nil {
			column = w.Column
		}
		return hash([]any{j.Input.Mode, j.Input.SQL.DSN, strings.Join(strings.Fields(j.Input.SQL.Query), " "), column})
	case j.Input.Files != nil:
		return hash([]any{j.Input.Mode, Path(j.Input.Files.URI)})
	default:
		return ""
	}
}

// WithPlanOf is the job that a later attempt of a plan runs: what is frozen
// comes from planned, everything else from the receiver, the current job. The
// policy that was planned rules over the current settings that contradict it.
func (j Job) WithPlanOf(planned Job) Job {
	planned = planned.WithDefaults()
	keepRuns, keepFor := j.Output.KeepRuns, j.Output.KeepFor
	j.Input, j.Output = planned.Input, planned.Output
	j.Output.KeepRuns, j.Output.KeepFor = keepRuns, keepFor
	mini := MiniBatchSpec{}
	if j.MiniBatch != nil {
		mini = *j.MiniBatch
	}
	mini.Rows = planned.MiniBatch.Rows
	j.MiniBatch = &mini
	j.Predict.Features, j.Predict.Outputs, j.Predict.NaN = planned.Predict.Features, planned.Predict.Outputs, planned.Predict.NaN
	retry := Retry{}
	if j.Retry != nil {
		retry = *j.Retry
	}
	retry.Policy = planned.Retry.Policy
	switch retry.Policy {
	case PolicyNextBatch:
		retry.Attempts = nil
	case PolicyComplete:
		j.MaxFailed = ""
	}
	j.Retry = &retry
	return j.WithDefaults()
}

func (j Job) canonical() Job {
	if len(j.Input.Key) == 0 {
		j.Input.Key = nil
	}
	j = j.WithDefaults()
	if len(j.Output.Keep) == 0 {
		j.Output.Keep = nil
	}
	j.KeepWithheld = j.KeepWithheld.canonical()
	dead := *j.DeadLetters
	dead.KeepFor = dead.KeepFor.canonical()
	j.DeadLetters = &dead
	j.Output.KeepFor = j.Output.KeepFor.canonical()
	mini := *j.MiniBatch
	mini.Timeout = mini.Timeout.canonical()
	j.MiniBatch = &mini
	j.Input.MaxSpool = j.Input.MaxSpool.canonical()
	j = j.withoutLateDefaults()
	if j.Input.WaitFor != nil {
		w := *j.Input.WaitFor
		w.Timeout = w.Timeout.canonical()
		j.Input.WaitFor = &w
	}
	if j.Input.SQL != nil && j.Input.SQL.Watermark != nil {
		q, w := *j.Input.SQL, *j.Input.SQL.Watermark
		w.Lag = w.Lag.canonical()
		q.Watermark = &w
		j.Input.SQL = &q
	}
	if j.Input.Files != nil {
		f := *j.Input.Files
		f.MinAge = f.MinAge.canonical()
		j.Input.Files = &f
	}
	j.Predict.Golden = absent(j.Predict.Golden)
	j.Predict.PermanentStatuses, j.Predict.TransientStatuses = sortedStatuses(j.Predict.PermanentStatuses), sortedStatuses(j.Predict.TransientStatuses)
	j.Predict.RequestTimeout = j.Predict.RequestTimeout.canonical()
	j.Labels = absent(j.Labels)
	j.Predict.Outputs = absent(j.Predict.Outputs)
	if j.Schedule != nil {
		s := *j.Schedule
		s.Every, s.Jitter = s.Every.canonical(), s.Jitter.canonical()
		s.Cron = strings.Join(strings.Fields(s.Cron), " ")
		if at, err := time.Parse(time.RFC3339, s.Anchor); err == nil {
			s.Anchor = at.UTC().Format(time.RFC3339)
		}
		j.Schedule = &s
	}
	if j.CatchUp != nil {
		c := *j.CatchUp
		c.Window = c.Window.canonical()
		j.CatchUp = &c
	}
	if j.Predict.Server != nil {
		s := *j.Predict.Server
		s.StartTimeout = s.StartTimeout.canonical()
		s.Env, s.SecretEnv = absent(s.Env), absent(s.SecretEnv)
		j.Predict.Server = &s
	}
	if j.Predict.Program != nil {
		p := *j.Predict.Program
		p.Env, p.SecretEnv = absent(p.Env), absent(p.SecretEnv)
		j.Predict.Program = &p
	}
	retry := *j.Retry
	retry.Backoff = slices.Clone(retry.Backoff)
	for i, wait := range retry.Backoff {
		retry.Backoff[i] = wait.canonical()
	}
	j.Retry = &retry
	return j
}

// withoutLateDefaults takes out settings that have their defaults and came
// after jobs had been stored: the hashes of those jobs stay as they were.
func (j Job) withoutLateDefaults() Job {
	if j.Input.MaxSpool == DefaultMaxSpool {
		j.Input.MaxSpool = ""
	}
	if j.Predict.NaN == DefaultNaN {
		j.Predict.NaN = ""
	}
	if j.Input.Files != nil {
		f := *j.Input.Files
		if f.Compression == DefaultCompression {
			f.Compression = ""
		}
		if f.Header != nil && *f.Header {
			f.Header = nil
		}
		if f.HivePartitions != nil && !*f.HivePartitions {
			f.HivePartitions = nil
		}
		if f.Verify == DefaultVerify {
			f.Verify = ""
		}
		j.Input.Files = &f
	}
	if j.Output.Files != nil {
		f := *j.Output.Files
		if f.Layout == DefaultLayout {
			f.Layout = ""
		}
		if len(f.PartitionBy) == 0 {
			f.PartitionBy = nil
		}
		f.Types = absent(f.Types)
		j.Output.Files = &f
	}
	return j
}

// sortedStatuses is a list in which order and an empty list say nothing.
func sortedStatuses(statuses []int64) []int64 {
	if len(statuses) == 0 {
		return nil
	}
	return slices.Sorted(slices.Values(statuses))
}

// absent is m, or nil where m is empty: both say the same.
func absent[M ~map[K]V, K comparable, V any](m M) M {
	if len(m) == 0 {
		return nil
	}
	return m
}

func hash(v any) string {
	text, err := json.Marshal(v) // plain structs, sorted maps: cannot fail
	if err != nil {
		panic(err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
