package split_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/durable"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
	"github.com/batchpattern/terraform-provider-batch/runner/split"
)

const (
	csvHeader = "id,text\n"
	ragged    = "has 1 field where the header has 2"
	notUTF8   = "is not UTF-8 at byte 3"
	tooLarge  = "is larger than 16 MiB"
)

// tortured is a file that something is wrong with: either planning it ends with
// an error that names the file, or the good records are read, each once, and the
// bad ones are named by their lines.
type tortured struct {
	name    string // of the file
	content string
	input   api.InputFiles
	planned string   // what planning says
	read    string   // what reading says behind the records
	records []string // "line: id" or "line! what is wrong"
}

func torture(t *testing.T) map[string]tortured {
	csv, jsonl, parquet := api.InputFiles{Format: api.FormatCSV}, api.InputFiles{Format: api.FormatJSONL}, api.InputFiles{Format: api.FormatParquet}
	zipped := api.InputFiles{Format: api.FormatCSV, Compression: api.CompressionGzip}
	headless, no := csv, false
	headless.Header, headless.Columns = &no, []string{"id", "text"}

	packed := gzipOf(t, csvHeader+strings.Repeat("1,some text\n", 1000))
	sound, err := os.ReadFile(filepath.Join("..", "format", "testdata", "codec_gzip.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	rows := string(sound)
	lastPage := strings.LastIndex(rows, "\x1f\x8b")
	corrupt := rows[:lastPage] + "no" + rows[lastPage+2:]

	return map[string]tortured{
		"quotes and newlines": {name: "a.csv", input: csv, content: csvHeader + "1,\"a \"\"b\"\"\"\n2,\"x\ny\r\n\r\nz\"\r\n3,plain\n",
			records: []string{"2: 1", "3: 2", "7: 3"}},
		"quotes where none may be": {name: "a.csv", input: csv, content: csvHeader + "1,5\" disk\n2,\"x\"y\n3,good\n",
			records: []string{`2! column "text": has a quote in a field that does not begin with one`, `3! column "text": has text after the closing quote`, "4: 3"}},
		"a quote that is not closed": {name: "a.csv", input: csv, content: csvHeader + "1,good\n2,\"open\n3,lost in it\n",
			records: []string{"2: 1", "3! has a quote that is never closed, so it takes in the rest of the file"}},
		"mark, carriage returns and empty lines": {name: "a.csv", input: csv, content: "\uFEFFid,text\r\n\r\n1,a\r\n\n\r\n2,b\r\n\n",
			records: []string{"3: 1", "6: 2"}},
		"NUL": {name: "a.csv", input: csv, content: csvHeader + "1,a\x00b\n\x002,c\n", records: []string{"2: 1", "3: \x002"}},
		"not UTF-8": {name: "a.csv", input: csv, content: csvHeader + "1,\xff\n2,b\n3,\xc3\x28\n4,d\n",
			records: []string{"2! " + notUTF8, "3: 2", "4! " + notUTF8, "5: 4"}},
		"ragged": {name: "a.csv", input: csv, content: csvHeader + "1\n2,b\n3,c,d\n4,e",
			records: []string{"2! " + ragged, "3: 2", "4! has 3 fields where the header has 2", "5: 4"}},
		"a field of 100 MB": {name: "a.csv", input: csv, content: csvHeader + "1,a\n2,\"" + strings.Repeat("a long line of text\n", 5<<20) + "\"\n3,c\n",
			records: []string{"2: 1", "3! " + tooLarge, fmt.Sprintf("%d: 3", 4+5<<20)}},
		"names that are the same": {name: "a.csv", input: csv, content: "id,text,id\n1,a,2\n",
			planned: `line 1: column 3 of the header is named "id", and so is column 1; names must differ`},
		"a name that is missing": {name: "a.csv", input: csv, content: "\nid,\n1,a\n", planned: "line 2: column 2 of the header has no name; name every column"},
		"a header that is not CSV": {name: "a.csv", input: csv, content: "id,\"text\n1,a\n",
			planned: "line 1: the header is not CSV: column 2: has a quote that is never closed"},
		"other columns than were named": {name: "a.csv", input: headless, content: "1,a,b\n2,c,d\n",
			planned: "line 1: the first record has 3 fields, and input.files.columns names 2; name every field there"},
		"other columns later": {name: "a.csv", input: headless, content: "1,a\n2\n3,b\n", records: []string{"1: 1", "2! " + ragged, "3: 3"}},
		"nothing":             {name: "a.csv", input: csv, content: ""},

		"JSON Lines": {name: "a.jsonl", input: jsonl, content: "\uFEFF{\"id\":1}\r\n\n{\"id\":2\n{\"id\":\"\xff\"}\nnull\n[1]\n{\"id\":3,\"id\":4}\n{}\n{\"id\":\"\\u0000\"}",
			records: []string{"1: 1", "3! is not valid JSON", "4! is not UTF-8 at byte 8", "5! is null where a JSON object is wanted", "6! is a list where a JSON object is wanted", `7! has column "id" twice`, `8! has no column "id"`, `9: "\u0000"`}},
		"JSON of 100 MB": {name: "a.jsonl", input: jsonl, content: "{\"id\":1}\n{\"id\":\"" + strings.Repeat("text ", 20<<20) + "\"}\n{\"id\":3}\n",
			records: []string{"1: 1", "2! " + tooLarge, "3: 3"}},

		"Parquet cut short":           {name: "a.parquet", input: parquet, content: rows[:len(rows)-100], planned: "is a Parquet file that is cut short: it ends with"},
		"Parquet without a beginning": {name: "a.parquet", input: parquet, content: "x" + rows, planned: "is not a Parquet file: it begins with"},
		"Parquet with a corrupt footer": {name: "a.parquet", input: parquet, content: rows[:len(rows)-40] + strings.Repeat("\xff", 20) + rows[len(rows)-20:],
			planned: "is not a sound Parquet file: its footer"},
		"Parquet with a corrupt page": {name: "a.parquet", input: parquet, content: corrupt, read: `: row group 3: its page at byte `, records: numbered(280)}, // its pages hold 20 rows,
		"CSV named Parquet": {name: "a.parquet", input: parquet, content: csvHeader + "1,a\n2,b\n",
			planned: `is not a Parquet file: it begins with "id,text"; set input.files.format = "csv"`},
		"gzip cut short":       {name: "a.csv.gz", input: zipped, content: packed[:len(packed)-10], planned: fmt.Sprintf("the file is cut short, it ends after byte %d", len(packed)-10)},
		"gzip that is corrupt": {name: "a.csv.gz", input: zipped, content: packed[:20] + "\xff\xff\xff\xff" + packed[24:], planned: "the file is corrupt at byte "},
		"CSV named gzip": {name: "a.csv.gz", input: zipped, content: csvHeader + "1,a\n",
			planned: `the file is not compressed: it begins with "id,text"; set input.files.compression = "none"`},
		"gzip named CSV": {name: "a.csv", input: csv, content: packed, planned: `is compressed by gzip; set input.files.compression = "gzip"`},
	}
}

func TestAFileThatIsWrongIsNamedAndItsGoodRecordsAreKept(t *testing.T) {
	for name, test := range torture(t) {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), test.name)
			if err := os.WriteFile(path, []byte(test.content), 0o644); err != nil {
				t.Fatal(err)
			}
			test.input.URI = path
			in := source.New(source.Options{RunsDir: t.TempDir(), Run: "r", MaxSpool: 1 << 20, FS: durable.OS()})
			files, err := in.Find(t.Context(), api.Input{Files: &test.input}, api.Occasion{}, nil)
			if test.planned != "" {
				wantPlace(t, err, path, test.planned)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got, err := planAndRead(t.Context(), in, files[0])
			if wantPlace(t, err, path, test.read); !begin(got, test.records) {
				t.Errorf("got %d records %q\nwant %d: %q", len(got), got, len(test.records), test.records)
			}
		})
	}
}

