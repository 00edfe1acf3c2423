package sink

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/failpoint"
)

// assemble makes publish/ from nothing, complete and durable. What an earlier
// try has left there is not trusted.
func (f *Files) assemble(now published, p Publication) error {
	if err := f.fs.RemoveAll(f.publishing()); err != nil {
		return err
	}
	if err := f.fs.MkdirAll(f.publishing()); err != nil {
		return err
	}
	if err := checkOnce(p.Parts); err != nil {
		return err
	}
	parts, err := f.lay(now, p)
	if err != nil {
		return err
	}
	p.Manifest.Parts = parts
	failpoint.Here("publish.part")
	if _, err := f.writeDeadLetters(filepath.Join(f.publishing(), DeadLettersName), p.DeadLetters); err != nil {
		return fmt.Errorf("write %s: %w", DeadLettersName, err)
	}
	manifest, err := encode(p.Manifest)
	if err != nil {
		return err
	}
	if err := f.writeFile(filepath.Join(f.publishing(), ManifestName), manifest); err != nil {
		return err
	}
	if err := f.writeFile(filepath.Join(f.publishing(), SuccessName), nil); err != nil {
		return err
	}
	return f.fs.SyncDir(f.publishing())
}

// locate finds the file of a part, staged or published before.
func (f *Files) locate(now published, part PublishedPart) (string, error) {
	if part.Path != "" {
		return filepath.Join(f.Staging(), part.Path), nil
	}
	if f.layout.merged() {
		return f.keptPart(part), nil
	}
	if f.isShown(now) { // its manifest lists no part yet
		return filepath.Join(now.dir, f.partOf(part).Name), nil
	}
	if now.manifest != nil {
		if old, ok := now.manifest.part(part.MiniBatch); ok && old.SHA256 == part.SHA256 {
			return filepath.Join(now.dir, old.Name), nil
		}
	}
	return "", fmt.Errorf("mini-batch %d is to stay as published, and is not in the published folder", part.MiniBatch)
}

// take gives a part another name: of the same file, which is durable already,
// or of a copy where that can't be.
func (f *Files) take(from, to string, part ManifestPart) error {
	if err := checkSize(from, part); err != nil {
		return err
	}
	if err := f.fs.Link(from, to); !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }() // only read
	return f.create(to, func(w io.Writer) error {
		_, err := io.Copy(w, source)
		return err
	})
}

func checkSize(path string, part ManifestPart) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() != part.Bytes {
		return fmt.Errorf("%s has %d bytes, %d were written: somebody changed it", path, info.Size(), part.Bytes)
	}
	return nil
}

// writeDeadLetters writes them one by one, and no file where there is none.
func (s *staging) writeDeadLetters(path string, letters iter.Seq2[api.DeadLetter, error]) (written bool, err error) {
	if letters == nil {
		return false, nil
	}
	next, stop := iter.Pull2(letters)
	defer stop()
	letter, err, ok := next()
	if !ok {
		return false, nil
	}
	return true, s.create(path, func(w io.Writer) error {
		buffer := bufio.NewWriter(w)
		lines := json.NewEncoder(buffer)
		lines.SetEscapeHTML(false)
		for ; ok; letter, err, ok = next() {
			if err != nil {
				return err
			}
			if err := lines.Encode(letter); err != nil {
				return err
			}
		}
		return buffer.Flush()
	})
}
