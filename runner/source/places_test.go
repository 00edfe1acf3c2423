package source_test

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/runner/durable"
	"github.com/batchpattern/terraform-provider-batch/runner/object"
	"github.com/batchpattern/terraform-provider-batch/runner/object/objecttest"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
	"github.com/batchpattern/terraform-provider-batch/runner/source/sourcetest"
)

func TestLocalFiles(t *testing.T) {
	sourcetest.Conforms(t, func(t *testing.T) sourcetest.Place {
		root := t.TempDir()
		return sourcetest.Place{
			Root: root, Inputs: source.New(withSpool(t)),
			Write: func(t *testing.T, name string, content []byte) {
				t.Helper()
				path := filepath.Join(root, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path+"~", content, 0o644); err != nil {
					t.Fatal(err)
				}
				if err := os.Rename(path+"~", path); err != nil {
					t.Fatal(err)
				}
			},
			Remove: func(t *testing.T, name string) {
				t.Helper()
				if err := os.Remove(filepath.Join(root, name)); err != nil {
					t.Fatal(err)
				}
			},
		}
	})
}

// Whatever the store, files in it are the same input.
func TestObjects(t *testing.T) {
	stores := maps.Clone(objecttest.Servers)
	stores["memory"] = func(t testing.TB) objecttest.Store { return objecttest.InMemory(t, objecttest.NewMemory()) }
	for name, store := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sourcetest.Conforms(t, func(t *testing.T) sourcetest.Place { return placeIn(t, store(t)) })
		})
	}
}

func placeIn(t *testing.T, store objecttest.Store) sourcetest.Place {
	t.Helper()
	bucket, prefix := store.Bucket(t)
	o := withSpool(t)
	o.Objects = store.Stores
	return sourcetest.Place{
		Root: store.URI + "in", Inputs: source.New(o),
		Write: func(t *testing.T, name string, content []byte) {
			t.Helper()
			if _, err := bucket.Put(t.Context(), prefix+"in/"+name, bytes.NewReader(content), int64(len(content)), object.Condition{}); err != nil {
				t.Fatal(err)
			}
		},
		Remove: func(t *testing.T, name string) {
			t.Helper()
			if err := bucket.Delete(t.Context(), prefix+"in/"+name); err != nil {
				t.Fatal(err)
			}
		},
	}
}

// withSpool are options of a run that has room for a spool.
func withSpool(t *testing.T) source.Options {
	return source.Options{RunsDir: t.TempDir(), Run: "r1", FS: durable.OS(), MaxSpool: 1 << 30}
}
