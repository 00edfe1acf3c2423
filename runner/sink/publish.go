package sink

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/failpoint"
)

// Publication is what a run publishes, as stored when it passed the point of
// no return: the same at each try, whatever has happened in between.
type Publication struct {
	// Manifest, but for what Publish fills in: format, job, uid, occurrence,
	// run and parts.
	Manifest Manifest
	// Parts of the folder, in any order. A mini-batch without a committed
	// record has none in the folder, so that no reader meets an empty file;
	// such a part may be listed here or left out.
	Parts []PublishedPart
	// Columns are those that the parts were staged with.
	Columns []api.Column
	// Inputs are the input files of the plan, in its order, as people know
	// them; only the layout per_input_file needs them.
	Inputs []string
	// DeadLetters in the order they are to be written; nil is none.
	DeadLetters iter.Seq2[api.DeadLetter, error]
	// MovePointer says that the run may move _LATEST.json forward.
	MovePointer bool
}

// PublishedPart is one part of a publication. Where Path is empty, the part is
// taken unchanged from the folder that is published now.
type PublishedPart struct {
	MiniBatch int64
	Input     int // index of its input file in Publication.Inputs
	Staged
	DeadLettered int64  // records of the mini-batch that are dead letters
	Fingerprint  string // of the model that predicted it, where a run may mix models
	Redriven     bool   // it holds dead letters that were sent again
}

// Publish puts the folder in place and moves the pointer. It may be called
// again after an error or a crash at any step: what is on disk tells which
// steps are done.
//
// Trying again can't help only after an *api.Failure with the reason
// output_taken, or publish (another revision came first).
func (f *Files) Publish(p Publication) error {
	p = f.complete(p)
	now, err := f.published()
	if err != nil {
		return err
	}
	if _, err := f.latest(); err != nil { // before the folder is in place, not after
		return err
	}
	switch {
	case f.isPublished(now, p.Manifest):
	case f.isShown(now):
		err = f.finish(p)
	default:
		err = f.replace(now, p)
	}
	if err == nil {
		err = f.succeed()
	}
	if err != nil {
		return fmt.Errorf("publish %s: %w", f.folder, err)
	}
	// Also where the folder is in place: the crash may have come before this.
	if err := f.fs.SyncDir(filepath.Dir(f.folder)); err != nil {
		return fmt.Errorf("publish %s: %w", f.folder, err)
	}
	failpoint.Here("publish.renamed")
	if p.MovePointer {
		if err := f.movePointer(p.Manifest.Revision); err != nil {
			return err
		}
	}
	if err := f.forget(p); err != nil {
		return fmt.Errorf("publish %s: %w", f.folder, err)
	}
	return nil
}

// complete fills in what the sink knows, and brings everything into the one
// form in which equal publications are equal bytes.
func (f *Files) complete(p Publication) Publication {
	m := &p.Manifest
	m.Format, m.Job, m.UID, m.Run = fileFormat, f.job, f.uid, f.occasion.Run
	m.Occurrence = f.occasion.Occurrence.UTC()
	m.Times = Times{m.Times.CreatedAt.UTC(), m.Times.StartedAt.UTC(), m.Times.PublishedAt.UTC()}
	p.Parts = slices.DeleteFunc(slices.Clone(p.Parts), func(part PublishedPart) bool { return part.Records == 0 })
	slices.SortFunc(p.Parts, func(a, b PublishedPart) int { return cmp.Compare(a.MiniBatch, b.MiniBatch) })
	m.Parts = make([]ManifestPart, 0, len(p.Parts))
	for _, part := range p.Parts {
		m.Parts = append(m.Parts, f.partOf(part))
	}
	return p
}

// partOf is a part's entry in the manifest.
func (f *Files) partOf(p PublishedPart) ManifestPart {
	return ManifestPart{
		Name:      fmt.Sprintf("part-%06d.%s", p.MiniBatch, f.format),
		MiniBatch: p.MiniBatch, Records: p.Records, DeadLettered: p.DeadLettered, Bytes: p.Bytes, SHA256: p.SHA256, Fingerprint: p.Fingerprint,
	}
}

// isPublished tells whether an earlier try has put the folder in place.
func (f *Files) isPublished(now published, m Manifest) bool {
	return now.dir == f.folder && now.manifest != nil && now.manifest.Run == m.Run && now.manifest.Revision == m.Revision && now.manifest.whole()
}

// replace assembles the folder and puts it in the place of what is there.
func (f *Files) replace(now published, p Publication) error {
	if now.manifest != nil && now.manifest.Revision >= p.Manifest.Revision {
		return api.Fail(api.ReasonPublish, "run the occurrence again", fmt.Errorf(
			"revision %d can't follow revision %d of run %s", p.Manifest.Revision, now.manifest.Revision, now.manifest.Run))
	}
	if err := f.assemble(now, p); err != nil {
		return err
	}
	if err := f.keep(p); err != nil {
		return err
	}
	failpoint.Here("publish.manifest")
	if err := f.fs.MkdirAll(filepath.Dir(f.folder)); err != nil {
		return err
	}
	return f.swap()
}

// swap brings publish/ into place: by one rename where nothing is there, else
// by an exchange. Where the system has none, by two renames; a crash between
// them leaves the old folder in replaced/, where published finds it.
func (f *Files) swap() error {
	if _, err := os.Lstat(f.folder); errors.Is(err, fs.ErrNotExist) {
		return f.fs.Rename(f.publishing(), f.folder)
	} else if err != nil {
		return err
	}
	if err := f.fs.Exchange(f.publishing(), f.folder); !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	if err := f.fs.RemoveAll(f.replaced()); err != nil {
		return err
	}
	if err := f.fs.Rename(f.folder, f.replaced()); err != nil {
		return err
	}
	if err := f.fs.SyncDir(f.Staging()); err != nil { // else a power cut could take both
		return err
	}
	if err := f.fs.Rename(f.publishing(), f.folder); err != nil {
		return errors.Join(err, f.fs.Rename(f.replaced(), f.folder))
	}
	return nil
}
