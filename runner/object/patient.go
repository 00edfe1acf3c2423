package object

import (
	"context"
	"io"
	"time"
)

const (
	// patience is the time for an operation and all its tries, on top of that
	// for its bytes at the least speed that is worth waiting for.
	patience   = 3 * time.Minute
	leastSpeed = 64 << 10 // bytes a second
)

// patient bounds the time of a bucket's operations, so that a store that says
// nothing any more holds nobody up. Listings and the bytes of a read take as
// long as their reader.
type patient struct {
	Bucket
	idle func() // closes connections that are not in use
}

func waiting(ctx context.Context, size int64) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, patience+time.Duration(size/leastSpeed)*time.Second)
}

// Stat implements Bucket.
func (p patient) Stat(ctx context.Context, key string) (Info, error) {
	ctx, cancel := waiting(ctx, 0)
	defer cancel()
	return p.Bucket.Stat(ctx, key)
}

// Put implements Bucket.
func (p patient) Put(ctx context.Context, key string, body io.ReadSeeker, size int64, when Condition) (string, error) {
	ctx, cancel := waiting(ctx, size)
	defer cancel()
	return p.Bucket.Put(ctx, key, body, size, when)
}

// Delete implements Bucket.
func (p patient) Delete(ctx context.Context, keys ...string) error {
	ctx, cancel := waiting(ctx, int64(len(keys))*leastSpeed)
	defer cancel()
	return p.Bucket.Delete(ctx, keys...)
}

// Enforces implements Bucket.
func (p patient) Enforces(ctx context.Context, prefix string) (bool, error) {
	ctx, cancel := waiting(ctx, 0)
	defer cancel()
	return p.Bucket.Enforces(ctx, prefix)
}

// AbortUploads implements Uploads, where the bucket does.
func (p patient) AbortUploads(ctx context.Context, prefix string, which func(key string) bool) error {
	if uploads, ok := p.Bucket.(Uploads); ok {
		return uploads.AbortUploads(ctx, prefix, which)
	}
	return nil
}
