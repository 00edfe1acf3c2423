package api

import (
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// NamePattern is what a job's name looks like.
const NamePattern = `^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`

var (
	nameForm    = regexp.MustCompile(NamePattern)
	envForm     = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	secretForm  = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)
	modelForm   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)
	outputForm  = regexp.MustCompile(`^[^\[\]]*(\[[0-9]+\])?$`)
	pointerForm = regexp.MustCompile(`^(/([^~/]|~[01])*)+$`)
	datatypes   = []string{"BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64", "BYTES"}
)

// Validate checks a job as submitted: everything but the calendar (package
// schedule) and what only the runner's host knows. Each finding carries the
// JSON pointer of the value it is about.
func Validate(j Job) []Error {
	v := &validator{}
	if !nameForm.MatchString(j.Name) {
		v.add("/name", "", "%q is not a job name; use 1 to 63 lower-case letters, digits and dashes, beginning and ending with a letter or digit", j.Name)
	}
	for _, key := range slices.Sorted(maps.Keys(j.Labels)) {
		if key == "" {
			v.add("/labels", "", "a label needs a name")
		}
	}
	v.calendar(j)
	v.input(j.Input)
	if j.MiniBatch != nil {
		if j.MiniBatch.Rows == nil {
			v.add("/mini_batch/rows", "", "is required in mini_batch")
		}
		v.count("/mini_batch/rows", j.MiniBatch.Rows, 1, 10_000_000)
		v.duration("/mini_batch/timeout", j.MiniBatch.Timeout, time.Second, 30*24*time.Hour)
	}
	v.count("/parallelism", j.Parallelism, 1, 1024)
	v.predict(j.Predict)
	v.output(j)
	v.results(j)
	v.retry(j.Retry)
	if j.MaxFailed != "" {
		if _, err := ParseThreshold(j.MaxFailed); err != nil {
			v.add("/max_failed", "", "%v", err)
		}
	}
	v.duration("/keep_withheld", j.KeepWithheld, time.Minute, 3650*24*time.Hour)
	v.deadLetters(j)
	v.combinations(j)
	return v.problems
}

type validator struct{ problems []Error }

func (v *validator) add(pointer, hint, format string, args ...any) {
	v.problems = append(v.problems, Error{Code: CodeInvalid, Pointer: pointer, Hint: hint, Message: fmt.Sprintf(format, args...)})
}

// oneOf reports unless exactly one of the named siblings is set.
func (v *validator) oneOf(pointer string, set map[string]bool) {
	var names, given []string
	for _, name := range slices.Sorted(maps.Keys(set)) {
		names = append(names, name)
		if set[name] {
			given = append(given, name)
		}
	}
	switch {
	case len(given) == 0 && len(names) == 1:
		v.add(pointer, "", "%s is required", names[0])
	case len(given) == 0:
		v.add(pointer, "", "one of %s is required", strings.Join(names, ", "))
	case len(given) > 1:
		v.add(pointer, "", "%s are both set; keep one", strings.Join(given, " and "))
	}
}

func (v *validator) word(pointer, value string, known ...string) {
	switch {
	case value == "":
		v.add(pointer, "", "is required: %s", strings.Join(known, " or "))
	case !slices.Contains(known, value):
		v.add(pointer, "", "%q is not one of %s", value, strings.Join(known, ", "))
	}
}

func (v *validator) optionalWord(pointer, value string, known ...string) {
	if value != "" {
		v.word(pointer, value, known...)
	}
}

func (v *validator) count(pointer string, value *int64, low, high int64) {
	if value != nil && (*value < low || *value > high) {
		v.add(pointer, "", "%d is not in %d–%d", *value, low, high)
	}
}

func (v *validator) duration(pointer string, d Duration, low, high time.Duration) {
	if d == "" {
		return
	}
	value, err := d.Parse()
	switch {
	case err != nil:
		v.add(pointer, "", "%v", err)
	case value < low || value > high:
		v.add(pointer, "", "%q is not between %s and %s", string(d), length(low), length(high))
	}
}

func (v *validator) size(pointer string, s Size, low, high int64) {
	if s == "" {
		return
	}
	value, err := s.Parse()
	switch {
	case err != nil:
		v.add(pointer, "", "%v", err)
	case value < low || value > high:
		v.add(pointer, "", "%q is not between %s and %s", string(s), sizeOf(low), sizeOf(high))
	}
}

// length writes a bound as people do: 3650d, 1m, 1ms.
func length(d time.Duration) string {
	if day := 24 * time.Hour; d > 0 && d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}

