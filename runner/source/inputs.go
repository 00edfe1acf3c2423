package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/database"
	"github.com/batchpattern/terraform-provider-batch/runner/durable"
	"github.com/batchpattern/terraform-provider-batch/runner/object"
)

// Options are what Inputs are made of. RunsDir, Run and FS are needed for what
// is spooled.
type Options struct {
	RunsDir string // the folder with one folder for each run
	Run     string
	FS      durable.FS
	// MaxSpool is what the spool of the run may hold, in bytes.
	MaxSpool int64
	// Objects and Databases are needed for inputs that lie there.
	Objects   *object.Stores
	Databases func(context.Context, api.SecretRef) (*database.DB, error)
}

// Inputs are the inputs of one run: they find its files and open them. Open may
// be called from any goroutine.
type Inputs struct {
	Options

	mu      sync.Mutex
	spooled int64 // bytes in the spool
	spools  int   // files in it

	ends ends
}

// New makes the inputs of a run.
func New(o Options) *Inputs { return &Inputs{Options: o} }

// Open opens a file. It must be the one that was planned; otherwise the error
// is an *api.Failure input_changed.
func (in *Inputs) Open(ctx context.Context, f File) (*Opened, error) {
	c, err := in.placeOf(f).open(ctx, f)
	if err != nil {
		return nil, err
	}
	return &Opened{file: f, content: c}, nil
}

// Check says whether a file still is the one that was planned, with errors as
// Open gives them.
func (in *Inputs) Check(ctx context.Context, f File) error { return in.placeOf(f).check(ctx, f) }

// CheckOriginal is Check that does not make do with a copy of the file. What has
// only been a copy is what it was.
func (in *Inputs) CheckOriginal(ctx context.Context, f File) error {
	if f.Path == QueryName && f.Spool != "" {
		return nil
	}
	return in.finderOf(f.Path).check(ctx, f)
}

// Sum is the checksum of what is read of a file, in hex.
func (in *Inputs) Sum(ctx context.Context, f File) (string, error) {
	if f.SHA256 != "" {
		return f.SHA256, nil
	}
	opened, err := in.Open(ctx, f)
	if err != nil {
		return "", err
	}
	defer func() { _ = opened.Close() }() // read only
	sum := sha256.New()
	if _, err := io.Copy(sum, opened.Stretch(0, f.Bytes())); err != nil {
		return "", fmt.Errorf("read input %s: %w", f.Path, err)
	}
	return hex.EncodeToString(sum.Sum(nil)), opened.Check()
}

// Passes tells whether an error of reading, or of spooling, may pass by itself:
// the disk is full, a store or a database out of reach.
func Passes(err error) bool {
	return passesHere(err) || database.Transient(err)
}

// passesHere is Passes for errors that are no database's.
func passesHere(err error) bool {
	_, decided := errors.AsType[*api.Failure](err)
	return !decided && (durable.IsStorage(err) || errors.Is(err, ErrAway))
}

// Repin gives the file as it is now if its content still is the pinned one,
// whatever else about it has changed. What it can't tell is left for Open.
func (in *Inputs) Repin(f File) File {
	if f.Spool != "" || f.ETag != "" {
		return f
	}
	return repin(f)
}

func (in *Inputs) placeOf(f File) place {
	if f.Spool != "" {
		return spool{in.RunsDir}
	}
	return in.finderOf(f.Path)
}

// finderOf is where the files of a path or pattern are looked for.
func (in *Inputs) finderOf(path string) finder {
	if object.Is(path) {
		return objects{in.bucket, &in.ends}
	}
	return local{}
}

func (in *Inputs) bucket(ctx context.Context, uri string) (object.Bucket, string, error) {
	if in.Objects == nil {
		return nil, "", unusable("", fmt.Errorf("open %s: no object store can be reached from here", uri))
	}
	return in.Objects.Bucket(ctx, uri)
}
