package api

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Summary is a job in one sentence, from its specification alone: what is
// written, and the defaults where nothing is, in the order of the questions a
// reader has: when, what, how, and what then. A misspelt key shows in it as the
// default it left in force. when says in words when the job is due; it is
// package schedule's to tell.
func (j Job) Summary(when string) string {
	j = j.WithDefaults()
	parts := []string{when}
	if *j.Paused {
		parts = []string{"paused", when}
	}
	if j.Schedule != nil {
		parts = append(parts, "missed: "+j.CatchUp.summary(), j.overlap())
	}
	if j.HoldAfterFailures != nil {
		parts = append(parts, fmt.Sprintf("held after %d failed runs in a row", *j.HoldAfterFailures))
	}
	parts = append(parts,
		j.Input.summary(),
		fmt.Sprintf("mini-batches of %s rows within %s, %s in flight", Thousands(*j.MiniBatch.Rows), j.MiniBatch.Timeout, Counted(*j.Parallelism, "request")),
		j.Predict.requests(),
		j.Predict.model(),
		j.Retry.summary(),
		j.failed(),
		fmt.Sprintf("dead letters: %s input for %s", j.DeadLetters.Input, j.DeadLetters.KeepFor),
		j.Output.summary(),
	)
	return strings.Join(parts, " · ")
}

func (in Input) summary() string {
	var texts []string
	if in.SQL != nil {
		texts = append(texts, in.rows())
	}
	if in.Files != nil || in.SQL == nil {
		texts = append(texts, in.files())
	}
	text := strings.Join(texts, ", ")
	if in.State != "" {
		text += " (memory: " + in.State + ")"
	}
	if in.DuplicateKeys != "" {
		text += ", duplicate keys: " + in.DuplicateKeys
	}
	if in.SQL != nil || in.MaxSpool != DefaultMaxSpool || in.Files != nil && in.Files.Compression != CompressionNone {
		text += ", spool of at most " + string(in.MaxSpool)
	}
	if w := in.WaitFor; w != nil {
		text += ", " + w.summary()
	}
	return text
}

func (in Input) files() string {
	f := in.Files
	if f == nil {
		f = &InputFiles{} // validation has said why
	}
	if !in.Incremental() {
		return fmt.Sprintf("all %s (empty: %s)", f.kind(), in.OnEmpty)
	}
	text := "new " + f.kind()
	if f.MinAge != "" {
		text += fmt.Sprintf(" unchanged for %s", f.MinAge)
	}
	if f.DoneMarker != "" {
		text += " with " + f.DoneMarker
	}
	return text
}

// kind says what sort of files they are.
func (f *InputFiles) kind() string {
	text := f.Format + " files"
	if f.Format == "" {
		text = "unreadable files" // validation has said why
	}
	if f.Compression != "" && f.Compression != CompressionNone {
		text = f.Compression + " " + text
	}
	if f.Header != nil && !*f.Header {
		text += " without a header"
	}
	if len(f.Columns) > 0 {
		text += " of the columns " + join(f.Columns)
	}
	if len(f.NullValues) > 0 {
		text += fmt.Sprintf(" with %q for no value", f.NullValues)
	}
	if f.HivePartitions != nil && *f.HivePartitions {
		text += " in hive partitions"
	}
	if f.Verify == VerifyChecksum {
		text += " verified by checksums"
	}
	return text
}

// rows says which rows of the query are taken.
func (in Input) rows() string {
	w := in.SQL.Watermark
	switch {
	case w != nil:
		return fmt.Sprintf("rows of a query whose %s is beyond the last run's (first: %s), %s behind the database's clock", w.Column, w.Start, w.Lag)
	case in.Incremental():
		return "the rows that a query finds without a prediction"
	default:
		return fmt.Sprintf("all rows of a query (empty: %s)", in.OnEmpty)
	}
}

func (w WaitFor) summary() string {
	var signs []string
	if w.URI != "" {
		signs = append(signs, w.URI)
	}
	if w.SQL != "" {
		signs = append(signs, "an answer to "+strings.Join(strings.Fields(w.SQL), " "))
	}
	if w.RowsAtLeast != nil {
		signs = append(signs, Counted(*w.RowsAtLeast, "row"))
	}
	return fmt.Sprintf("waits %s for %s", w.Timeout, strings.Join(signs, ", "))
}

