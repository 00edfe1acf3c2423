package format_test

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

var (
	irisHeader = []string{"id", "sepal_length", "sepal_width", "petal_length", "petal_width", "species"}
	irisWanted = irisHeader[1:5]
)

const (
	irisCSV    = "1017,5.1,3.5,1.4,0.2,setosa\n"
	irisQuoted = "1017,5.1,3.5,1.4,0.2,\"setosa, \"\"wild\"\"\"\n"
	irisJSONL  = `{"id":1017,"sepal_length":5.1,"sepal_width":3.5,"petal_length":1.4,"petal_width":0.2,"species":"setosa"}` + "\n"
)

// A record costs no allocation, read or written: a run's memory and collector
// work must not grow with its input.
func TestRecordsAreNotAllocated(t *testing.T) {
	for name, record := range map[string]string{"csv": irisCSV + irisQuoted, "jsonl": irisJSONL} {
		reader := newReader(t, name, &endless{text: []byte(strings.Repeat(record, 1000))}, irisHeader, irisWanted)
		writer, err := format.NewWriter(name, io.Discard, named(irisWanted...))
		if err != nil {
			t.Fatal(err)
		}
		step := func() {
			record, err := reader.Read()
			if err != nil || record.Bad != nil {
				t.Fatal(err, record)
			}
			if err := writer.Write(record.Values); err != nil {
				t.Fatal(err)
			}
		}
		for range 10_000 { // until the buffers have their size
			step()
		}
		if allocated := testing.AllocsPerRun(10_000, step); allocated != 0 {
			t.Errorf("%s: %v allocations for a record", name, allocated)
		}
	}
}

// endless repeats its text.
type endless struct {
	text []byte
	rest bytes.Reader
}

func (e *endless) Read(to []byte) (int, error) {
	if e.rest.Len() == 0 {
		e.rest.Reset(e.text)
	}
	return e.rest.Read(to)
}
