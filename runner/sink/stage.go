package sink

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"path/filepath"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/durable"
	"github.com/batchpattern/terraform-provider-batch/runner/failpoint"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

// Staged is a durable part that nobody sees yet; it goes into the store.
type Staged struct {
	Path    string `json:"path"` // relative to Staging
	Records int64  `json:"records"`
	Bytes   int64  `json:"bytes"`
	SHA256  string `json:"sha256"` // in hex
}

// Part is a part being staged, by one goroutine.
type Part struct {
	staging *staging
	path    string // relative to Staging
	file    durable.File
	writer  format.Writer
	digest  hash.Hash
	records int64
	bytes   int64
	ended   bool // finished or aborted
}

// Stage begins the part of a mini-batch. The fence keeps a worker that has
// lost the mini-batch from writing into the file of the one that has it now.
func (s *staging) Stage(runAttempt, miniBatch, fence int64, columns []api.Column) (*Part, error) {
	p := &Part{
		staging: s,
		path:    filepath.Join(fmt.Sprint(runAttempt), fmt.Sprintf("%06d.%d", miniBatch, fence)),
		digest:  sha256.New(),
	}
	if err := s.fs.MkdirAll(filepath.Dir(p.full())); err != nil {
		return nil, fmt.Errorf("stage mini-batch %d: %w", miniBatch, err)
	}
	var err error
	if p.file, err = s.fs.Create(p.full()); err != nil {
		return nil, fmt.Errorf("stage mini-batch %d: %w", miniBatch, err)
	}
	if p.writer, err = format.NewWriter(s.format, (*hashed)(p), columns); err != nil {
		p.Abort()
		return nil, fmt.Errorf("stage mini-batch %d: %w", miniBatch, err)
	}
	return p, nil
}

func (p *Part) full() string { return filepath.Join(p.staging.dir, p.path) }

// hashed is the part as its writer sees it (which writes in large pieces): what goes to the file is counted
// and hashed on the way, so that nothing is read twice.
type hashed Part

func (h *hashed) Write(b []byte) (int, error) {
	n, err := h.file.Write(b)
	h.digest.Write(b[:n])
	h.bytes += int64(n)
	return n, err
}

// Write appends one record.
func (p *Part) Write(values []format.Value) error {
	if err := p.writer.Write(values); err != nil {
		return fmt.Errorf("write staged part %s: %w", p.full(), err)
	}
	p.records++
	return nil
}

// Copy appends one record as it stands in another part of the run, its line
// end included.
func (p *Part) Copy(record []byte) error {
	if err := p.writer.Copy(record); err != nil {
		return fmt.Errorf("write staged part %s: %w", p.full(), err)
	}
	p.records++
	return nil
}

// Finish makes the part durable. After an error the part is to be aborted.
func (p *Part) Finish() (Staged, error) {
	if err := p.finish(); err != nil {
		return Staged{}, fmt.Errorf("write staged part %s: %w", p.full(), err)
	}
	return Staged{Path: p.path, Records: p.records, Bytes: p.bytes, SHA256: hex.EncodeToString(p.digest.Sum(nil))}, nil
}

func (p *Part) finish() error {
	if err := p.writer.Close(); err != nil {
		return err
	}
	failpoint.Here("stage.written")
	if err := p.file.Sync(); err != nil {
		return err
	}
	if err := p.file.Close(); err != nil {
		return err
	}
	if err := p.staging.fs.SyncDir(filepath.Dir(p.full())); err != nil {
		return err
	}
	p.ended = true
	failpoint.Here("stage.synced")
	return nil
}

// Abort gives an unfinished part up and frees its space, as well as that can
// be done: a file that stays is garbage, which Sweep removes. After Finish
// has succeeded it does nothing, so it may be deferred.
func (p *Part) Abort() {
	if p.ended {
		return
	}
	p.ended = true
	_ = p.file.Close()
	_ = p.staging.fs.Remove(p.full())
}
