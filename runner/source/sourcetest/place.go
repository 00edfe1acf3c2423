// Package sourcetest holds what every place that input files lie in must do for
// its users, as tests: whatever the place, the format and the compression, the
// records are the same, and what is not the planned file any more is not read.
package sourcetest

import (
	"bytes"
	"compress/gzip"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
)

// Place is an empty place for files.
type Place struct {
	// Root is what the paths of its files begin with, without a slash at the end.
	Root string
	// Inputs are those of a run that reads there.
	Inputs *source.Inputs
	// Write puts a file there, whether or not one was.
	Write func(t *testing.T, name string, content []byte)
	// Remove takes it away again.
	Remove func(t *testing.T, name string)
}

// Conforms checks a kind of place; each check gets an empty one.
func Conforms(t *testing.T, empty func(t *testing.T) Place) {
	for name, check := range map[string]func(*testing.T, Place){
		"records are the same in every format and compression": sameRecords,
		"CSV of others is read as it is described":             foreignCSV,
		"files come in the order of their names":               inOrder,
		"a file that changes after planning is not read":       notChanged,
		"a file that goes after planning is not read":          notGone,
		"what is not there is missing":                         missing,
		"each file is taken once":                              takenOnce,
		"a file waits for its marker":                          waitsForMarker,
		"folders name columns":                                 foldersNameColumns,
		"a broken file says what is wrong with it":             brokenFiles,
		"a look copies nothing":                                looks,
		"an input is waited for":                               waitsFor,
	} {
		t.Run(name, func(t *testing.T) { check(t, empty(t)) })
	}
}

// occasion is that of the runs in the tests.
var occasion = api.Occasion{Occurrence: time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC), Run: "r1"}

// files is an input of the place.
func (p Place) files(name, fileFormat, compression string) api.Input {
	return api.Input{Files: &api.InputFiles{URI: p.Root + "/" + name, Format: fileFormat, Compression: compression}}
}

func (p Place) find(t *testing.T, in api.Input, columns ...string) []source.File {
	t.Helper()
	files, err := p.Inputs.Find(t.Context(), in, occasion, columns)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// columns are those of the records of the tests.
var columns = []api.Column{{Name: "id", Type: api.TypeInt64}, {Name: "text", Type: api.TypeString}, {Name: "x", Type: api.TypeDouble}}

// record is one of them, as a user writes it down.
func record(id, text, x string) []format.Value {
	quoted := format.Value{Bytes: []byte(text)}
	return []format.Value{{Bytes: []byte(id), JSON: true}, quoted, {Bytes: []byte(x), JSON: true}}
}

// encode writes records as a file.
func encode(t *testing.T, fileFormat, compression string, records [][]format.Value) []byte {
	t.Helper()
	var plain bytes.Buffer
	w, err := format.NewWriter(fileFormat, &plain, columns)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return compress(t, compression, plain.Bytes())
}

func compress(t *testing.T, compression string, plain []byte) []byte {
	t.Helper()
	var packed bytes.Buffer
	switch compression {
	case api.CompressionGzip:
		w := gzip.NewWriter(&packed)
		if _, err := w.Write(plain); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	case api.CompressionZstd:
		w, err := zstd.NewWriter(nil)
		if err != nil {
			t.Fatal(err)
		}
		return w.EncodeAll(plain, nil)
	default:
		return plain
	}
	return packed.Bytes()
}
