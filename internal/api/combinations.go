package api

import (
	"strings"
	"time"
)

// combinations checks what settings mean together: each rule is a row of the
// table in the guide on retrying. What is reported are settings that
// contradict each other, or that nothing would act on.
func (v *validator) combinations(j Job) {
	d := j.WithDefaults()
	policy := d.Retry.Policy
	if policy == PolicyComplete {
		v.complete(d)
	}
	if d.Overlap == OverlapAllow {
		switch {
		case policy == PolicyComplete || policy == PolicyNextBatch:
			v.add("/overlap", "", "%q lets runs go on side by side, which retry.policy %q can't; use %q", d.Overlap, policy, OverlapQueueOne)
		case d.Input.Incremental():
			v.add("/overlap", "", "%q lets runs go on side by side, and with input.mode %q each begins where the last one ended; use %q", d.Overlap, d.Input.Mode, OverlapQueueOne)
		}
	}
	if j.Output.Publish == PublishProgressive { // as written, not as a table's default
		v.progressive(d)
	}
	if policy == PolicyNextBatch && *d.Retry.Attempts != 1 {
		v.add("/retry/attempts", "", "%d: with policy %q a mini-batch has one attempt, and what fails is carried to the next run; remove attempts", *d.Retry.Attempts, policy)
	}
	if f := d.Input.Files; policy == PolicyNextBatch && f != nil && f.Format == FormatParquet && d.Input.DuplicateKeys != "" && d.Input.DuplicateKeys != DuplicatesError {
		v.add("/input/duplicate_keys", "", "%q copies the file without what it leaves out, and with retry.policy %q runs owe rows of a Parquet file by their number; use %q", d.Input.DuplicateKeys, policy, DuplicatesError)
	}
	v.ownOutput(d)
	if d.Retry.MaxRunAttempts != nil && policy != PolicyComplete {
		v.add("/retry/max_run_attempts", "", "goes with policy %q only; remove it or set that", PolicyComplete)
	}
	if d.Retry.MaxCarries != nil && !carries(policy, d.Input) {
		if policy == PolicyComplete {
			v.add("/retry/max_carries", "", "goes with records that one run leaves to the next, and policy %q leaves none; remove it", policy)
		} else {
			v.add("/retry/max_carries", "", "goes with records that one run leaves to the next, and this job's runs leave none; remove it, or set policy %q or an input.mode that remembers", PolicyNextBatch)
		}
	}
}

// ownOutput checks that a job's input is not what its runs publish: the next run
// would predict the predictions.
func (v *validator) ownOutput(d Job) {
	in, out := d.Input.Files, d.Output.Files
	if in == nil || out == nil {
		return
	}
	o := Occasion{Occurrence: time.Unix(0, 0).UTC(), Run: "r"}
	pattern, err := ExpandURI(in.URI, o)
	if err != nil {
		return // said of the uri
	}
	folder, err := ExpandURI(out.URI, o)
	if err != nil {
		return
	}
	if !HasOccurrencePlaceholder(out.URI) {
		folder = strings.TrimSuffix(folder, "/") + "/occurrence=" + FormatInstant(o.Occurrence)
	}
	glob, err := NewGlob(Path(pattern))
	if err != nil {
		return
	}
	file := "part-000001."
	if out.Layout == LayoutSingle {
		file = "output."
	}
	if scheme, _, found := strings.Cut(out.URI, "://"); found && scheme != "file" {
		file += "r1." // in a store revisions lie side by side
	}
	for _, column := range out.PartitionBy {
		file = column + "=value/" + file
	}
	if published := strings.TrimSuffix(Path(folder), "/") + "/" + file + out.Format; glob.Match(published) {
		v.add("/output/files/uri", "publish to a folder that the input does not look into, or let input.files.uri name less", "%q takes what the runs publish, as %s, for input", in.URI, published)
	}
}

// complete checks that all or nothing can be kept.
func (v *validator) complete(d Job) {
	if d.Output.Publish == PublishProgressive {
		v.add("/output/publish", "", "%q shows mini-batches before the run has ended, and retry.policy %q promises all or nothing; change one of them", d.Output.Publish, PolicyComplete)
	}
	if t, err := ParseThreshold(d.MaxFailed); err == nil && !t.Zero() {
		v.add("/max_failed", "", "%q lets records fail, and retry.policy %q promises all or nothing; set it to \"0\" or remove it", d.MaxFailed, PolicyComplete)
	}
	if d.Predict.OnModelChange == ModelChangeContinue {
		v.add("/predict/on_model_change", "", "%q lets a run mix models, and with retry.policy %q all predictions come from one; change one of them", d.Predict.OnModelChange, PolicyComplete)
	}
}

// progressive checks that mini-batches can be published one by one.
func (v *validator) progressive(d Job) {
	f := d.Output.Files
	if f == nil {
		return
	}
	const at = "/output/publish"
	switch {
	case f.Layout == LayoutSingle || f.Layout == LayoutPerInputFile:
		v.add(at, "", "%q publishes each mini-batch by itself, and layout %q has no file for each; change one of them", d.Output.Publish, f.Layout)
	case len(f.PartitionBy) > 0:
		v.add(at, "", "%q publishes each mini-batch by itself, and partition_by spreads it over folders; change one of them", d.Output.Publish)
	case IsObject(f.URI):
		v.add(at, "", "%q is for folders and tables, and an object store shows a run as a whole only; remove it", d.Output.Publish)
	}
}

// Warnings are what is right, but may not mean what its author thinks.
func Warnings(j Job) []Error {
	if j.Input.Mode != ModePredicate {
		return nil
	}
	var warnings []Error
	if j.Output.Files != nil {
		warnings = append(warnings, Error{
			Code: CodeInvalid, Pointer: "/input/mode",
			Message: "\"" + ModePredicate + "\" takes the rows that the query finds, and predictions go to files: nothing makes a row leave the query's result",
			Hint:    "Each run will find the same rows again, unless something else marks them. Write to the table with output.sql, or use input.mode = \"" + ModeWatermark + "\".",
		})
	}
	if j.Input.SQL == nil {
		return warnings
	}
	if word := partialBy(j.Input.SQL.Query); word != "" {
		warnings = append(warnings, Error{
			Code: CodeInvalid, Pointer: "/input/sql/query",
			Message: word + " gives a part of the rows, and rows that are dead letters are among them: once they fill it, runs find no others",
			Hint:    "Remove it: a run takes any number of rows, a mini-batch at a time. Or have the query order such rows last.",
		})
	}
	return warnings
}

func (v *validator) deadLetters(j Job) {
	d := j.DeadLetters
	if d == nil {
		return
	}
	v.word("/dead_letters/input", d.Input, DeadInputFull, DeadInputKeyOnly)
	v.duration("/dead_letters/keep_for", d.KeepFor, time.Hour, 3650*24*time.Hour)
	if d.Input == DeadInputKeyOnly && len(j.Input.Key) == 0 {
		v.add("/dead_letters/input", "", "%q keeps nothing but the key, and the job has none; list its columns in input.key", d.Input)
	}
}
