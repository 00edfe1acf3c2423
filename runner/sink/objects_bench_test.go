package sink_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/runner/object"
	"github.com/batchpattern/terraform-provider-batch/runner/object/objecttest"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
)

// far is a store that every request takes a while to reach.
type far struct {
	object.Bucket
	away time.Duration
}

func (f far) Stat(ctx context.Context, key string) (object.Info, error) {
	time.Sleep(f.away)
	return f.Bucket.Stat(ctx, key)
}

func (f far) Put(ctx context.Context, key string, body io.ReadSeeker, size int64, when object.Condition) (string, error) {
	time.Sleep(f.away)
	return f.Bucket.Put(ctx, key, body, size, when)
}

func (f far) Delete(ctx context.Context, keys ...string) error {
	time.Sleep(f.away)
	return f.Bucket.Delete(ctx, keys...)
}

func (f far) List(ctx context.Context, prefix string, yield func(object.Info) error) error {
	time.Sleep(f.away)
	return f.Bucket.List(ctx, prefix, yield)
}

// BenchmarkPublishObjects publishes 100 parts. What uploads ahead of the publish
// could save is no more than the difference to parts of one record: each would
// still take a request to complete.
func BenchmarkPublishObjects(b *testing.B) {
	for _, away := range []time.Duration{0, 20 * time.Millisecond} {
		for _, size := range []int{1, 1 << 20} {
			b.Run(fmt.Sprintf("away=%v/part=%d", away, size), func(b *testing.B) {
				store := objecttest.S3(b)
				bucket, _ := store.Bucket(b)
				p := bucketPlace{far{bucket, away}, store.URI, b.TempDir()}
				label := strings.Repeat("x", size)
				for n := 0; b.Loop(); n++ {
					b.StopTimer()
					o := p.open(b, fmt.Sprint("run-", n), night.AddDate(0, 0, n))
					var parts []sink.PublishedPart
					for i := range int64(100) {
						parts = append(parts, stageObject(b, o, i+1, 1, label))
					}
					b.StartTimer()
					publishObjects(b, o, publication(1, 0, parts...))
				}
			})
		}
	}
}
