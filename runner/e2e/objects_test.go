//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/runner/object"
	"github.com/batchpattern/terraform-provider-batch/runner/object/objecttest"
)

// objectWorld is a world whose input and output are objects of a store.
type objectWorld struct {
	*world
	bucket object.Bucket
	prefix string
}

// newObjectWorld has the input of another, nil for one of its own: the same
// object, so that their plans are equal.
func newObjectWorld(t *testing.T, like *objectWorld) *objectWorld {
	t.Helper()
	server := objecttest.S3(t)
	for name, value := range server.Env {
		t.Setenv(name, value) // which the runner has from its test
	}
	w := &objectWorld{world: newWorld(t, "")}
	w.bucket, w.prefix = server.Bucket(t)
	if like == nil {
		content, err := os.ReadFile(w.input)
		w.must(err)
		_, err = w.bucket.Put(t.Context(), w.prefix+"in/records.csv", bytes.NewReader(content), int64(len(content)), object.Condition{})
		w.must(err)
		w.job.Input.Files.URI = server.URI + "in/records.csv"
	} else {
		w.job.Input.Files.URI = like.job.Input.Files.URI
	}
	w.job.Output.Files.URI = server.URI + "out/dt={date}/"
	return w
}

// fetch copies the output to where that of other worlds is.
func (w *objectWorld) fetch() {
	w.t.Helper()
	w.must(os.RemoveAll(w.output()))
	w.must(os.MkdirAll(w.output(), 0o755))
	ctx := context.WithoutCancel(w.t.Context())
	w.must(w.bucket.List(ctx, w.prefix+"out/", func(info object.Info) error {
		body, err := w.bucket.Read(ctx, info.Key, info.ETag, 0, -1)
		if err != nil {
			return err
		}
		content, err := io.ReadAll(body)
		path := filepath.Join(w.output(), strings.TrimPrefix(info.Key, w.prefix+"out/"))
		return errors.Join(err, body.Close(), os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, content, 0o644))
	}))
}

// Killed at any step of a publish to an S3-compatible store, the same command
// again leaves the objects that an undisturbed run leaves, to the byte.
func TestKillWhilePublishingObjects(t *testing.T) {
	reference := newObjectWorld(t, nil)
	reference.predicts(0)
	reference.fetch()
	want := reference.tree()
	if names := slices.Sorted(maps.Keys(want)); len(names) != 18 || names[3] != "dt=2026-11-21/part-000001.r1.jsonl" {
		t.Fatalf("an undisturbed run published %v", names)
	}
	for _, failpoint := range []string{"plan.stored", "stage.row:4", "publish.intent", "publish.part", "publish.manifest", "publish.renamed", "publish.pointer", "publish.row"} {
		t.Run(failpoint, func(t *testing.T) {
			w := newObjectWorld(t, reference)
			output, err := w.predict(failpoint)
			w.assertReached(failpoint, output, err)
			w.fetch()
			manifest := want["dt=2026-11-21/_MANIFEST.json"]
			published := slices.Contains([]string{"publish.renamed", "publish.pointer", "publish.row"}, failpoint)
			if got, there := w.tree()["dt=2026-11-21/_MANIFEST.json"]; there != published || there && got != manifest {
				t.Errorf("after the kill the manifest is %q", got)
			}
			if failpoint == "publish.row" {
				return // the run has ended
			}
			w.predicts(0)
			w.fetch()
			assertSameTree(t, want, w.tree(), "")
			if left := w.orphans(); len(left) > 0 {
				t.Errorf("prediction servers are left: %v", left)
			}
		})
	}
}
