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
	now := published{}
	if part.Path == "" {
		var err error
		if now, err = f.published(); err != nil {
			return nil, err
		}
	}
	path, err := f.locate(now, part)
	if err != nil {
		return nil, err
	}
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
func (f *Files) OpenRecords(part PublishedPart, columns []string) (*Records, error) {
	file, err := f.OpenPart(part)
	if err != nil {
		return nil, err
	}
	r := &Records{part: file}
	if r.reader, err = format.NewReader(f.format, file, columns, nil, 1); err == nil && f.format == api.FormatCSV {
		_, err = r.Next() // the header
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
	record, err := r.reader.Read()
	if err == nil {
		err = record.Bad
	}
	if err != nil {
		return nil, err
	}
	r.line = append(append(r.line[:0], record.Raw...), '\n')
	return r.line, nil
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

// Close implements io.Closer.
func (r *partReader) Close() error { return r.file.Close() }
