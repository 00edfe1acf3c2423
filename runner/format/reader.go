package format

import (
	"fmt"
	"io"
	"slices"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// Record is one record of an input.
type Record struct {
	// Line is the physical line the record begins on, counting from 1.
	Line int64
	// Raw is the record as it stands in the input, without its line end; of a
	// record above MaxRecord, its beginning. Valid until the next Read.
	Raw []byte
	// Values are the projected columns, in their order. Valid until the next
	// Read.
	Values []Value
	// Bad says why this one record cannot be used; Values is nil then.
	Bad error
}

// Reader reads records.
type Reader interface {
	// Read gives the next record, or io.EOF after the last. The record is
	// reused by the next Read.
	Read() (*Record, error)
}

// Options say how the files of an input are written.
type Options struct {
	Format string
	// Header tells whether CSV files begin with the names of their columns;
	// Columns are those names where they do not.
	Header  bool
	Columns []string
	// Nulls are the texts of CSV cells without quotes that stand for no value:
	// they are read as JSON null.
	Nulls []string
}

// NewReader reads the CSV or JSONL records of r, which begins at a record on
// physical line firstLine, projected to the named columns. CSV needs the header
// that ReadPreamble gave. Parquet is read by OpenParquet.
func NewReader(o Options, r io.Reader, header, project []string, firstLine int64) (Reader, error) {
	records, err := newFrames(o.Format, r, firstLine)
	if err != nil {
		return nil, err
	}
	if o.Format == api.FormatCSV {
		return newCSVReader(records, header, project, o.Nulls)
	}
	return newJSONLReader(records, project), nil
}

// projection maps columns to the places they have in Values. A column that is
// asked for twice is looked for once.
type projection struct {
	columns []string // each wanted column once; the first len(columns) slots are theirs
	source  []int    // for each of Values, the slot it is taken from; nil where they are the slots
	slots   []Value
	values  []Value
}

func newProjection(project []string) *projection {
	p := &projection{values: make([]Value, len(project))}
	for _, name := range project {
		slot := slices.Index(p.columns, name)
		if slot < 0 {
			slot = len(p.columns)
			p.columns = append(p.columns, name)
		}
		p.source = append(p.source, slot)
	}
	p.slots = make([]Value, len(p.columns))
	if len(p.columns) == len(project) { // each once: no need to copy
		p.values, p.source = p.slots, nil
	}
	return p
}

func (p *projection) project() []Value {
	for i, slot := range p.source {
		p.values[i] = p.slots[slot]
	}
	return p.values
}

// missing names the first wanted column that is not among the known ones.
func (p *projection) missing(known []string) error {
	for _, name := range p.columns {
		if !slices.Contains(known, name) {
			return fmt.Errorf("the header has no column %q", name)
		}
	}
	return nil
}
