package api

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

var (
	fileFormats  = []string{FormatCSV, FormatJSONL, FormatParquet}
	compressions = []string{CompressionNone, CompressionGzip, CompressionZstd}
	inputModes   = []string{ModeFull, ModeNewFiles, ModePredicate, ModeWatermark}

	// objectForms are the object stores that a uri may name, and how it names
	// what is in them.
	objectForms = map[string]string{"s3": "s3://bucket/path", "gs": "gs://bucket/path", "az": "az://account/container/path"}
	bucketForm  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)
)

// IsObject tells whether a uri names something in an object store.
func IsObject(uri string) bool {
	scheme, _, found := strings.Cut(uri, "://")
	return found && scheme != "file"
}

// namesObject tells whether a uri of an object store names a bucket (or a
// container of an account) and something in it.
func namesObject(uri string) bool {
	scheme, rest, _ := strings.Cut(uri, "://")
	folders := strings.Count(objectForms[scheme], "/") - 2
	parts := strings.SplitN(rest, "/", folders+1)
	for _, bucket := range parts[:len(parts)-1] {
		if !bucketForm.MatchString(bucket) {
			return false
		}
	}
	path := parts[len(parts)-1]
	return len(parts) == folders+1 && path != "" && path[0] != '/'
}

func (v *validator) input(in Input) {
	v.oneOf("/input", map[string]bool{"files": in.Files != nil, "sql": in.SQL != nil})
	if in.Files != nil {
		v.inputFiles(*in.Files)
	}
	if in.SQL != nil {
		v.inputSQL(*in.SQL, in.Mode)
	}
	v.names("/input/key", in.Key)
	v.optionalWord("/input/duplicate_keys", in.DuplicateKeys, DuplicatesError, DuplicatesFirst, DuplicatesLast)
	if in.DuplicateKeys != "" && len(in.Key) == 0 {
		v.add("/input/duplicate_keys", "", "%q is about records of one key, and the job has none; list its columns in input.key", in.DuplicateKeys)
	}
	v.optionalWord("/input/on_empty", in.OnEmpty, OnEmptyFail, OnEmptySkip, OnEmptySucceed)
	v.mode(in)
	v.optionalWord("/input/state", in.State, StateReset, StateKeep)
	v.memory(in)
	v.waitFor(in)
	v.size("/input/max_spool", in.MaxSpool, 1_000_000, 1<<50)
}

// mode checks that what a run takes goes with what the input is.
func (v *validator) mode(in Input) {
	const at = "/input/mode"
	v.optionalWord(at, in.Mode, inputModes...)
	switch in.Mode {
	case ModeNewFiles:
		if in.Files == nil && in.SQL != nil {
			v.add(at, "", "%q takes files that no run has taken, and the input is a query; use %q or %q", in.Mode, ModePredicate, ModeWatermark)
		}
	case ModePredicate, ModeWatermark:
		if in.SQL == nil && in.Files != nil {
			v.add(at, "", "%q takes rows of a query, and the input is files; use %q", in.Mode, ModeNewFiles)
		}
	}
	if in.Mode == ModePredicate && len(in.Key) == 0 {
		v.add("/input/key", "", "is required with mode %q: by the key a run knows the rows that are dead letters already", in.Mode)
	}
}

func (v *validator) inputFiles(f InputFiles) {
	const at = "/input/files"
	v.fileURI(at+"/uri", f.URI)
	if err := checkGlob(Path(f.URI)); err != nil {
		v.add(at+"/uri", "", "%q: %v", f.URI, err)
	}
	v.optionalWord(at+"/format", f.Format, fileFormats...)
	v.optionalWord(at+"/compression", f.Compression, compressions...)
	v.optionalWord(at+"/verify", f.Verify, VerifyIdentity, VerifyChecksum)
	if f.Verify == VerifyChecksum && namesObject(f.URI) {
		v.add(at+"/verify", "", "is about files on the runner's host: an object is read by its ETag, which no other content has; remove it")
	}
	format, compression := f.Format, f.Compression
	if format == "" {
		format = formatByExtension(f.URI)
	}
	if compression == "" {
		compression = compressionByExtension(f.URI)
	}
	if format == "" && f.URI != "" {
		v.add(at+"/format", "", "cannot be told from %q; set it to csv, jsonl or parquet", f.URI)
	}
	if format == FormatParquet && slices.Contains(compressions[1:], compression) {
		v.add(at+"/compression", "", "%q: Parquet compresses its own pages, and a file of it can't be read through another compression; write plain Parquet, and remove this", compression)
	}
	v.csv(f, format)
}