func wantPlace(t *testing.T, err error, path, want string) {
	t.Helper()
	if want == "" && err == nil {
		return
	}
	if err == nil || want == "" || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q and %q", err, path, want)
	}
}

// planAndRead reads the slices of a file, two records each, as a run does.
func planAndRead(ctx context.Context, in *source.Inputs, file source.File) (got []string, err error) {
	opened, err := in.Open(ctx, file)
	if err != nil {
		return nil, err
	}
	err = split.File(ctx, in, 0, file, split.Options{Rows: 2}, func(s split.Slice) error {
		reader, err := opened.Records(source.Stretch{Offset: s.Offset, Length: s.Length, FirstLine: s.FirstLine, Checksum: s.Checksum}, append([]string{"id"}, file.Columns()...))
		if err != nil {
			return err
		}
		for n := int64(0); ; n++ {
			record, err := reader.Read()
			switch {
			case errors.Is(err, io.EOF) && n == s.Records:
				return nil
			case errors.Is(err, io.EOF):
				return fmt.Errorf("%d records of slice %+v", n, s)
			case err != nil:
				return fmt.Errorf("read input %s: %w", file.Path, err)
			case record.Bad != nil:
				got = append(got, fmt.Sprintf("%d! %v", record.Line, record.Bad))
			default:
				got = append(got, fmt.Sprintf("%d: %s", record.Line, record.Values[0].Bytes))
			}
		}
	})
	return got, errors.Join(err, opened.Close())
}

func begin(got, want []string) bool {
	for i := range want {
		if i >= len(got) || !strings.HasPrefix(got[i], want[i]) {
			return false
		}
	}
	return len(got) == len(want)
}

func numbered(rows int) (want []string) {
	for i := range rows {
		want = append(want, fmt.Sprintf("%d: %d", i+1, i))
	}
	return want
}

func gzipOf(t *testing.T, text string) string {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := io.WriteString(w, text)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.String()
}
