package sink

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"iter"
	"os"
	"path/filepath"

	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

// layMerged makes one file of all parts that get the same name, in the order of
// their first ones. A file that would hold no record is not made, but where there
// is none at all: readers of an empty output find what they look for, with its
// columns, as far as these are known.
func (f *Files) layMerged(now published, p Publication, all []string, nameOf func(PublishedPart) (string, error)) ([]ManifestPart, error) {
	var names []string
	if len(p.Parts) == 0 && len(p.Columns) > 0 {
		names = all
	}
	parts := map[string][]PublishedPart{}
	for _, part := range p.Parts {
		name, err := nameOf(part)
		if err != nil {
			return nil, err
		}
		if len(parts[name]) == 0 {
			names = append(names, name)
		}
		parts[name] = append(parts[name], part)
	}
	laid := make([]ManifestPart, 0, len(names))
	for _, name := range names {
		file, err := f.merge(now, name, p, parts[name])
		if err != nil {
			return nil, err
		}
		laid = append(laid, file)
	}
	return laid, nil
}

// merge makes one file of parts.
func (f *Files) merge(now published, name string, p Publication, parts []PublishedPart) (ManifestPart, error) {
	if len(p.Columns) == 0 {
		return ManifestPart{}, errors.New("the publication names no columns")
	}
	sum := newSummed(nil)
	err := f.create(filepath.Join(f.publishing(), name), func(w io.Writer) error {
		sum.w = w
		return format.Merge(f.format, sum, p.Columns, f.unchanged(now, parts))
	})
	file := ManifestPart{Name: name, Bytes: sum.bytes, SHA256: sum.hex(), Fingerprint: sameFingerprint(parts)}
	for _, part := range parts {
		file.Records += part.Records
	}
	return file, err
}

// unchanged gives the files of parts one after another, each once it has been
// found to be what was written: a hash of what is merged would not tell.
func (f *Files) unchanged(now published, parts []PublishedPart) iter.Seq2[format.Part, error] {
	return func(yield func(format.Part, error) bool) {
		for _, part := range parts {
			goOn := true
			err := f.withPart(now, part, func(file *os.File) { goOn = yield(io.NewSectionReader(file, 0, part.Bytes), nil) })
			if err != nil {
				yield(nil, err)
				return
			}
			if !goOn {
				return
			}
		}
	}
}

func (f *Files) withPart(now published, part PublishedPart, use func(*os.File)) error {
	path, err := f.locate(now, part)
	if err != nil {
		return err
	}
	opened, err := openPart(path, part)
	if err != nil {
		return err
	}
	defer opened.Close() //nolint:errcheck // read only
	if _, err := io.Copy(io.Discard, opened); err != nil {
		return err
	}
	use(opened.file)
	return nil
}

// summed counts and hashes what is written.
type summed struct {
	w      io.Writer
	digest hash.Hash
	bytes  int64
}

func newSummed(w io.Writer) *summed { return &summed{w: w, digest: sha256.New()} }

// Write implements io.Writer.
func (s *summed) Write(b []byte) (int, error) {
	n, err := s.w.Write(b)
	s.digest.Write(b[:n])
	s.bytes += int64(n)
	return n, err
}

func (s *summed) hex() string { return hex.EncodeToString(s.digest.Sum(nil)) }
