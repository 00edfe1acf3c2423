package format_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

// A file that is something else than was said: the error says what it is, and
// what to set.
func TestAFileThatIsSomethingElseSaysWhatItIs(t *testing.T) {
	csv, jsonl := "id,name\r\n1,ä\r\n", "\uFEFF {\"id\": 1}\n"
	parquet := string(testdata(t, "codec_none.parquet"))
	gzip, zstd := string(compressed(t, "gzip", csv)), string(compressed(t, "zstd", csv))
	asText := func(fileFormat string) func(string) error {
		return func(file string) error {
			_, err := format.ReadPreamble(format.Options{Format: fileFormat, Header: true}, strings.NewReader(file))
			return err
		}
	}
	asParquet := func(file string) error {
		_, err := format.OpenParquet(strings.NewReader(file), int64(len(file)))
		return err
	}
	asCompressed := func(compression string) func(string) error {
		return func(file string) error {
			_, err := format.Decompress(compression, strings.NewReader(file))
			return err
		}
	}
	for name, test := range map[string]struct {
		read func(string) error
		file string
		want string
	}{
		"CSV as Parquet":         {asParquet, csv, `is not a Parquet file: it begins with "id,name"; set input.files.format = "csv"`},
		"little CSV as Parquet":  {asParquet, "a,b\n1,2\n", `is not a Parquet file: it begins with "a,b"; set input.files.format = "csv"; it has only 8 bytes`},
		"JSON Lines as Parquet":  {asParquet, jsonl, `is not a Parquet file: it begins with " {\"id\": 1}"; set input.files.format = "jsonl"`},
		"words as Parquet":       {asParquet, strings.Repeat("words ", 100), `is not a Parquet file: it begins with "words words words words words words word"`},
		"gzip as Parquet":        {asParquet, gzip, `is not a Parquet file: it is compressed by gzip; set input.files.compression = "gzip"`},
		"Parquet cut short":      {asParquet, parquet[:len(parquet)-10], `is a Parquet file that is cut short`},
		"Parquet as CSV":         {asText(api.FormatCSV), parquet, `is a Parquet file; set input.files.format = "parquet"`},
		"Parquet as JSON Lines":  {asText(api.FormatJSONL), parquet, `is a Parquet file; set input.files.format = "parquet"`},
		"gzip as CSV":            {asText(api.FormatCSV), gzip, `is compressed by gzip; set input.files.compression = "gzip"`},
		"zstd as JSON Lines":     {asText(api.FormatJSONL), zstd, `is compressed by zstd; set input.files.compression = "zstd"`},
		"plain CSV as gzip":      {asCompressed("gzip"), csv, `decompress gzip: the file is not compressed: it begins with "id,name"; set input.files.compression = "none"`},
		"plain JSON as zstd":     {asCompressed("zstd"), jsonl, `decompress zstd: the file is not compressed: it begins with " {\"id\": 1}"; set input.files.compression = "none"`},
		"zstd as gzip":           {asCompressed("gzip"), zstd, `decompress gzip: it is compressed by zstd; set input.files.compression = "zstd"`},
		"Parquet as gzip":        {asCompressed("gzip"), parquet, `decompress gzip: it is a Parquet file; set input.files.format = "parquet" and input.files.compression = "none"`},
		"UTF-16 as CSV":          {asText(api.FormatCSV), "\xff\xfei\x00d\x00", `is UTF-16; convert it: iconv -f UTF-16 -t UTF-8`},
		"a spreadsheet as CSV":   {asText(api.FormatCSV), "PK\x03\x04\x14\x00", `is a zip archive, as spreadsheets are; unpack it, or save it as CSV`},
		"a spreadsheet as gzip":  {asCompressed("gzip"), "PK\x03\x04\x14\x00", `decompress gzip: it is a zip archive, as spreadsheets are; unpack it`},
		"bzip2 as JSON Lines":    {asText(api.FormatJSONL), "BZh91AY&SY\x0e\x09", `is compressed by bzip2; compress it by gzip or zstd`},
		"a list as JSON Lines":   {asText(api.FormatJSONL), "[\n  {\"id\": 1},\n", `is one JSON list; JSON Lines has one object on each line: jq -c '.[]'`},
		"a list in one line":     {asText(api.FormatJSONL), "[{\"id\": 1},\n{\"id\": 2}]\n", `is one JSON list`},
		"objects over lines":     {asText(api.FormatJSONL), "{\n  \"id\": 1\n}\n", `is JSON over several lines; JSON Lines has one object on each line: jq -c '.'`},
		"JSON and returns alone": {asText(api.FormatJSONL), "{\"id\":1}\r{\"id\":2}\r", `ends its lines by carriage returns alone; convert them: tr '\r' '\n'`},
		"CSV and returns alone":  {asText(api.FormatCSV), "id,name\r1,a\r", `line 1: the file ends its lines by carriage returns alone`},
		"a list of numbers":      {asText(api.FormatJSONL), "[1]\n{\"id\":1}\n", ""}, // one bad record
		"a list, then objects":   {asText(api.FormatJSONL), "[{\"id\":1}]\n{\"id\":1}\n", ""},
		"a cut record first":     {asText(api.FormatJSONL), "{\n{\"id\":1}\n", ""},
		"another cut one":        {asText(api.FormatJSONL), "{\"id\":\n{\"id\":1}\n", ""},
		"an empty object":        {asText(api.FormatJSONL), "{ }\n{\"id\":1}\n", ""},
		"returns in a name":      {asText(api.FormatCSV), "id,\"a\rb\"\n1,2\n", ""},
		"a column named as such": {asText(api.FormatCSV), "PAR1,x\n", ""},
		"a word cut in a letter": {asCompressed("gzip"), strings.Repeat("a", 255) + "ä", `decompress gzip: the file is not compressed`},
	} {
		t.Run(name, func(t *testing.T) {
			err := test.read(test.file)
			if test.want == "" {
				if err != nil {
					t.Errorf("got %v", err)
				}
				return
			}
			if err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
	if err := asCompressed("gzip")(string(bytes.Repeat([]byte{0xff}, 300))); err == nil || strings.Contains(err.Error(), "set ") {
		t.Errorf("noise gives %v", err)
	}
}
