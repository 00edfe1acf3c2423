package split_test

import (
	"bytes"
	"context"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/batchpattern/terraform-provider-batch/runner/format"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
	"github.com/batchpattern/terraform-provider-batch/runner/split"
)

func checkedSlices(t fataler, file source.File, o split.Options) (got []split.Slice) {
	o.Checksum = true
	err := split.File(context.Background(), inputs, 0, file, o, func(s split.Slice) error {
		got = append(got, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// A slice's checksum is that of its bytes, those of the blank lines that were
// added to it included, wherever reading the file happens to pause.
func TestASliceTellsTheChecksumOfItsBytes(t *testing.T) {
	castagnoli := crc32.MakeTable(crc32.Castagnoli)
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		line := rapid.SampledFrom([]string{"", "", "\r", "1,2", "\"a\nb\",3", strings.Repeat("long ", 70_000) + ",4"})
		lines := rapid.SliceOfN(line, 0, 30).Draw(t, "lines")
		text := "a,b\n" + strings.Join(lines, "\n")
		file := input(t, dir, "csv", text)[0]
		o := split.Options{Rows: rapid.Int64Range(1, 5).Draw(t, "rows")}
		at := file.Start
		for _, s := range checkedSlices(t, file, o) {
			if s.Offset != at {
				t.Fatalf("a slice begins at %d, and the one before ended at %d", s.Offset, at)
			}
			at += s.Length
			data := text[s.Offset : s.Offset+s.Length]
			if want := crc32.Checksum([]byte(data), castagnoli); s.Checksum == nil || *s.Checksum != want {
				t.Fatalf("the checksum of %q is %v, want %d", data, s.Checksum, want)
			}
			if got, err := io.ReadAll(format.Checked(strings.NewReader(data), *s.Checksum)); err != nil || string(got) != data {
				t.Fatalf("a sound slice gives %q, %v", got, err)
			}
			changed := bytes.Clone([]byte(data))
			changed[rapid.IntRange(0, len(changed)-1).Draw(t, "byte")] ^= 1
			if _, err := io.ReadAll(format.Checked(bytes.NewReader(changed), *s.Checksum)); !errors.Is(err, format.ErrChecksum) {
				t.Fatalf("a changed slice gives %v", err)
			}
		}
	})
}

// Slices of a Parquet file tell when their row group was changed, and no other.
func TestASliceOfRowsTellsTheChecksumOfItsRowGroups(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "format", "testdata", "codec_none.parquet")) // 130, 130 and 40 rows
	if err != nil {
		t.Fatal(err)
	}
	file := input(t, t.TempDir(), "parquet", string(data))[0]
	slices := checkedSlices(t, file, split.Options{Rows: 65})
	changed := func(data []byte) (got []bool) {
		p, err := format.OpenParquet(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range slices {
			sum, err := p.Checksum(s.Offset, s.Length)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, sum != *s.Checksum)
		}
		return got
	}
	if got, want := changed(data), []bool{false, false, false, false, false}; !reflect.DeepEqual(got, want) {
		t.Errorf("of a sound file, slices are changed: %v", got)
	}
	at := bytes.Index(data, []byte("row 200"))
	data[at] = 'R'
	if got, want := changed(data), []bool{false, false, true, true, false}; !reflect.DeepEqual(got, want) {
		t.Errorf("after a change in row 200, slices are changed: %v, want %v", got, want)
	}
}
