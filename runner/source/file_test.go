package source_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
)

func TestAFileOpensWhileItIsTheSame(t *testing.T) {
	dir := folder(t, map[string]string{"a.csv": "a,b\n1,x\n2,\"y\nz\"\n3,w\n"})
	stored, err := json.Marshal(find(t, dir+"/a.csv", "csv")[0])
	if err != nil {
		t.Fatal(err)
	}
	var file source.File // as it comes back from the stored plan
	if err := json.Unmarshal(stored, &file); err != nil {
		t.Fatal(err)
	}
	if err := inputs.Check(t.Context(), file); err != nil {
		t.Errorf("check: %v", err)
	}
	opened, err := inputs.Open(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = opened.Close() }()
	reader, err := opened.Records(source.Stretch{Offset: 8, Length: int64(len("2,\"y\nz\"\n")), FirstLine: 3}, []string{"b"})
	if err != nil {
		t.Fatal(err)
	}
	record, err := reader.Read()
	if err != nil || record.Bad != nil || record.Line != 3 || string(record.Values[0].Bytes) != "y\nz" {
		t.Errorf("read %+v, %v", record, err)
	}
	if _, err := reader.Read(); !errors.Is(err, io.EOF) {
		t.Errorf("behind the slice: %v", err)
	}
	if _, err := opened.Records(source.Stretch{Offset: 8, Length: 8, FirstLine: 3}, []string{"c"}); err == nil {
		t.Error("a column that is not there was taken")
	}
}

func TestAChangedFileIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		change func(t *testing.T, path string)
		text   string
	}{
		"grown": {func(t *testing.T, path string) { write(t, path, "a\n1\n2\n") }, "size was 4 bytes and is 6"},
		"rewritten": {func(t *testing.T, path string) {
			write(t, path, "a\n2\n")
			touch(t, path, time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC))
		}, "is 2026-01-02T03:04:05.000000006Z"},
		"replaced": {func(t *testing.T, path string) {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			write(t, path+".new", "a\n1\n")
			touch(t, path+".new", info.ModTime())
			if err := os.Rename(path+".new", path); err != nil {
				t.Fatal(err)
			}
		}, "another file under the same name"},
		"removed": {func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}, "it is gone"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := folder(t, map[string]string{"a.csv": "a\n1\n"})
			file := find(t, dir+"/a.csv", "csv")[0]
			test.change(t, file.Path)
			_, err := inputs.Open(t.Context(), file)
			wantFailure(t, err, "input_changed", file.Path, "changed after the run was planned", test.text, "start a new run")
			if again := inputs.Check(t.Context(), file); !reflect.DeepEqual(again.Error(), err.Error()) {
				t.Errorf("check says %v, open says %v", again, err)
			}
		})
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func touch(t *testing.T, path string, at time.Time) {
	t.Helper()
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

func TestAMissingColumnIsToldWithWhatExplainsIt(t *testing.T) {
	for _, c := range []struct {
		columns, wanted []string
		says, remedy    string
	}{
		{[]string{"id", "age"}, []string{"id", "tenure", "spend", "tenure"}, `has no column "tenure", "spend"; it has "id", "age"`, "correct the name in input.key"},
		{[]string{"id;age"}, []string{"id"}, `it has "id;age"`, `separated by ';'`},
		{[]string{"ID ", "age"}, []string{"id"}, `no column "id"`, `write "ID " instead of "id"`},
		{[]string{}, []string{"id"}, `no column "id"`, "correct the name"},
	} {
		err := source.File{Path: "in.csv", Header: c.columns}.CheckColumns(c.wanted)
		failure, ok := errors.AsType[*api.Failure](err)
		if !ok || !strings.Contains(failure.Err.Error(), c.says) || !strings.Contains(failure.Hint, c.remedy) {
			t.Errorf("%q of %q: %v", c.wanted, c.columns, err)
		}
	}
}

// A stretch with a checksum is read to its end only where its bytes are those
// that were planned, though size and time say nothing.
func TestAChecksumTellsWhatWasRewrittenInPlace(t *testing.T) {
	for form, content := range map[string]string{api.FormatCSV: "id\n1\n2\n", api.FormatJSONL: `{"id":1}` + "\n"} {
		t.Run(form, func(t *testing.T) {
			path := folder(t, map[string]string{"a": content}) + "/a"
			touch(t, path, time.Unix(1_800_000_000, 0))
			file := find(t, path, form)[0]
			sum := format.AddChecksum(0, []byte(content[file.Start:]))
			read := func() error {
				opened, err := inputs.Open(t.Context(), file)
				if err != nil {
					return err
				}
				defer opened.Close() //nolint:errcheck // read only
				stretch := source.Stretch{Offset: file.Start, Length: file.Size - file.Start, FirstLine: file.StartLine, Checksum: &sum}
				reader, err := opened.Records(stretch, []string{"id"})
				for err == nil {
					_, err = reader.Read()
				}
				return err
			}
			if err := read(); !errors.Is(err, io.EOF) {
				t.Fatalf("what was planned is read with %v", err)
			}
			write(t, path, strings.Replace(content, "1", "7", 1))
			touch(t, path, time.Unix(1_800_000_000, 0))
			err := read()
			if failure, ok := errors.AsType[*api.Failure](err); !ok || failure.Reason != api.Reason(api.ClassInputChanged) || !strings.Contains(err.Error(), path) {
				t.Errorf("what was rewritten is read with %v", err)
			}
		})
	}
}
