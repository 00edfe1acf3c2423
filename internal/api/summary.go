package api

import (
	"fmt"
	"strconv"
	"strings"
)

// Summary is a job in one sentence, from its specification alone: what is
// written, and the defaults where nothing is. A misspelt key shows in it as
// the default it left in force. when says in words when the job is due; it is
// package schedule's to tell.
func (j Job) Summary(when string) string {
	j = j.WithDefaults()
	parts := []string{when}
	if j.Schedule != nil {
		parts = append(parts, "missed: "+j.CatchUp.summary(), j.overlap())
	}
	if j.HoldAfterFailures != nil {
		parts = append(parts, fmt.Sprintf("held after %d failed runs in a row", *j.HoldAfterFailures))
	}
	parts = append(parts,
		fmt.Sprintf("%s rows a mini-batch, %s in flight", Thousands(*j.MiniBatch.Rows), Thousands(*j.Parallelism)),
		fmt.Sprintf("%s rows a request as %s, %s each", Thousands(*j.Predict.RowsPerRequest), j.Predict.Features.As, j.Predict.RequestTimeout),
		fmt.Sprintf("%s: failed mini-batches %d× after %s", j.Retry.Policy, *j.Retry.Attempts, join(j.Retry.Backoff)),
		fmt.Sprintf("withheld above %s for %s", j.MaxFailed, j.KeepWithheld),
		"empty input: "+j.Input.OnEmpty,
	)
	if j.Predict.Server != nil {
		parts = append(parts, "server starts within "+string(j.Predict.Server.StartTimeout))
	}
	if len(j.Output.Keep) > 0 {
		parts = append(parts, "keeps "+join(j.Output.Keep))
	}
	if *j.Paused {
		parts = append([]string{"paused"}, parts...)
	}
	return strings.Join(parts, " · ")
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

func join[T ~string](words []T) string {
	texts := make([]string, len(words))
	for i, word := range words {
		texts[i] = string(word)
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
