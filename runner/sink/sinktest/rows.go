package sinktest

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"slices"
	"strings"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

// typed are the columns of records that formats and stores could trip over.
var typed = []api.Column{
	{Name: "country", Type: api.TypeString}, {Name: "id", Type: api.TypeInt64}, {Name: "text", Type: api.TypeString},
	{Name: "score", Type: api.TypeDouble}, {Name: "price", Type: "decimal(20,2)"}, {Name: "ok", Type: api.TypeBoolean},
	{Name: "at", Type: api.TypeTimestamp}, {Name: "day", Type: api.TypeDate}, {Name: "best", Type: api.TypeJSON},
}

// row is a record, a JSON text for each column.
type row []string

var rows = []row{
	{`"DE"`, `9007199254740993`, `"plain"`, `0.5`, `123456789012345678.90`, `true`, `"2026-11-21T02:00:00.000000Z"`, `"2026-11-21"`, `{"label":"a","p":[0.25,0.75]}`},
	{`"a/b=c d%"`, `2`, `"com,ma \"quo\"ted"`, `-1.25`, `0.10`, `false`, `"1969-12-31T23:59:59.500000Z"`, `"1969-12-31"`, `[1,"2",null]`},
	{`null`, `-3`, `"line\nbreak"`, `null`, `null`, `null`, `null`, `null`, `null`},
	{`"Köln"`, `4`, `" Füße\t"`, `1e-09`, `-0.01`, `true`, `"2026-11-21T02:00:00.123456Z"`, `"2024-02-29"`, `"text"`},
	{`"DE"`, `5`, `"\\back"`, `4.5`, `5.00`, `true`, `"2026-11-21T02:00:00.000000Z"`, `"2026-11-22"`, `12345678901234567890`},
	{`"Köln"`, `6`, `null`, `5.5`, `6.00`, `false`, `"2026-11-21T02:00:00.000000Z"`, `"2026-11-22"`, `true`},
}

func (r row) values() []format.Value {
	values := make([]format.Value, len(r))
	for i, token := range r {
		values[i] = format.Value{Bytes: []byte(token), JSON: true}
	}
	return values
}

// rowsAs are some of the rows for comparison, as a format can tell them: CSV
// has no null.
func rowsAs(form string, records ...int) (all []string) {
	for _, i := range records {
		text := cells(rows[i].values())
		if form == api.FormatCSV {
			text = strings.ReplaceAll(text, null, "")
		}
		all = append(all, text)
	}
	return all
}

// null stands for no value, in comparisons.
const null = "<null>"

// cells is a record for comparison, whatever its format.
func cells(values []format.Value) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = string(v.Bytes)
		var text string
		if v.JSON && texts[i] == "null" {
			texts[i] = null
		} else if v.JSON && json.Unmarshal(v.Bytes, &text) == nil {
			texts[i] = text
		}
	}
	return strings.Join(texts, "|")
}

// readRows reads one file of a published folder, as readers do that have never
// heard of what wrote it; a column that names its folder comes from there.
func readRows(published fs.FS, name string, out api.OutputFiles) (records []string, err error) {
	content, err := fs.ReadFile(published, name)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, column := range typed {
		if !slices.Contains(out.PartitionBy, column.Name) {
			names = append(names, column.Name)
		}
	}
	read := map[string]func([]byte, []string) ([][]format.Value, error){
		api.FormatCSV: readCSV, api.FormatJSONL: readJSONL, api.FormatParquet: readParquet,
	}[out.Format]
	all, err := read(content, names)
	if err != nil {
		return nil, err
	}
	partition, err := partitionOf(name, out)
	for _, values := range all {
		records = append(records, cells(append(slices.Clone(partition), values...)))
	}
	return records, err
}

// partitionOf are the values that the folders of a file's name tell.
func partitionOf(name string, out api.OutputFiles) (values []format.Value, err error) {
	for i, column := range out.PartitionBy {
		text, named := strings.CutPrefix(strings.Split(name, "/")[i], column+"=")
		if !named {
			return nil, fmt.Errorf("%s names no %s", name, column)
		}
		if text == "__HIVE_DEFAULT_PARTITION__" && out.Format == api.FormatCSV {
			text = ""
		} else if text == "__HIVE_DEFAULT_PARTITION__" {
			text = null
		}
		if text, err = url.PathUnescape(text); err != nil {
			return nil, err
		}
		values = append(values, format.Value{Bytes: []byte(text)})
	}
	return values, nil
}

func readCSV(content []byte, names []string) (all [][]format.Value, err error) {
	lines, err := csv.NewReader(bytes.NewReader(content)).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(lines) == 0 || !slices.Equal(lines[0], names) {
		return nil, fmt.Errorf("the header is not %q in %q", names, content)
	}
	for _, line := range lines[1:] {
		var values []format.Value
		for _, text := range line {
			values = append(values, format.Value{Bytes: []byte(text)})
		}
		all = append(all, values)
	}
	return all, nil
}

func readJSONL(content []byte, names []string) (all [][]format.Value, err error) {
	for lines := bufio.NewScanner(bytes.NewReader(content)); lines.Scan(); {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(lines.Bytes(), &fields); err != nil || len(fields) != len(names) {
			return nil, fmt.Errorf("%w: not the fields %q: %s", err, names, lines.Bytes())
		}
		var values []format.Value
		for _, name := range names {
			values = append(values, format.Value{Bytes: fields[name], JSON: true})
		}
		all = append(all, values)
	}
	return all, nil
}

// readParquet uses our reader, which shares nothing with the library that
// writes.
func readParquet(content []byte, names []string) (all [][]format.Value, err error) {
	file, err := format.OpenParquet(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return nil, err
	}
	var columns []string
	for _, column := range file.Columns() {
		columns = append(columns, column.Name)
	}
	if !slices.Equal(columns, names) {
		return nil, fmt.Errorf("the columns are %q, not %q", columns, names)
	}
	reader, err := file.Read(0, file.Rows(), names)
	for err == nil {
		var record *format.Record
		if record, err = reader.Read(); err == nil {
			all = append(all, cloned(record.Values))
			err = record.Bad
		}
	}
	if !errors.Is(err, io.EOF) {
		return nil, err
	}
	return all, nil
}

// cloned are values that outlive their reader's next record.
func cloned(values []format.Value) []format.Value {
	values = slices.Clone(values)
	for i, v := range values {
		values[i].Bytes = bytes.Clone(v.Bytes)
	}
	return values
}
