package format

import (
	"errors"
	"fmt"
	"slices"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	parquetformat "github.com/parquet-go/parquet-go/format"
)

// pageHeader decodes the header of the next page, and gives its size. All its
// numbers are possible.
func (s *pageStream) pageHeader() (*parquetformat.PageHeader, int64, error) {
	header, size, err := s.decodeHeader()
	if err == nil {
		err = s.checkHeader(header, s.end-s.at-size)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("its page at byte %d: %w", s.at, err)
	}
	return header, size, nil
}

func (s *pageStream) decodeHeader() (*parquetformat.PageHeader, int64, error) {
	for length := int64(pageHeaderSize); ; length *= 4 {
		s.head = slices.Grow(s.head[:0], int(length))[:min(length, s.end-s.at)]
		if err := readFullAt(s.source, s.head, s.at); err != nil {
			return nil, 0, err
		}
		size, err := thriftSize(s.head)
		if errors.Is(err, errThriftCut) && int64(len(s.head)) == length && length < maxPageHeaderSize {
			continue
		}
		if err != nil {
			return nil, 0, fmt.Errorf("its header %w", err)
		}
		header := new(parquetformat.PageHeader)
		err = thrift.Unmarshal(&thrift.CompactProtocol{}, s.head[:size], header)
		return header, int64(size), err
	}
}

func (s *pageStream) checkHeader(header *parquetformat.PageHeader, left int64) error {
	compressed, plain := int64(header.CompressedPageSize), int64(header.UncompressedPageSize)
	switch {
	case compressed < 0 || compressed > left:
		return fmt.Errorf("it should have %d bytes, where %d are left", compressed, left)
	case plain < 0 || plain > maxPageSize:
		return fmt.Errorf("it should have %d bytes; no page may have more than %d MiB", plain, maxPageSize>>20)
	}
	sound := true
	switch header.Type {
	case parquetformat.DataPage:
		sound = header.DataPageHeader.Valid
	case parquetformat.DictionaryPage:
		sound = header.DictionaryPageHeader.Valid
	case parquetformat.DataPageV2:
		v2 := &header.DataPageHeaderV2.V
		levels := int64(v2.RepetitionLevelsByteLength) + int64(v2.DefinitionLevelsByteLength)
		sound = header.DataPageHeaderV2.Valid && v2.RepetitionLevelsByteLength >= 0 && v2.DefinitionLevelsByteLength >= 0 &&
			levels <= compressed && levels <= plain && v2.NumRows >= 0 && v2.NumNulls >= 0 && v2.NumNulls <= v2.NumValues
	}
	if !sound {
		return errors.New("its header contradicts itself")
	}
	if n := pageValues(header); n < 0 || n > s.valuesLeft || n > maxPageValues {
		return fmt.Errorf("it should have %d values, where %d are left", n, s.valuesLeft)
	}
	return nil
}

// pageValues is the number of values of a data page, nulls included.
func pageValues(header *parquetformat.PageHeader) int64 {
	switch header.Type {
	case parquetformat.DataPage:
		return int64(header.DataPageHeader.V.NumValues)
	case parquetformat.DataPageV2:
		return int64(header.DataPageHeaderV2.V.NumValues)
	default:
		return 0
	}
}
