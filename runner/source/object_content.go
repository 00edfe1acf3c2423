package source

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/batchpattern/terraform-provider-batch/runner/object"
)

const (
	// aheadFirst and aheadMost bound what a read at an offset asks a store for:
	// more each time that one goes on where another ended.
	aheadFirst, aheadMost = 256 << 10, 4 << 20
	// aheadKept is how many answers are kept: readers of Parquet go through
	// several columns side by side.
	aheadKept = 8
	// headSize and tailSize are the ends of an object that are kept for the next
	// who opens it, and endsKept of how many: there Parquet files say what they
	// are, and what is in them.
	headSize, tailSize, endsKept = 16, 256 << 10, 64
)

// objectContent reads one object, for one goroutine.
type objectContent struct {
	ctx    context.Context
	bucket object.Bucket
	key    string
	file   File
	ends   *ends

	streams []*objectStream
	ahead   []stretchOf // oldest first
}

// stretchOf is a stretch of an object that was read.
type stretchOf struct {
	offset int64
	data   []byte
}

func (s stretchOf) end() int64 { return s.offset + int64(len(s.data)) }

func (s stretchOf) holds(offset int64) bool { return s.offset <= offset && offset < s.end() }

// from reads a stretch by one request, which goes out with the first Read.
func (c *objectContent) from(offset, length int64) io.Reader {
	s := &objectStream{c: c, offset: offset, length: length}
	c.streams = append(c.streams, s)
	return s
}

// ReadAt reads bytes at an offset, and some more.
func (c *objectContent) ReadAt(p []byte, offset int64) (n int, err error) {
	for n < len(p) {
		at := offset + int64(n)
		if at >= c.file.Size {
			return n, io.EOF
		}
		s, err := c.around(at, int64(len(p)-n))
		if err != nil {
			return n, err
		}
		n += copy(p[n:], s.data[at-s.offset:])
	}
	return n, nil
}

// around gives a stretch that holds an offset, of which so many bytes are
// wanted.
func (c *objectContent) around(offset, wanted int64) (stretchOf, error) {
	length := int64(aheadFirst)
	for _, s := range c.ahead {
		if s.holds(offset) {
			return s, nil
		}
		if s.end() == offset {
			length = min(2*int64(len(s.data)), aheadMost)
		}
	}
	if tail := max(c.file.Size-tailSize, 0); offset >= tail {
		return c.ends.of(c.file, "tail", func() (stretchOf, error) { return c.fetch(tail, c.file.Size-tail) })
	}
	if offset+wanted <= headSize {
		return c.ends.of(c.file, "head", func() (stretchOf, error) { return c.fetch(0, headSize) })
	}
	s, err := c.fetch(offset, min(max(length, wanted), c.file.Size-offset))
	if err != nil {
		return s, err
	}
	if c.ahead = append(c.ahead, s); len(c.ahead) > aheadKept {
		c.ahead = c.ahead[1:]
	}
	return s, nil
}

func (c *objectContent) fetch(offset, length int64) (stretchOf, error) {
	body, err := c.bucket.Read(c.ctx, c.key, c.file.ETag, offset, length)
	if err != nil {
		return stretchOf{}, c.file.unread(c.ctx, err)
	}
	data := make([]byte, length)
	_, err = io.ReadFull(body, data)
	return stretchOf{offset, data}, c.file.unread(c.ctx, errors.Join(err, body.Close()))
}

// check has nothing to look at: no read was answered from another content.
func (c *objectContent) check() error { return nil }

func (c *objectContent) Close() error {
	for _, s := range c.streams {
		s.close()
	}
	c.ahead = nil
	return nil
}

// objectStream is a request for a stretch, sent when its first byte is wanted.
type objectStream struct {
	c              *objectContent
	offset, length int64
	body           io.ReadCloser
	ended          bool
}

func (s *objectStream) Read(p []byte) (int, error) {
	if s.ended || s.length == 0 {
		return 0, io.EOF
	}
	if s.body == nil {
		body, err := s.c.bucket.Read(s.c.ctx, s.c.key, s.c.file.ETag, s.offset, s.length)
		if err != nil {
			return 0, s.c.file.unread(s.c.ctx, err)
		}
		s.body = body
	}
	n, err := s.body.Read(p)
	if errors.Is(err, io.EOF) {
		s.close()
	}
	return n, s.c.file.unread(s.c.ctx, err)
}

func (s *objectStream) close() {
	s.ended = true
	if s.body != nil {
		_ = s.body.Close() // read only
		s.body = nil
	}
}

// ends are the ends of objects that were opened last.
type ends struct {
	mu    sync.Mutex
	known map[string]stretchOf
	order []string // oldest first
}

func (t *ends) of(f File, which string, read func() (stretchOf, error)) (stretchOf, error) {
	key := f.Path + "\n" + f.ETag + "\n" + which
	t.mu.Lock()
	known, found := t.known[key]
	t.mu.Unlock()
	if found {
		return known, nil
	}
	s, err := read()
	if err != nil {
		return s, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.known == nil {
		t.known = map[string]stretchOf{}
	}
	if _, found := t.known[key]; !found {
		t.known[key], t.order = s, append(t.order, key)
	}
	if len(t.order) > endsKept {
		delete(t.known, t.order[0])
		t.order = t.order[1:]
	}
	return s, nil
}