func (p Predict) requests() string {
	text := fmt.Sprintf("%s rows a request (%s) as %s within %s, NaN: %s", Thousands(*p.RowsPerRequest), p.Requests, p.Features.As, p.RequestTimeout, p.NaN)
	if p.Program != nil {
		text += ", a program per " + p.Program.Per
	}
	for _, list := range []struct {
		name     string
		statuses []int64
	}{{"permanent", p.PermanentStatuses}, {"transient", p.TransientStatuses}} {
		if len(list.statuses) > 0 {
			text += fmt.Sprintf(", %s is %s", join(list.statuses), list.name)
		}
	}
	if len(p.Golden) > 0 {
		return text + ", a golden record"
	}
	return text + ", no golden record"
}

func (p Predict) model() string {
	text := "the server's version"
	if p.Model.Version != "" {
		text = "version " + p.Model.Version
	}
	text += " (another: " + p.OnModelChange + ")"
	s := p.Server
	if s == nil {
		return text
	}
	text += fmt.Sprintf(" on %s ready within %s", Counted(*s.Replicas, "server"), s.StartTimeout)
	if len(s.ModelFiles) > 0 {
		text += ", model files " + join(s.ModelFiles)
	}
	if s.PricePerHour != "" {
		text += ", " + s.PricePerHour + " an hour each"
	}
	return text
}

func (r Retry) summary() string {
	text := fmt.Sprintf("%s: mini-batches %d× after %s", r.Policy, *r.Attempts, join(r.Backoff))
	if r.Policy == PolicyNextBatch {
		text = r.Policy + ": mini-batches once"
	}
	if r.MaxRunAttempts != nil {
		text += fmt.Sprintf(", the whole plan %d×", *r.MaxRunAttempts)
	}
	if r.MaxCarries != nil {
		text += fmt.Sprintf(", carried by at most %s", Counted(*r.MaxCarries, "run"))
	}
	return text
}

func (j Job) failed() string {
	text := fmt.Sprintf("withheld above %s failed for %s", j.MaxFailed, j.KeepWithheld)
	if *j.AcceptIncomplete {
		return text + " (incomplete: healthy)"
	}
	return text + " (incomplete: unhealthy)"
}

func (o Output) summary() string {
	text := "published " + o.Publish
	if o.SQL != nil {
		text += " by " + o.SQL.summary()
	}
	if o.Files != nil {
		text += " as " + o.Files.summary()
	}
	if len(o.Keep) > 0 {
		text += " with " + join(o.Keep)
	}
	switch {
	case o.KeepRuns != nil && o.KeepFor != "":
		text += fmt.Sprintf(", the newest %d and those of %s kept", *o.KeepRuns, o.KeepFor)
	case o.KeepRuns != nil:
		text += fmt.Sprintf(", the newest %d kept", *o.KeepRuns)
	case o.KeepFor != "":
		text += fmt.Sprintf(", kept for %s", o.KeepFor)
	case o.Files != nil:
		text += ", kept forever"
	}
	return text
}

func (f *OutputFiles) summary() string {
	text := f.Format + " " + f.Layout
	if len(f.PartitionBy) > 0 {
		text += " in folders by " + join(f.PartitionBy)
	}
	for _, column := range slices.Sorted(maps.Keys(f.Types)) {
		text += ", " + column + " as " + f.Types[column]
	}
	return text
}

func (q *OutputSQL) summary() string {
	text := q.Write + " of "
	if *q.OnlyIfUnset {
		text += "unset rows of "
	}
	text += q.Table
	if q.JSONColumn != "" {
		text += " (JSON in " + q.JSONColumn + ")"
	}
	if q.RunAt != "" {
		text += ", the occurrence in " + q.RunAt
	}
	return text
}

func (c CatchUp) summary() string {
	text := c.Mode
	if c.MaxRuns != nil {
		text += fmt.Sprintf(", at most %d", *c.MaxRuns)
	}
	if c.Window != "" {
		text += ", not older than " + string(c.Window)
	}
	return text
}

func (j Job) overlap() string {
	if j.MaxQueued == nil {
		return "overlap: " + j.Overlap
	}
	return fmt.Sprintf("overlap: %s, at most %d", j.Overlap, *j.MaxQueued)
}

func join[T any](words []T) string {
	texts := make([]string, len(words))
	for i, word := range words {
		texts[i] = fmt.Sprint(word)
	}
	return strings.Join(texts, ", ")
}

// Counted writes a number of things: "1 record", "8 mini-batches".
func Counted(n int64, what string) string {
	switch {
	case n == 1:
		return "1 " + what
	case strings.HasSuffix(what, "ch"):
		what += "e"
	}
	return Thousands(n) + " " + what + "s"
}

// Thousands writes a number with separators: 10,000.
func Thousands(n int64) string {
	text := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, text = "-", text[1:]
	}
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return sign + text
}
