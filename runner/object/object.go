package object

import (
	"context"
	"errors"
	"io"
	"time"
)

// What a caller may decide by; errors wrap them.
var (
	// ErrNotFound says that there is no such object. Of a bucket that is not
	// there, not every store tells the difference to who asks for an object.
	ErrNotFound = errors.New("there is no such object")
	// ErrNoBucket says that there is no such bucket, or container.
	ErrNoBucket = errors.New("there is no such bucket")
	// ErrDenied says that the store does not let this identity do it, or does
	// not know it.
	ErrDenied = errors.New("the store refuses it")
	// ErrChanged says that the object is not the one that was asked for by its
	// etag any more.
	ErrChanged = errors.New("the object has changed")
	// ErrPrecondition says that an object was not written because of what is
	// there already.
	ErrPrecondition = errors.New("the object is not as the condition says")
)

// Info is what a store tells about an object.
type Info struct {
	Key     string
	Size    int64
	ETag    string // opaque; names this content of this key
	ModTime time.Time
}

// Condition says when a Put may take effect. The zero value is: always.
type Condition struct {
	Absent bool   // only if there is no such object
	Match  string // only if the object has this etag
}

// Bucket is one bucket (or container) of a store. Its methods may be called
// from several goroutines. Keys are names without a leading slash. What a
// store answers while it is overloaded or out of reach is tried again inside,
// for some seconds; a Put whose answer was lost may so end as ErrPrecondition
// though it took effect: the caller reads the object to know.
type Bucket interface {
	// Stat looks at an object; ErrNotFound.
	Stat(ctx context.Context, key string) (Info, error)
	// Read reads length bytes from offset, or all that follows it where length
	// is negative. With an etag it reads that content or fails with ErrChanged.
	// The reader fails where the store sends fewer bytes than it announced.
	Read(ctx context.Context, key, etag string, offset, length int64) (io.ReadCloser, error)
	// Put writes an object whole: a reader sees all of it or nothing. Large ones
	// go up in pieces, side by side where body is an io.ReaderAt too. Every byte
	// is covered by a checksum that the store compares.
	Put(ctx context.Context, key string, body io.ReadSeeker, size int64, when Condition) (etag string, err error)
	// Delete removes objects; one that is not there is no error.
	Delete(ctx context.Context, keys ...string) error
	// List gives every object whose key begins with prefix, in the order of the
	// keys, page by page; ErrNoBucket. It ends with the first error of yield.
	List(ctx context.Context, prefix string, yield func(Info) error) error
	// Enforces tells whether the store keeps conditions of Put, which not all
	// that speak its protocol do. It is probed once with a throw-away object
	// below prefix.
	Enforces(ctx context.Context, prefix string) (bool, error)
}

// Uploads is what buckets offer besides that keep unfinished uploads of large
// objects, which somebody has to remove after a crash.
type Uploads interface {
	// AbortUploads gives up the unfinished uploads of those objects below prefix
	// that which names.
	AbortUploads(ctx context.Context, prefix string, which func(key string) bool) error
}
