package format

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	parquetformat "github.com/parquet-go/parquet-go/format"
)

// readFooter decodes the footer, once all sizes in it are found to be true, and
// gives the place where it begins.
func readFooter(r io.ReaderAt, size int64) (*parquetformat.FileMetaData, int64, error) {
	start, err := footerStart(r, size)
	if err != nil {
		return nil, 0, err
	}
	footer := make([]byte, size-parquetTail-start)
	if err := readFullAt(r, footer, start); err != nil {
		return nil, 0, err
	}
	n, err := thriftSize(footer)
	if err == nil && n < len(footer) {
		err = errThriftBad
	}
	if err != nil {
		return nil, 0, fmt.Errorf("is not a sound Parquet file: its footer %w, at byte %d", err, start+int64(n))
	}
	metadata := new(parquetformat.FileMetaData)
	if err := thrift.Unmarshal(&thrift.CompactProtocol{}, footer, metadata); err != nil {
		return nil, 0, fmt.Errorf("is not a sound Parquet file: its footer cannot be decoded: %w", err)
	}
	return metadata, start, nil
}

func footerStart(r io.ReaderAt, size int64) (int64, error) {
	if size < int64(len(parquetMagic)+parquetTail) {
		return 0, fmt.Errorf("%w; it has only %d bytes", sniffed(r, size), size)
	}
	head, tail := make([]byte, len(parquetMagic)), make([]byte, parquetTail)
	if err := errors.Join(readFullAt(r, head, 0), readFullAt(r, tail, size-parquetTail)); err != nil {
		return 0, err
	}
	switch magic := string(tail[4:]); {
	case magic == "PARE" || string(head) == "PARE":
		return 0, errors.New("is an encrypted Parquet file; write it without encryption")
	case string(head) != parquetMagic:
		return 0, sniffed(r, size)
	case magic != parquetMagic:
		return 0, fmt.Errorf("is a Parquet file that is cut short: it ends with %q and not with %q", magic, parquetMagic)
	}
	length := int64(binary.LittleEndian.Uint32(tail))
	if length > size-parquetTail-int64(len(parquetMagic)) {
		return 0, fmt.Errorf("is not a sound Parquet file: its footer should take %d bytes of a file of %d", length, size)
	}
	return size - parquetTail - length, nil
}

// sniffed is the error that says what a file is that is not Parquet.
func sniffed(r io.ReaderAt, size int64) error {
	start := make([]byte, min(size, seemsSize))
	if err := readFullAt(r, start, 0); err != nil {
		return err
	}
	return notParquet(start)
}

// maxColumnDepth is how deep columns may be nested.
const maxColumnDepth = 100

// countLeaves walks the schema, which is written depth first.
func countLeaves(elements []parquetformat.SchemaElement) (int, error) {
	leaves := 0
	var open []int32 // for each group around, how many of its children are to come
	for i := range elements {
		if len(open) > maxColumnDepth {
			return 0, fmt.Errorf("column %q is nested more than %d levels deep", elements[i].Name, maxColumnDepth)
		}
		if elements[i].Type.Valid {
			leaves++
		}
		if children := elements[i].NumChildren; children.Valid && children.V > 0 {
			open = append(open, children.V)
			continue
		}
		for last := len(open) - 1; last >= 0; last-- {
			if open[last]--; open[last] > 0 {
				break
			}
			open = open[:last]
		}
	}
	return leaves, nil
}

// readFullAt fills a buffer. An input that ends before is an error, and no
// io.EOF, which is the end of what there is to read.
func readFullAt(r io.ReaderAt, buffer []byte, at int64) error {
	n, err := r.ReadAt(buffer, at)
	switch {
	case n == len(buffer):
		return nil
	case err == nil || errors.Is(err, io.EOF):
		return fmt.Errorf("the input ends after byte %d: %w", at+int64(n), io.ErrUnexpectedEOF)
	default:
		return err
	}
}

// newRewrittenFile is a Parquet file of nothing but a footer.
func newRewrittenFile(metadata *parquetformat.FileMetaData) (*bytes.Reader, error) {
	footer, err := thrift.Marshal(&thrift.CompactProtocol{}, metadata)
	if err != nil {
		return nil, fmt.Errorf("the Parquet footer cannot be used: %w", err)
	}
	file := append([]byte(parquetMagic), footer...)
	file = binary.LittleEndian.AppendUint32(file, uint32(len(footer)))
	return bytes.NewReader(append(file, parquetMagic...)), nil
}
