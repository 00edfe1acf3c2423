package format_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

// tooLarge is what makes a record above format.MaxRecord bad.
const tooLarge = "is larger than 16 MiB, which no record may be; keep what is so large in a file of its own, and its name in the record"

// read is what a test compares of one record: "line: a|b", or "line! why".
func read(t testing.TB, reader format.Reader) []string {
	t.Helper()
	var got []string
	for {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		if record.Bad != nil {
			if record.Values != nil {
				t.Errorf("line %d is bad and has values", record.Line)
			}
			got = append(got, fmt.Sprintf("%d! %v", record.Line, record.Bad))
			continue
		}
		var cells []string
		for _, value := range record.Values {
			cells = append(cells, string(value.Bytes))
		}
		got = append(got, fmt.Sprintf("%d: %s", record.Line, strings.Join(cells, "|")))
	}
}

func newReader(t testing.TB, fileFormat string, r io.Reader, header, project []string) format.Reader {
	t.Helper()
	reader, err := format.NewReader(format.Options{Format: fileFormat}, r, header, project, 1)
	if err != nil {
		t.Fatal(err)
	}
	return reader
}

// pieces hands out its text in pieces of the given sizes, over and over.
type pieces struct {
	text  string
	sizes []byte
	turn  int
}

func (p *pieces) Read(to []byte) (int, error) {
	if p.text == "" {
		return 0, io.EOF
	}
	size := 1
	if len(p.sizes) > 0 {
		size = 1 + int(p.sizes[p.turn%len(p.sizes)])%7
	}
	p.turn++
	n := copy(to[:min(size, len(to))], p.text)
	p.text = p.text[n:]
	return n, nil
}

func named(names ...string) []api.Column {
	columns := make([]api.Column, len(names))
	for i, name := range names {
		columns[i].Name = name
	}
	return columns
}
