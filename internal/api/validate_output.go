package api

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"time"
)

var (
	columnTypes = []string{TypeDouble, TypeInt64, TypeBoolean, TypeString, TypeTimestamp, TypeNanos, TypeDate, TypeJSON}
	decimalForm = regexp.MustCompile(`^decimal\(([0-9]{1,2}),([0-9]{1,2})\)$`)
)

func (v *validator) output(j Job) {
	o := j.Output
	v.oneOf("/output", map[string]bool{"files": o.Files != nil, "sql": o.SQL != nil})
	v.names("/output/keep", o.Keep)
	v.optionalWord("/output/publish", o.Publish, PublishOnComplete, PublishProgressive)
	v.count("/output/keep_runs", o.KeepRuns, 1, 1_000_000)
	v.duration("/output/keep_for", o.KeepFor, time.Hour, 36500*24*time.Hour)
	if o.Files != nil {
		v.outputFiles(*o.Files, j)
	}
	if o.SQL != nil {
		v.outputSQL(*o.SQL, j)
	}
}

func (v *validator) outputFiles(f OutputFiles, j Job) {
	const at = "/output/files"
	v.fileURI(at+"/uri", f.URI)
	v.optionalWord(at+"/format", f.Format, fileFormats...)
	v.optionalWord(at+"/layout", f.Layout, LayoutPerMiniBatch, LayoutSingle, LayoutPerInputFile)
	v.names(at+"/partition_by", f.PartitionBy)
	if len(f.PartitionBy) > 0 && (f.Layout == LayoutSingle || f.Layout == LayoutPerInputFile) {
		v.add(at+"/partition_by", "", "has a file in each of its folders, and layout %q has none for them; keep one of both", f.Layout)
	}
	if f.Layout == LayoutPerInputFile && j.Input.SQL != nil {
		v.add(at+"/layout", "", "%q names files after those of the input, and rows of a query come from none; use %q", f.Layout, LayoutSingle)
	}
	kept := j.WithDefaults().Output.Keep
	for i, column := range f.PartitionBy {
		if column != "" && !slices.Contains(kept, column) {
			v.add(pointerTo(at+"/partition_by", i), "", "%q is not kept; add it to output.keep", column)
		}
	}
	if len(f.Types) > 0 && f.Format != FormatParquet {
		v.add(at+"/types", "", "are those of Parquet's columns; set format = %q, or remove them", FormatParquet)
		return
	}
	for _, column := range slices.Sorted(maps.Keys(f.Types)) {
		pointer := pointerTo(at+"/types", column)
		if !isColumnType(f.Types[column]) {
			v.add(pointer, "", "%q is not a type; known are %s and decimal(precision,scale), like decimal(18,4)", f.Types[column], join(columnTypes))
		}
		_, result := j.Predict.Outputs[column]
		if !slices.Contains(kept, column) && !result && len(j.Predict.Outputs) > 0 {
			v.add(pointer, "", "names a column that is neither in output.keep nor in predict.outputs; remove it, or add the column there")
		}
	}
}

// isColumnType tells whether a text names the type of a column.
func isColumnType(text string) bool {
	if slices.Contains(columnTypes, text) {
		return true
	}
	m := decimalForm.FindStringSubmatch(text)
	if m == nil {
		return false
	}
	precision, _ := strconv.Atoi(m[1]) // decimalForm lets two digits pass
	scale, _ := strconv.Atoi(m[2])
	return precision >= 1 && precision <= 38 && scale <= precision
}

func (v *validator) outputSQL(q OutputSQL, j Job) {
	const at = "/output/sql"
	v.secret(at+"/dsn", q.DSN)
	v.table(at+"/table", q.Table)
	v.word(at+"/write", q.Write, WriteUpdate, WriteUpsert, WriteInsert)
	if len(j.Input.Key) == 0 && j.Input.Mode != ModePredicate { // of which it is said already
		v.add("/input/key", "", "is required with output.sql: the columns that tell which row a prediction belongs to")
	}
	taken := map[string]string{}
	for _, column := range j.WithDefaults().Output.Keep {
		taken[column] = "is kept from the input too; name another column, or leave it out of output.keep"
	}
	for _, column := range j.Input.Key {
		taken[column] = "is a column of input.key too; name another one"
	}
	if q.JSONColumn == "" {
		for column := range j.Predict.Outputs {
			taken[column] = "is a result in predict.outputs too; name another column"
		}
	}
	if why := taken[q.JSONColumn]; why != "" {
		v.add(at+"/json_column", "", "%q %s", q.JSONColumn, why)
	}
	if q.JSONColumn != "" {
		taken[q.JSONColumn] = "is json_column too; name another one"
	}
	if why := taken[q.RunAt]; why != "" {
		v.add(at+"/run_at", "", "%q %s", q.RunAt, why)
	}
	const why = "is about published folders, and predictions go to a table; remove it"
	if j.Output.KeepRuns != nil {
		v.add("/output/keep_runs", "", why)
	}
	if j.Output.KeepFor != "" {
		v.add("/output/keep_for", "", why)
	}
}

// results checks that no result column takes the place of one that is there
// already.
func (v *validator) results(j Job) {
	if j.Output.SQL != nil && j.Output.SQL.JSONColumn != "" {
		return // results are names within one column
	}
	kept := j.WithDefaults().Output.Keep
	for _, column := range slices.Sorted(maps.Keys(j.Predict.Outputs)) {
		pointer := pointerTo("/predict/outputs", column)
		switch {
		case slices.Contains(kept, column):
			v.add(pointer, "", "%q is kept from the input too; rename the result, or leave the column out of output.keep", column)
		case j.Output.SQL != nil && slices.Contains(j.Input.Key, column):
			v.add(pointer, "", "%q is a column of input.key too; rename the result", column)
		}
	}
}
