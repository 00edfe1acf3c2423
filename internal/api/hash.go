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
	return hash([]any{j.Input, j.MiniBatch, j.Predict.Features, j.Predict.Outputs, j.Output, j.Retry.Policy})
}

// ExecSpecHash covers what may change between the attempts of one plan: the
// server, credentials, timeouts, attempts, parallelism and thresholds.
func (j Job) ExecSpecHash() string {
	j = j.canonical()
	return hash([]any{
		j.Predict.Protocol, j.Predict.Model, j.Predict.RowsPerRequest, j.Predict.RequestTimeout,
		j.Predict.Server, j.Predict.Endpoint, j.Retry.Attempts, j.Retry.Backoff, j.Parallelism, j.MaxFailed, j.KeepWithheld,
	})
}

// WithPlanOf is the job that a later attempt of a plan runs: what is frozen
// comes from planned, everything else from the receiver, the current job.
func (j Job) WithPlanOf(planned Job) Job {
	current := j.WithDefaults()
	planned = planned.WithDefaults()
	frozen := current
	frozen.Input, frozen.MiniBatch, frozen.Output = planned.Input, planned.MiniBatch, planned.Output
	frozen.Predict.Features, frozen.Predict.Outputs = planned.Predict.Features, planned.Predict.Outputs
	retry := *current.Retry
	retry.Policy = planned.Retry.Policy
	frozen.Retry = &retry
	return frozen
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
	retry := *j.Retry
	retry.Backoff = slices.Clone(retry.Backoff)
	for i, wait := range retry.Backoff {
		retry.Backoff[i] = wait.canonical()
	}
	j.Retry = &retry
	return j
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
