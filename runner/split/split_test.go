package split_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"sort"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
	"github.com/batchpattern/terraform-provider-batch/runner/split"
)

var inputs = source.New(source.Options{})

// input writes the texts to files and finds them.
func input(t fataler, dir, format string, texts ...string) []source.File {
	for i, text := range texts {
		name := filepath.Join(dir, string(rune('a'+i))+"."+format)
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	files, err := inputs.Find(context.Background(), api.Input{Files: &api.InputFiles{URI: dir + "/*." + format, Format: format}}, api.Occasion{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

type fataler interface{ Fatal(args ...any) }

// splitAll cuts files one after another.
func splitAll(ctx context.Context, files []source.File, rows int64, emit func(split.Slice) error) error {
	for i, file := range files {
		if err := split.File(ctx, inputs, i, file, split.Options{Rows: rows}, emit); err != nil {
			return err
		}
	}
	return nil
}

func slices(t fataler, files []source.File, rows int64) []split.Slice {
	var got []split.Slice
	err := splitAll(context.Background(), files, rows, func(s split.Slice) error {
		got = append(got, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestSlices(t *testing.T) {
	for name, test := range map[string]struct {
		format string
		rows   int64
		texts  []string
		want   []split.Slice
	}{
		"full and rest": {"csv", 2, []string{"h\n1\n2\n3\n"}, []split.Slice{
			{Offset: 2, Length: 4, FirstLine: 2, Records: 2}, {Offset: 6, Length: 2, FirstLine: 4, Records: 1}}},
		"exactly full": {"csv", 3, []string{"h\n1\n2\n3\n"}, []split.Slice{
			{Offset: 2, Length: 6, FirstLine: 2, Records: 3}}},
		"no line end at the end": {"csv", 2, []string{"h\n1\n2\n3"}, []split.Slice{
			{Offset: 2, Length: 4, FirstLine: 2, Records: 2}, {Offset: 6, Length: 1, FirstLine: 4, Records: 1}}},
		"quoted newlines count as lines": {"csv", 1, []string{"h\n\"1\n\n1\"\n2\n"}, []split.Slice{
			{Offset: 2, Length: 7, FirstLine: 2, Records: 1}, {Offset: 9, Length: 2, FirstLine: 5, Records: 1}}},
		"blank lines tile": {"csv", 1, []string{"h\n\n1\n\r\n2\n\n\n"}, []split.Slice{
			{Offset: 2, Length: 3, FirstLine: 2, Records: 1}, {Offset: 5, Length: 6, FirstLine: 4, Records: 1}}},
		"header, mark and crlf": {"csv", 1, []string{"\uFEFFh\r\n1\r\n2"}, []split.Slice{
			{Offset: 6, Length: 3, FirstLine: 2, Records: 1}, {Offset: 9, Length: 1, FirstLine: 3, Records: 1}}},
		"a mini-batch never spans files": {"jsonl", 2, []string{"{}\n{}\n{}\n", "", "\n", "{}"}, []split.Slice{
			{Offset: 0, Length: 6, FirstLine: 1, Records: 2}, {Offset: 6, Length: 3, FirstLine: 3, Records: 1},
			{File: 3, Offset: 0, Length: 2, FirstLine: 1, Records: 1}}},
		"header only": {"csv", 1, []string{"h\n", "", "h"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got := slices(t, input(t, t.TempDir(), test.format, test.texts...), test.rows); !reflect.DeepEqual(got, test.want) {
				t.Errorf("got  %+v\nwant %+v", got, test.want)
			}
		})
	}
}

func TestRowsMustBePositive(t *testing.T) {
	if err := split.File(context.Background(), inputs, 0, source.File{Format: "csv"}, split.Options{}, nil); err == nil {
		t.Error("0 rows were fine")
	}
}

func TestAnErrorOfEmitEndsTheSplit(t *testing.T) {
	stop, calls := errors.New("stop"), 0
	err := splitAll(context.Background(), input(t, t.TempDir(), "csv", "h\n1\n2\n3\n"), 1, func(split.Slice) error {
		calls++
		return stop
	})
	if !errors.Is(err, stop) || calls != 1 {
		t.Errorf("got %v after %d calls", err, calls)
	}
}

func TestSplitEndsWithItsContext(t *testing.T) {
	files := input(t, t.TempDir(), "csv", "h\n"+strings.Repeat("1\n", 1<<20))
	ctx, cancel := context.WithCancel(context.Background())
	slices := 0
	err := splitAll(ctx, files, 1, func(split.Slice) error {
		slices++
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) || slices > 1<<18 {
		t.Errorf("got %v after %d slices", err, slices)
	}
}

func TestAFileThatChangesIsNoInput(t *testing.T) {
	grow := func(path string) {
		file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, err = file.WriteString("4\n")
		if err := errors.Join(err, file.Close()); err != nil {
			t.Fatal(err)
		}
	}
	truncate := func(path string) {
		if err := os.Truncate(path, 3); err != nil {
			t.Fatal(err)
		}
	}
	for name, change := range map[string]func(string){"grown": grow, "cut": truncate} {
		before := input(t, t.TempDir(), "csv", "h\n1\n2\n3\n")
		change(before[0].Path)
		wantChanged(t, name+" before", splitAll(context.Background(), before, 1, func(split.Slice) error { return nil }))

		during := input(t, t.TempDir(), "csv", "h\n1\n2\n3\n")
		once := change
		wantChanged(t, name+" meanwhile", splitAll(context.Background(), during, 1, func(split.Slice) error {
			if once != nil {
				once(during[0].Path)
				once = nil
			}
			return nil
		}))
	}
}

func wantChanged(t *testing.T, when string, err error) {
	t.Helper()
	if failure, ok := errors.AsType[*api.Failure](err); !ok || failure.Reason != "input_changed" {
		t.Errorf("%s: got %v, want input_changed", when, err)
	}
}

// For any content and any number of rows: the slices tile the file, each but
// the last holds as many records as asked for, and read one by one they give
// the records, with their lines, that reading through gives.
func TestSlicesTileTheFile(t *testing.T) {
	dir := t.TempDir()
	for format, alphabet := range map[string]string{"csv": "a,\"\n\n\r ", "jsonl": "{}\"\n\n\r 1"} {
		t.Run(format, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				piece := rapid.StringOfN(rapid.RuneFrom([]rune(alphabet)), 0, 60, -1).Draw(t, "piece")
				rows := rapid.Int64Range(1, 5).Draw(t, "rows")
				text := piece
				if rapid.IntRange(0, 9).Draw(t, "size") == 0 { // beyond the buffer of the scan
					text, rows = strings.Repeat(piece, 20_000), 70_001
				}
				if format == "csv" {
					text = "x,y\n" + text
				}
				file := input(t, dir, format, text)[0]
				got := slices(t, []source.File{file}, rows)

				through := records(t, file, file.Start, file.Size-file.Start, file.StartLine)
				offset := file.Start
				var total int64
				var one []line
				for i, s := range got {
					if s.Offset != offset || s.Records > rows || s.Records < rows && i < len(got)-1 {
						t.Fatalf("slice %d of %d is %+v, offset %d wanted", i, len(got), s, offset)
					}
					offset += s.Length
					total += s.Records
					part := records(t, file, s.Offset, s.Length, s.FirstLine)
					if int64(len(part)) != s.Records {
						t.Fatalf("slice %+v yields %d records", s, len(part))
					}
					one = append(one, part...)
				}
				if len(got) > 0 && offset != file.Size {
					t.Fatalf("the slices end at %d of %d", offset, file.Size)
				}
				if total != int64(len(through)) || !reflect.DeepEqual(one, through) {
					t.Fatalf("slices give %d records, reading through %d", len(one), len(through))
				}
			})
		})
	}
}

// For any content: what is left out and the slices cut around it give, together,
// each record once.
func TestSlicesAroundWhatIsLeftOut(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		piece := rapid.StringOfN(rapid.RuneFrom([]rune("a,\"\n\n\r ")), 0, 60, -1).Draw(t, "piece")
		planned, rows := rapid.Int64Range(1, 5).Draw(t, "rows of the spans"), rapid.Int64Range(1, 5).Draw(t, "rows")
		text := "x,y\n" + piece
		if rapid.IntRange(0, 9).Draw(t, "size") == 0 { // beyond the buffer of the scan
			text, planned, rows = "x,y\n"+strings.Repeat(piece, 20_000), 60_001, 7_001
		}
		file := input(t, dir, "csv", text)[0]
		var together []line
		var spans []split.Span
		for _, s := range slices(t, []source.File{file}, planned) {
			if rapid.Bool().Draw(t, "left out") {
				spans = append(spans, split.Span{Offset: s.Offset, Length: s.Length})
				together = append(together, records(t, file, s.Offset, s.Length, s.FirstLine)...)
			}
		}
		if err := split.File(t.Context(), inputs, 0, file, split.Options{Rows: rows, Around: spans}, func(s split.Slice) error {
			part := records(t, file, s.Offset, s.Length, s.FirstLine)
			if int64(len(part)) != s.Records || s.Records > rows {
				t.Fatalf("slice %+v yields %d records", s, len(part))
			}
			together = append(together, part...)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		sort.Slice(together, func(i, j int) bool { return together[i].number < together[j].number })
		if through := records(t, file, file.Start, file.Size-file.Start, file.StartLine); !reflect.DeepEqual(together, through) {
			t.Fatalf("together they give %d records, reading through %d", len(together), len(through))
		}
	})
}

type line struct {
	number int64
	raw    string
	bad    bool
}

func records(t fataler, file source.File, offset, length, firstLine int64) []line {
	opened, err := inputs.Open(context.Background(), file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = opened.Close() }()
	reader, err := opened.Records(source.Stretch{Offset: offset, Length: length, FirstLine: firstLine}, nil)
	if err != nil {
		if file.Header == nil { // a CSV file of nothing
			return nil
		}
		t.Fatal(err)
	}
	var all []line
	for {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, line{record.Line, string(record.Raw), record.Bad != nil})
	}
}

// The checksum of a new file comes with the split: all of the file, header and
// all, whatever the framing makes of it.
func TestTheWholeFileIsSummedUpInTheSamePass(t *testing.T) {
	for _, text := range []string{"", "h", "h\n1\n2\n3\n", "\uFEFFh\n1\n\n\n2", "h\n" + strings.Repeat("123456\n", 100_000)} {
		file := input(t, t.TempDir(), "csv", text)[0]
		var seen strings.Builder
		var summed []split.Slice
		if err := split.File(t.Context(), inputs, 7, file, split.Options{Rows: 2, Sum: &seen}, func(s split.Slice) error {
			s.File -= 7
			summed = append(summed, s)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if seen.String() != text {
			t.Errorf("summed up %d bytes of %d", seen.Len(), len(text))
		}
		if plain := slices(t, []source.File{file}, 2); !reflect.DeepEqual(summed, plain) {
			t.Errorf("cut into %v, without a sum into %v", summed, plain)
		}
	}
}
