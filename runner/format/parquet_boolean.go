package format

import (
	"encoding/binary"

	"github.com/parquet-go/parquet-go"
	parquetformat "github.com/parquet-go/parquet-go/format"
)

// plainBooleans rewrites a page of booleans in runs, which begin at values, as
// one of plain bits. The library takes a run of ones for bytes of 1, and has
// each run begin with a byte of its own.
func plainBooleans(column *parquet.Column, header *parquetformat.PageHeader, data []byte, values int) ([]byte, error) {
	encoding, count := &header.DataPageHeader.V.Encoding, pageValues(header)
	if header.Type == parquetformat.DataPageV2 {
		encoding = &header.DataPageHeaderV2.V.Encoding
	}
	if header.Type == parquetformat.DictionaryPage || *encoding != parquetformat.RLE || column.Type().Kind() != parquet.Boolean {
		return data, nil
	}
	*encoding = parquetformat.Plain
	if values == len(data) { // nulls only
		return data, nil
	}
	bits, err := unpackRuns(data[values:], count)
	return append(data[:values:values], bits...), err
}

// unpackRuns gives the bits of runs, about as many as there should be values:
// the last eight may not be full.
func unpackRuns(data []byte, values int64) ([]byte, error) {
	const prefix, group = 4, 8
	if len(data) < prefix || uint64(binary.LittleEndian.Uint32(data)) > uint64(len(data)-prefix) {
		return nil, errRuns
	}
	data = data[prefix : prefix+binary.LittleEndian.Uint32(data)]
	var bits bitWriter
	for len(data) > 0 {
		head, n := binary.Uvarint(data)
		if n <= 0 {
			return nil, errRuns
		}
		data = data[n:]
		run := head >> 1
		if head&1 == 1 {
			packed := data[:min(run, uint64(len(data)))]
			for _, b := range packed {
				bits.write(b, group)
			}
			data = data[len(packed):]
			continue
		}
		if run == 0 {
			continue
		}
		if len(data) == 0 || run > uint64(values) || bits.count > values {
			return nil, errRuns
		}
		repeated := -(data[0] & 1) // all bits of a byte
		for ; run > 0; run -= min(run, group) {
			bits.write(repeated, int(min(run, group)))
		}
		data = data[1:]
	}
	return bits.bytes, nil
}

// bitWriter puts bits together, a byte's lowest first.
type bitWriter struct {
	bytes []byte
	count int64
}

// write appends the n lowest bits of b, at most eight.
func (w *bitWriter) write(b byte, n int) {
	b &= 0xff >> (8 - n)
	used := int(w.count % 8)
	if used == 0 {
		w.bytes = append(w.bytes, b)
	} else {
		w.bytes[len(w.bytes)-1] |= b << used
		if used+n > 8 {
			w.bytes = append(w.bytes, b>>(8-used))
		}
	}
	w.count += int64(n)
}
