package sink_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/durable/durabletest"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
	"github.com/batchpattern/terraform-provider-batch/runner/sink/sinktest"
)

// scenario prepares a place up to the point of no return of run-2.
type scenario struct {
	prepare func(t *testing.T, p place) sink.Publication
	out     api.OutputFiles          // the layout; per mini-batch where it is empty
	faults  map[durabletest.Op]error // what this file system can't do
	// gap says that the folder may be missing for a moment, as it is between
	// two renames.
	gap bool
}

func scenarios() map[string]scenario {
	firstRevision := func(t *testing.T, p place) sink.Publication {
		f := p.open(t, "run-2", night)
		return publication(1, 2, stage(t, f, 1, 1, 2, "new"), stage(t, f, 1, 2, 1, "new"))
	}
	secondRevision := func(t *testing.T, p place) sink.Publication {
		old := p.open(t, "run-1", night)
		kept := stage(t, old, 1, 1, 2, "old")
		publish(t, old, publication(1, 1, kept, stage(t, old, 1, 2, 1, "old")))
		if err := old.Sweep(); err != nil {
			t.Fatal(err)
		}
		kept.Path = ""
		return publication(2, 0, kept, stage(t, p.open(t, "run-2", night), 1, 2, 2, "new"))
	}
	// What was published once is taken from where it is kept.
	secondOfTheRun := func(t *testing.T, p place) sink.Publication {
		f := p.open(t, "run-2", night)
		kept := stage(t, f, 1, 1, 2, "old")
		publish(t, f, publication(1, 1, kept, stage(t, f, 1, 2, 1, "old")))
		kept.Path = ""
		return publication(2, 1, kept, stage(t, f, 2, 2, 2, "new"))
	}
	partitioned := api.OutputFiles{Format: api.FormatJSONL, PartitionBy: []string{"label"}}
	return map[string]scenario{
		"single, second revision":  {prepare: secondOfTheRun, out: api.OutputFiles{Format: api.FormatJSONL, Layout: api.LayoutSingle}},
		"partitions":               {prepare: firstRevision, out: partitioned},
		"partitions, revision two": {prepare: secondOfTheRun, out: partitioned},
		"partitions, no links":     {prepare: secondOfTheRun, out: partitioned, faults: map[durabletest.Op]error{durabletest.Link: errors.ErrUnsupported}},
		"first revision":           {prepare: firstRevision},
		"second revision":          {prepare: secondRevision},
		"no links":                 {prepare: secondRevision, faults: map[durabletest.Op]error{durabletest.Link: errors.ErrUnsupported}},
		"no exchange": {prepare: secondRevision, gap: true, faults: map[durabletest.Op]error{
			durabletest.Exchange: errors.ErrUnsupported}},
	}
}

func (s scenario) place(t *testing.T) place {
	p := newPlace(t)
	if s.out.Format != "" {
		p.out = s.out
	}
	return p
}

func (s scenario) faulty(p place) *durabletest.Faulty {
	f := durabletest.New(p.fs)
	for op, err := range s.faults {
		f.Fail(op, err)
	}
	return f
}

// Publishing is stopped before each of its steps in turn, by a kill or by a
// power cut that also takes what was not synced; then it is done again.
func TestPublishGoesOnAfterACrashAtAnyStep(t *testing.T) {
	for name, s := range scenarios() {
		for _, powerCut := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, power cut %v", name, powerCut), func(t *testing.T) {
				want := s.place(t)
				publication := s.prepare(t, want)
				publishAndSweep(t, want.on(s.faulty(want)), publication)
				undisturbed := tree(t, want.root)

				for step := 0; ; step++ {
					p := s.place(t)
					publication := s.prepare(t, p)
					faulty := s.faulty(p)
					faulty.StopAfter(step)
					err := p.on(faulty).open(t, "run-2", night).Publish(publication)
					if err != nil && !errors.Is(err, durabletest.ErrStopped) {
						t.Fatalf("stopped after step %d: %v", step, err)
					}
					if powerCut {
						if err := faulty.Forget(); err != nil {
							t.Fatalf("power cut after step %d: %v", step, err)
						}
					}
					s.readerSeesAWhole(t, p, publication.Manifest.Revision, step)
					if err == nil && powerCut {
						assertPublished(t, p, publication.Manifest.Revision)
					}

					publishAndSweep(t, p.on(s.faulty(p)), publication)
					sameTree(t, tree(t, p.root), undisturbed)
					if t.Failed() {
						t.Fatalf("after a stop at step %d of\n%v", step, faulty.Steps())
					}
					if err == nil {
						return // there was no step left to stop before
					}
				}
			})
		}
	}
}

func publishAndSweep(t *testing.T, p place, publication sink.Publication) {
	t.Helper()
	f := p.open(t, "run-2", night)
	publish(t, f, publication)
	if err := f.Sweep(); err != nil {
		t.Fatal(err)
	}
}

// readerSeesAWhole looks at the folder as the crash has left it.
func (s scenario) readerSeesAWhole(t *testing.T, p place, revision int64, step int) {
	t.Helper()
	m, err := sinktest.Check(os.DirFS(p.open(t, "run-2", night).Folder()))
	missing := errors.Is(err, fs.ErrNotExist) && !exists(t, p.open(t, "run-2", night).Folder())
	switch {
	case missing && (revision == 1 || s.gap):
	case err != nil:
		t.Errorf("after step %d a reader sees: %v", step, err)
	case m.Revision != revision && m.Revision != revision-1:
		t.Errorf("after step %d a reader sees revision %d", step, m.Revision)
	}
}

// assertPublished: what Publish has reported as done survives a power cut.
func assertPublished(t *testing.T, p place, revision int64) {
	t.Helper()
	f := p.open(t, "run-2", night)
	if m, err := sinktest.Check(os.DirFS(f.Folder())); err != nil || m.Revision != revision {
		t.Errorf("after Publish and a power cut there is revision %d: %v", m.Revision, err)
	}
	if !exists(t, p.root+"/_LATEST.json") {
		t.Error("after Publish and a power cut the pointer is gone")
	}
}

// Readers that list the folder while revisions follow one another see one of
// them whole each time: never a mixture, never nothing.
func TestReadersNeverSeeHalfAFolder(t *testing.T) {
	p := newPlace(t)
	folder := p.open(t, "run-0", night).Folder()
	publish(t, p.open(t, "run-0", night), publication(1, 0))

	done := make(chan struct{})
	looking := make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() {
		defer close(looking)
		last := int64(0)
		for {
			m, err := look(folder)
			if err != nil || m.Revision < last || int64(len(m.Parts)) != (m.Revision-1)%3 {
				t.Errorf("a reader saw revision %d after %d with %d parts: %v", m.Revision, last, len(m.Parts), err)
				return
			}
			last = m.Revision
			select {
			case <-done:
				return
			case looking <- struct{}{}: // the next revision may come, during the next look
			default:
			}
		}
	})
	for revision := int64(2); revision < 40; revision++ {
		<-looking // a look since the last revision; no waiting once the reader has failed
		f := p.open(t, fmt.Sprintf("run-%d", revision), night)
		var parts []sink.PublishedPart
		for miniBatch := range (revision - 1) % 3 {
			parts = append(parts, stage(t, f, 1, miniBatch+1, revision, "x"))
		}
		publish(t, f, publication(revision, 0, parts...))
	}
	close(done)
	reader.Wait()
}

// look opens the folder once and reads it through that handle.
func look(folder string) (sink.Manifest, error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return sink.Manifest{}, err
	}
	m, err := sinktest.Check(root.FS())
	return m, errors.Join(err, root.Close())
}