// csv checks what says how CSV files are written.
func (v *validator) csv(f InputFiles, format string) {
	const at = "/input/files"
	if format == "" {
		return // reported
	}
	if format != FormatCSV {
		for _, setting := range []struct {
			name string
			set  bool
		}{{"header", f.Header != nil}, {"columns", f.Columns != nil}, {"null_values", f.NullValues != nil}} {
			if setting.set {
				v.add(at+"/"+setting.name, "", "is about CSV, and these files are %s; remove it", format)
			}
		}
		return
	}
	v.names(at+"/columns", f.Columns)
	header := f.Header == nil || *f.Header
	switch {
	case header && f.Columns != nil:
		v.add(at+"/columns", "", "names the columns of files without a header; set header = false, or remove it")
	case !header && len(f.Columns) == 0:
		v.add(at+"/columns", "", "is required with header = false: the names of the files' columns, in their order")
	}
	if f.NullValues != nil && len(f.NullValues) == 0 {
		v.add(at+"/null_values", "", "is empty; list the texts that stand for no value, or remove it")
	}
}

func (v *validator) inputSQL(q InputSQL, mode string) {
	const at = "/input/sql"
	v.secret(at+"/dsn", q.DSN)
	v.query(at+"/query", q.Query)
	w := q.Watermark
	switch {
	case w == nil && mode == ModeWatermark:
		v.add(at+"/watermark", "", "is required with mode %q: the column that tells new rows, and where the first run starts", mode)
	case w != nil && mode != ModeWatermark:
		v.add(at+"/watermark", "", "goes with input.mode %q only; remove it or set that", ModeWatermark)
	}
	if w == nil {
		return
	}
	v.column(at+"/watermark/column", w.Column)
	v.markStart(at+"/watermark/start", w.Start)
	if word := partialBy(q.Query); word != "" {
		v.add(at+"/query", "", "gives a part of its rows (%s), and the mark would pass the others, which are never read; remove it: a run takes what is new whole, in mini-batches", word)
	}
	v.duration(at+"/watermark/lag", w.Lag, 0, 30*24*time.Hour)
}

// waitFor checks how a run finds that its input is there.
func (v *validator) waitFor(in Input) {
	w := in.WaitFor
	if w == nil {
		return
	}
	const at = "/input/wait_for"
	v.oneOf(at, map[string]bool{"uri": w.URI != "", "sql": w.SQL != "", "rows_at_least": w.RowsAtLeast != nil})
	if w.URI != "" {
		v.fileURI(at+"/uri", w.URI)
		if err := checkGlob(Path(w.URI)); err != nil {
			v.add(at+"/uri", "", "%q: %v", w.URI, err)
		}
	}
	if w.SQL != "" {
		v.query(at+"/sql", w.SQL)
		if in.SQL == nil && in.Files != nil {
			v.add(at+"/sql", "", "asks the database of input.sql, and the input is files; wait for a uri")
		}
	}
	v.count(at+"/rows_at_least", w.RowsAtLeast, 1, 1_000_000_000_000)
	if w.RowsAtLeast != nil && in.SQL == nil && in.Files != nil {
		v.add(at+"/rows_at_least", "", "counts the rows of input.sql, and the input is files; wait for a uri")
	}
	if w.Timeout == "" {
		v.add(at+"/timeout", "", "is required: how long a run may wait before it has failed, like 2h")
	}
	v.duration(at+"/timeout", w.Timeout, time.Second, 30*24*time.Hour)
}

// memory checks what goes with an incremental mode only.
func (v *validator) memory(in Input) {
	if in.Incremental() && in.OnEmpty != "" {
		v.add("/input/on_empty", "", "goes with mode %q only: with mode %q a run that finds nothing new has succeeded; remove it", ModeFull, in.Mode)
	}
	if in.State != "" && !in.Incremental() {
		v.add("/input/state", "", "is about what earlier runs took, and mode %q takes everything; remove it, or set another input.mode", ModeFull)
	}
	if in.Files == nil {
		return
	}
	only := func(pointer string, set bool) {
		if set && !in.Incremental() {
			v.add(pointer, "", "goes with input.mode %q only; remove it or set that", ModeNewFiles)
		}
	}
	only("/input/files/min_age", in.Files.MinAge != "")
	only("/input/files/done_marker", in.Files.DoneMarker != "")
	v.duration("/input/files/min_age", in.Files.MinAge, 0, 365*24*time.Hour)
	if in.Files.DoneMarker != "" {
		if err := checkDoneMarker(in.Files.DoneMarker); err != nil {
			v.add("/input/files/done_marker", "", "%v", err)
		}
	}
}
