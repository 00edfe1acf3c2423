package source

import (
	"context"
	"io"
	"time"
)

// place is where the files of an input lie.
type place interface {
	// open opens a file that was planned, while it is the same.
	open(ctx context.Context, f File) (content, error)
	// check tells whether it is.
	check(ctx context.Context, f File) error
}

// finder is a place in which files are looked for.
type finder interface {
	place
	// list gives what a pattern matches, sorted by path. It finds nothing where
	// there is nothing to look into.
	list(ctx context.Context, pattern string) ([]listed, error)
	// reachable explains why there is nothing to look into, if so.
	reachable(ctx context.Context, pattern string) error
	// width is how many files are looked into at once.
	width() int
	// pin opens a file that was listed, and says what it is now.
	pin(ctx context.Context, l listed) (File, content, error)
	// exists looks for a single file.
	exists(ctx context.Context, path string) (bool, error)
}

// listed is a file as a listing shows it.
type listed struct {
	path    string
	size    int64
	modTime time.Time
	etag    string // of an object
}

// content is what a file holds.
type content interface {
	io.ReaderAt
	io.Closer
	// from reads a stretch from its beginning to its end.
	from(offset, length int64) io.Reader
	// check tells whether what was read is of the file that was opened.
	check() error
}
