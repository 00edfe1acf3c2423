package sink

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

// OpenPart reads what a mini-batch has staged (Path is set) or published (it is
// not). Reading ends with io.EOF only if the part is, to the byte, what its row
// says; so what is made of it is good once all of it was read.
func (f *Files) OpenPart(part PublishedPart) (io.ReadCloser, error) {
	path, err := f.find(part)
	if err != nil {
		return nil, err
	}
	return openPart(path, part)
}

// find gives the file of a part, staged or published.
func (f *Files) find(part PublishedPart) (string, error) {
	if part.Path != "" {
		return f.locate(published{}, part)
	}
	now, err := f.published()
	if err != nil {
		return "", err
	}
	return f.locate(now, part)
}

func openPart(path string, part PublishedPart) (*partReader, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read mini-batch %d: %w", part.MiniBatch, err)
	}
	return &partReader{file: file, buffer: bufio.NewReaderSize(file, 1<<16), part: part, digest: sha256.New()}, nil
}

// Records reads a part record by record.
type Records struct {
	part   io.ReadCloser
	reader format.Reader
	line   []byte
}

// OpenRecords is OpenPart record by record; columns are those it was staged
// with.
func (f *Files) OpenRecords(part PublishedPart, columns []api.Column) (*Records, error) {
	path, err := f.find(part)
	if err != nil {
		return nil, err
	}
	return f.openRecords(path, part, columns)
}

func (s *staging) openRecords(path string, part PublishedPart, columns []api.Column) (*Records, error) {
	file, err := openPart(path, part)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(columns))
	for i, column := range columns {
		names[i] = column.Name
	}
	r := &Records{part: file}
	if s.format == api.FormatParquet {
		r.reader, err = file.parquet(names)
	} else {
		r.reader, err = format.NewReader(format.Options{Format: s.format}, file, names, names, 1)
	}
	if err == nil && s.format == api.FormatCSV {
		_, err = r.reader.Read() // the header
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return r, nil
}

// Next gives the next record as it was written, its line end included, and
// io.EOF after the last of a part that is unchanged. It is valid until the
// next call.
func (r *Records) Next() ([]byte, error) {
	record, err := r.read()
	if err != nil {
		return nil, err
	}
	r.line = append(append(r.line[:0], record.Raw...), '\n')
	return r.line, nil
}

// Values is Next, as the columns' values.
func (r *Records) Values() ([]format.Value, error) {
	record, err := r.read()
	if err != nil {
		return nil, err
	}
	return record.Values, nil
}

func (r *Records) read() (*format.Record, error) {
	record, err := r.reader.Read()
	if err == nil {
		err = record.Bad
	}
	return record, err
}

// Close ends the reading.
func (r *Records) Close() error { return r.part.Close() }

// partReader checks a part while it is read.
type partReader struct {
	file   *os.File
	buffer *bufio.Reader
	part   PublishedPart
	digest hash.Hash
	bytes  int64
}

func (r *partReader) Read(p []byte) (int, error) {
	n, err := r.buffer.Read(p)
	r.digest.Write(p[:n])
	r.bytes += int64(n)
	if errors.Is(err, io.EOF) && (r.bytes != r.part.Bytes || hex.EncodeToString(r.digest.Sum(nil)) != r.part.SHA256) {
		return n, fmt.Errorf("read mini-batch %d: %s is not what was written: somebody changed it", r.part.MiniBatch, r.file.Name())
	}
	return n, err
}

// parquet reads the part's rows. A file of that format ends with what tells
// where they are, and so all of it is checked before.
func (r *partReader) parquet(columns []string) (format.Reader, error) {
	if _, err := io.Copy(io.Discard, r); err != nil {
		return nil, err
	}
	file, err := format.OpenParquet(r.file, r.part.Bytes)
	if err != nil {
		return nil, err
	}
	return file.Read(0, file.Rows(), columns)
}

// Close implements io.Closer.
func (r *partReader) Close() error { return r.file.Close() }