// calendar checks what becomes of occurrences; the rule itself is package
// schedule's to check.
func (v *validator) calendar(j Job) {
	v.optionalWord("/overlap", j.Overlap, OverlapSkip, OverlapQueueOne, OverlapQueueAll, OverlapCancelRunning, OverlapAllow)
	v.count("/max_queued", j.MaxQueued, 1, 10_000)
	if j.MaxQueued != nil && j.Overlap != OverlapQueueAll {
		v.add("/max_queued", "", "goes with overlap = %q only; remove it or set that", OverlapQueueAll)
	}
	if j.Overlap == OverlapAllow && j.Output.SQL != nil {
		v.add("/overlap", "", "%q lets runs publish at the same time, so each needs a place of its own, and a table is one; use %q", j.Overlap, OverlapQueueOne)
	}
	if j.Overlap == OverlapAllow && j.Output.Files != nil && !HasRunPlaceholder(j.Output.Files.URI) {
		v.add("/overlap", "", "%q lets runs publish at the same time, so each needs a place of its own; add {run} to output.files.uri", j.Overlap)
	}
	v.count("/hold_after_failures", j.HoldAfterFailures, 1, 1000)
	if c := j.CatchUp; c != nil {
		v.word("/catch_up/mode", c.Mode, CatchUpLatest, CatchUpAll, CatchUpNone)
		v.duration("/catch_up/window", c.Window, time.Second, 3660*24*time.Hour)
		v.count("/catch_up/max_runs", c.MaxRuns, 1, 1000)
		if c.Mode == CatchUpNone && c.Window != "" {
			v.add("/catch_up/window", "", "bounds what is caught up with, and mode %q catches up with nothing; remove it", c.Mode)
		}
		if c.MaxRuns != nil && c.Mode != CatchUpAll {
			v.add("/catch_up/max_runs", "", "goes with mode %q only; remove it or set that", CatchUpAll)
		}
	}
	if j.Schedule != nil {
		return
	}
	const why = "is about due occurrences, and a job without a schedule has none; remove it or add a schedule"
	if j.Overlap != "" {
		v.add("/overlap", "", why)
	}
	if j.CatchUp != nil {
		v.add("/catch_up", "", why)
	}
}

func (v *validator) retry(r *Retry) {
	if r == nil {
		return
	}
	v.word("/retry/policy", r.Policy, PolicyPartial, PolicyComplete, PolicyNextBatch)
	v.count("/retry/attempts", r.Attempts, 1, 100)
	v.count("/retry/max_run_attempts", r.MaxRunAttempts, 1, 100)
	v.count("/retry/max_carries", r.MaxCarries, 1, 1000)
	for i, wait := range r.Backoff {
		pointer := pointerTo("/retry/backoff", i)
		if wait == "" {
			v.add(pointer, "", "is empty; write it like 10s")
		}
		v.duration(pointer, wait, time.Millisecond, 24*time.Hour)
	}
	if r.Backoff != nil && len(r.Backoff) == 0 {
		v.add("/retry/backoff", "", "is empty; list the waits before the 2nd, 3rd, … attempt, or remove it")
	}
}

// names checks a list of column names: none empty, none twice, valid UTF-8.
func (v *validator) names(pointer string, names []string) {
	seen := map[string]bool{}
	for i, name := range names {
		switch {
		case name == "" || !utf8.ValidString(name):
			v.add(pointerTo(pointer, i), "", "%q is not a column name", name)
		case seen[name]:
			v.add(pointerTo(pointer, i), "", "%q is listed twice", name)
		}
		seen[name] = true
	}
}

func (v *validator) fileURI(pointer, uri string) {
	scheme, _, found := strings.Cut(uri, "://")
	form, object := objectForms[scheme]
	object = object && found
	switch {
	case uri == "":
		v.add(pointer, "", "is required")
		return
	case found && scheme != "file" && !object:
		v.add(pointer, "", "%q: its store is not known; write /abs/path, file:///abs/path, %s", uri, strings.Join(slices.Sorted(maps.Values(objectForms)), ", "))
		return
	case object && !namesObject(uri):
		v.add(pointer, "", "%q does not name a bucket and what is in it; write it like %s", uri, form)
		return
	}
	if path := Path(uri); !object && !filepath.IsAbs(path) {
		v.add(pointer, "", "%q is not absolute; write \"${abspath(%q)}\"", uri, path)
	}
	if err := CheckURI(uri); err != nil {
		v.add(pointer, "", "%q: %v", uri, err)
	}
	if climbs(uri) {
		v.add(pointer, "", "%q climbs with ..; write the folder it leads to", uri)
	}
}

// climbs tells whether a uri leads through "..", also by a format that spells
// it: {date:..}.
func climbs(uri string) bool {
	expanded, err := ExpandURI(uri, Occasion{Occurrence: time.Unix(0, 0).UTC(), Run: "r"})
	if err != nil {
		expanded = uri
	}
	return slices.Contains(strings.Split(Path(expanded), "/"), "..")
}

func checkGlob(path string) error {
	if _, err := filepath.Match(path, ""); err != nil {
		return fmt.Errorf("the glob is malformed; * ? and [a-z] are known")
	}
	return nil
}

// formatByExtension tells a file format from a uri, or "".
func formatByExtension(uri string) string {
	name := strings.ToLower(uri)
	if compressionByExtension(uri) != "" {
		name = strings.TrimSuffix(name, filepath.Ext(name))
	}
	switch filepath.Ext(name) {
	case ".csv":
		return FormatCSV
	case ".jsonl", ".ndjson":
		return FormatJSONL
	case ".parquet":
		return FormatParquet
	}
	return ""
}

// compressionByExtension tells how a file is compressed from its uri, or "".
func compressionByExtension(uri string) string {
	switch strings.ToLower(filepath.Ext(uri)) {
	case ".gz":
		return CompressionGzip
	case ".zst":
		return CompressionZstd
	}
	return ""
}
