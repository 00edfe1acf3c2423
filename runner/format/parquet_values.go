package format

import (
	"bytes"
	"fmt"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding"
)

// leafValues are the values of a page that are not null, or of a dictionary, as
// the library has decoded them: one of the slices is set, by the column's type.
type leafValues struct {
	count   int
	bits    []byte // of booleans
	int32s  []int32
	int64s  []int64
	int96s  []deprecated.Int96
	floats  []float32
	doubles []float64
	data    []byte   // of byte arrays,
	offsets []uint32 // where each begins, and the last one ends;
	size    int      // or the size of all of them
}

func valuesOf(data encoding.Values) (v leafValues) {
	switch data.Kind() {
	case encoding.Boolean:
		v.bits = data.Boolean()
		v.count = 8 * len(v.bits)
	case encoding.Int32:
		v.int32s = data.Int32()
		v.count = len(v.int32s)
	case encoding.Int64:
		v.int64s = data.Int64()
		v.count = len(v.int64s)
	case encoding.Int96:
		v.int96s = data.Int96()
		v.count = len(v.int96s)
	case encoding.Float:
		v.floats = data.Float()
		v.count = len(v.floats)
	case encoding.Double:
		v.doubles = data.Double()
		v.count = len(v.doubles)
	case encoding.ByteArray:
		v.data, v.offsets = data.ByteArray()
		v.count = max(len(v.offsets)-1, 0)
	case encoding.FixedLenByteArray:
		v.data, v.size = data.FixedLenByteArray()
		if v.size > 0 {
			v.count = len(v.data) / v.size
		}
	}
	return v
}

// bytes is a value of a column of byte arrays.
func (v *leafValues) bytes(i int) []byte {
	if v.offsets != nil {
		return v.data[v.offsets[i]:v.offsets[i+1]]
	}
	return v.data[i*v.size : (i+1)*v.size]
}

// leafPage is a page of one leaf, taken apart, and how far it was read. A value
// may have a definition level, which is the highest where it is not null, and a
// repetition level.
type leafPage struct {
	page       parquet.Page
	size       int64 // in memory
	levels     int   // how many values and nulls it has
	definition []byte
	repetition []byte
	highest    byte
	indexes    []int32 // into values, of a page with a dictionary
	values     leafValues
	onlyNull   bool // the column has no type
	at         int  // the next level
	next       int  // the next value
}

// openPage takes a page apart, once all its values are found to be there.
func openPage(page parquet.Page, highest byte) (leafPage, error) {
	p := leafPage{
		page: page, levels: int(page.NumValues()), highest: highest,
		definition: page.DefinitionLevels(), repetition: page.RepetitionLevels(), size: page.Size(),
	}
	present := p.levels
	if len(p.definition) > 0 {
		present = bytes.Count(p.definition, []byte{highest})
	}
	data := page.Data()
	dictionary := page.Dictionary()
	if p.onlyNull = data.Kind() == encoding.Undefined; p.onlyNull {
		return p, nil
	}
	if dictionary == nil {
		p.values = valuesOf(data)
		if p.values.count < present {
			return p, errRuns
		}
		return p, nil
	}
	p.indexes = data.Int32()
	p.values = valuesOf(dictionary.Page().Data())
	p.size += dictionary.Size()
	if len(p.indexes) < present {
		return p, errRuns
	}
	for _, index := range p.indexes[:present] {
		if uint32(index) >= uint32(p.values.count) {
			return p, fmt.Errorf("it has value %d of a dictionary of %d", index, p.values.count)
		}
	}
	return p, nil
}

// null tells whether the next value is absent.
func (p *leafPage) null() bool {
	return p.onlyNull || len(p.definition) > 0 && p.definition[p.at] != p.highest
}

// value is the place of the next value, which is not null, in values.
func (p *leafPage) value() int {
	if p.indexes != nil {
		return int(p.indexes[p.next])
	}
	return p.next
}

// take moves behind the next value.
func (p *leafPage) take() {
	if !p.null() {
		p.next++
	}
	p.at++
}

// skip moves behind n values.
func (p *leafPage) skip(n int) {
	present := n
	if len(p.definition) > 0 {
		present = bytes.Count(p.definition[p.at:p.at+n], []byte{p.highest})
	}
	p.at, p.next = p.at+n, p.next+present
}

// definitionLevel is how much of its path the next value has. Columns that are
// always there write down none.
func (p *leafPage) definitionLevel() int {
	if len(p.definition) == 0 {
		return int(p.highest)
	}
	return int(p.definition[p.at])
}

// repetitionLevel is which list the next value goes on with; 0: it begins a row.
func (p *leafPage) repetitionLevel() int {
	if len(p.repetition) == 0 {
		return 0
	}
	return int(p.repetition[p.at])
}
