// Package sink puts predictions where readers find them: parts are staged one
// mini-batch at a time, invisible, and a run's folder is published whole, in
// one step that no reader can see the middle of.
//
// Below the root of an output uri (its part before the first placeholder) lie
//
//	_LATEST.json                     the pointer: the newest published folder
//	dt=2026-11-21/                   a published folder
//	  part-000001.jsonl …            one per mini-batch with committed records, in input order
//	  _DEAD_LETTERS.jsonl            the records given up because of their data, if any
//	  _MANIFEST.json                 what the folder is: run, revision, counts, parts with hashes
//	  _SUCCESS                       empty; the folder is complete
//	.batch/<run>/                    a run's own, removed at its end (but kept/, see layout_kept.go)
//	  <run attempt>/<mini-batch>.<fence>   staged parts
//	  part-000001.jsonl …            files on their way into a folder that is visible
//	  publish/                       the folder being assembled; later the one it replaced
//	  replaced/                      the same where folders can't be exchanged in one step
//
// The files of a folder may be cut otherwise than by mini-batches: see layout.go.
//
// A run may also show its parts one by one, before it has ended: see
// progressive.go. What is published whole is only ever replaced whole, or
// removed by Output.Remove when its job does not keep it any longer.
//
// Where there is no folder that could be renamed, parts are staged in a folder
// of the runner's own: table.go has how they come into a table of a database,
// objects.go how into an object store.
//
// Which staged parts count is not decided here: the store's rows are the only
// truth, and a staged file without a row is garbage.
package sink

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/durable"
)

const (
	stagingName  = ".batch"
	publishName  = "publish"
	replacedName = "replaced"
	probePrefix  = ".batch-probe-"
)

// Files is the local folder that one run writes to. Its methods may be called
// from several goroutines, but Publish and Sweep by one at a time.
type Files struct {
	staging
	job, uid string
	occasion api.Occasion
	root     string
	folder   string
	layout   layout
}

// Open names the places of one run's output; it touches nothing.
func Open(fs durable.FS, out api.OutputFiles, job, uid string, o api.Occasion) (*Files, error) {
	if o.Run == "" || strings.ContainsAny(o.Run, `/\`) || strings.HasPrefix(o.Run, ".") {
		return nil, fmt.Errorf("open output %s: %q is not a run's id", out.URI, o.Run)
	}
	expanded, err := api.ExpandURI(out.URI, o)
	if err != nil {
		return nil, fmt.Errorf("open output %s: %w", out.URI, err)
	}
	folder := filepath.Clean(api.Path(expanded))
	if !filepath.IsAbs(folder) {
		return nil, fmt.Errorf("open output %s: the path is not absolute", out.URI)
	}
	if !api.HasOccurrencePlaceholder(out.URI) {
		folder = filepath.Join(folder, "occurrence="+api.FormatInstant(o.Occurrence))
	}
	root := filepath.Clean(api.Root(out.URI))
	if inside, err := filepath.Rel(root, folder); err != nil || inside == "." || !filepath.IsLocal(inside) {
		return nil, fmt.Errorf("open output %s: its folder %s is not below %s", out.URI, folder, root)
	}
	own := staging{fs: fs, format: out.Format, dir: filepath.Join(root, stagingName, o.Run)}
	return &Files{staging: own, job: job, uid: uid, occasion: o, root: root, folder: folder, layout: layoutOf(out)}, nil
}

// Root is the folder that holds the pointer and the staging of all runs.
func (f *Files) Root() string { return f.root }

// Folder is the folder that the run publishes.
func (f *Files) Folder() string { return f.folder }

func (f *Files) publishing() string { return filepath.Join(f.Staging(), publishName) }
func (f *Files) replaced() string   { return filepath.Join(f.Staging(), replacedName) }

// Prepare proves, before anything is predicted, that the run will be able to
// publish: staging can be written, what is written there can be moved beside
// the folder to be published, and the folder is not somebody else's. An error
// is an *api.Failure: output_unwritable or output_taken.
func (f *Files) Prepare() error {
	if err := f.CheckTaken(); err != nil {
		return err
	}
	if err := f.probe(); err != nil {
		return api.Fail(api.ReasonOutputUnwritable, unwritableHint, fmt.Errorf("write output %s: %w", f.folder, err))
	}
	return nil
}

func (f *Files) probe() error {
	if err := f.fs.MkdirAll(f.Staging()); err != nil {
		return err
	}
	path := filepath.Join(f.Staging(), "probe")
	if err := f.writeFile(path, []byte("probe\n")); err != nil {
		return err
	}
	// Above the folder there is always something: the root, just made.
	above := filepath.Dir(f.folder)
	for _, err := os.Stat(above); errors.Is(err, fs.ErrNotExist) && above != f.root; _, err = os.Stat(above) {
		above = filepath.Dir(above)
	}
	moved := f.probeIn(above)
	if err := f.fs.Rename(path, moved); err != nil {
		return err
	}
	return f.fs.Remove(moved)
}

func (f *Files) probeIn(dir string) string {
	return filepath.Join(dir, probePrefix+f.occasion.Run)
}
