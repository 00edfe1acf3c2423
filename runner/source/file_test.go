package source_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"reflect"
	"testing"
	"time"

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
	reader, err := opened.Records(8, int64(len("2,\"y\nz\"\n")), 3, []string{"b"})
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
	if _, err := opened.Records(8, 8, 3, []string{"c"}); err == nil {
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
