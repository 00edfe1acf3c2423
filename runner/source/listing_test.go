package source_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/object"
	"github.com/batchpattern/terraform-provider-batch/runner/object/objecttest"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
)

// crowded is a bucket with so many more objects, which exist in listings only.
type crowded struct {
	*objecttest.Memory
	objects int
	held    uint64 // bytes of the heap at the listing's end, without garbage
}

func (c *crowded) List(ctx context.Context, prefix string, yield func(object.Info) error) error {
	for i := range c.objects {
		info := object.Info{Key: crowd(i), Size: 10, ETag: fmt.Sprintf("%q", fmt.Sprintf("%032x", i)), ModTime: occasion.Occurrence}
		if err := yield(info); err != nil {
			return err
		}
	}
	err := c.Memory.List(ctx, prefix, yield)
	c.held = heap()
	return err
}

func crowd(i int) string { return fmt.Sprintf("in/%s/%08d.csv", strings.Repeat("folder", 10), i) }

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// Among a hundred thousand objects the wanted ones are found in the memory that
// those take.
func TestAListingIsNotHeld(t *testing.T) {
	bucket := &crowded{Memory: objecttest.NewMemory(), objects: 100_000}
	if _, err := bucket.Put(t.Context(), "in/a/new.csv", strings.NewReader("id\n1\n"), 5, object.Condition{}); err != nil {
		t.Fatal(err)
	}
	o := withSpool(t)
	o.Objects = object.StoresOf(map[string]object.Bucket{"s3://bucket": bucket})
	inputs := source.New(o)
	known := source.Memory{Known: map[string]source.Known{}}
	for i := range bucket.objects {
		known.Known["s3://bucket/"+crowd(i)] = source.Known{Size: 10, SHA256: fmt.Sprintf("etag:%q", fmt.Sprintf("%032x", i)), Run: "r0"}
	}
	for name, find := range map[string]func() (int, error){
		"by a pattern that few match": func() (int, error) {
			files, err := inputs.Find(t.Context(), csvFiles("s3://bucket/in/*/new*.csv"), occasion, nil)
			return len(files), err
		},
		"where all others are known": func() (int, error) {
			found, err := inputs.FindNew(t.Context(), api.Input{Files: &api.InputFiles{URI: "s3://bucket/in/**/*.csv", Format: api.FormatCSV}}, occasion, nil, known, time.Now())
			return len(found.Candidates), err
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := heap()
			n, err := find()
			if err != nil || n != 1 {
				t.Errorf("found %d, %v", n, err)
			}
			if more := int64(bucket.held) - int64(before); more > 1<<20 {
				t.Errorf("%d KiB are held at the end of the listing", more>>10)
			} else {
				t.Logf("%d KiB", more>>10)
			}
		})
	}
	runtime.KeepAlive(known)
}
