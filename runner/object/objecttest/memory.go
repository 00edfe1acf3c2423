// Package objecttest holds buckets for tests, a conformance suite that every
// kind of bucket passes, and the test servers that the environment names.
package objecttest

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // an etag, as stores make it
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/batchpattern/terraform-provider-batch/runner/object"
)

// Memory is a bucket in memory.
type Memory struct {
	// Ignores has it take every Put whatever its condition says, as some
	// servers do.
	Ignores bool

	mu      sync.Mutex
	objects map[string]stored
	sorted  []string // keys; nil: to be made again
}

type stored struct {
	info    object.Info
	content []byte
}

// NewMemory is an empty bucket that keeps conditions.
func NewMemory() *Memory { return &Memory{objects: map[string]stored{}} }

// Contents is every object with its content.
func (m *Memory) Contents() map[string]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	contents := map[string]string{}
	for key, o := range m.objects {
		contents[key] = string(o.content)
	}
	return contents
}

// Stat implements object.Bucket.
func (m *Memory) Stat(ctx context.Context, key string) (object.Info, error) {
	o, err := m.get(ctx, key)
	return o.info, err
}

func (m *Memory) get(ctx context.Context, key string) (stored, error) {
	if err := ctx.Err(); err != nil {
		return stored{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.objects[key]
	if !ok {
		return stored{}, fmt.Errorf("%s: %w", key, object.ErrNotFound)
	}
	return o, nil
}

// Read implements object.Bucket.
func (m *Memory) Read(ctx context.Context, key, etag string, offset, length int64) (io.ReadCloser, error) {
	o, err := m.get(ctx, key)
	if err != nil {
		return nil, err
	}
	if etag != "" && etag != o.info.ETag {
		return nil, fmt.Errorf("%s: %w", key, object.ErrChanged)
	}
	rest := o.content[min(offset, o.info.Size):]
	if length >= 0 {
		if int64(len(rest)) < length {
			return nil, fmt.Errorf("read %s: %d bytes from %d of %d: %w", key, length, offset, o.info.Size, io.ErrUnexpectedEOF)
		}
		rest = rest[:length]
	}
	return io.NopCloser(bytes.NewReader(rest)), nil
}

// Put implements object.Bucket.
func (m *Memory) Put(ctx context.Context, key string, body io.ReadSeeker, size int64, when object.Condition) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	content, err := io.ReadAll(io.LimitReader(body, size+1))
	if err != nil {
		return "", err
	}
	if int64(len(content)) != size {
		return "", fmt.Errorf("write %s: the body does not have %d bytes", key, size)
	}
	sum := md5.Sum(content) //nolint:gosec // see the import
	etag := `"` + hex.EncodeToString(sum[:]) + `"`
	m.mu.Lock()
	defer m.mu.Unlock()
	old, there := m.objects[key]
	if !m.Ignores && (when.Absent && there || when.Match != "" && when.Match != old.info.ETag) {
		return "", fmt.Errorf("write %s: %w", key, object.ErrPrecondition)
	}
	if !there {
		m.sorted = nil
	}
	m.objects[key] = stored{object.Info{Key: key, Size: size, ETag: etag, ModTime: time.Now().UTC()}, content}
	return etag, nil
}

// Delete implements object.Bucket.
func (m *Memory) Delete(ctx context.Context, keys ...string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, key := range keys {
		delete(m.objects, key)
		m.sorted = nil
	}
	return nil
}

// List implements object.Bucket.
func (m *Memory) List(ctx context.Context, prefix string, yield func(object.Info) error) error {
	return m.list(ctx, prefix, "", yield)
}

// list gives the objects whose keys come after another.
func (m *Memory) list(ctx context.Context, prefix, after string, yield func(object.Info) error) error {
	m.mu.Lock()
	if m.sorted == nil {
		m.sorted = slices.Sorted(maps.Keys(m.objects))
	}
	keys := m.sorted // replaced, never changed
	m.mu.Unlock()
	first, _ := slices.BinarySearch(keys, max(prefix, after))
	for _, key := range keys[first:] {
		if !strings.HasPrefix(key, prefix) {
			break
		}
		if key == after {
			continue
		}
		o, err := m.get(ctx, key)
		if errors.Is(err, object.ErrNotFound) {
			continue // deleted meanwhile
		}
		if err == nil {
			err = yield(o.info)
		}
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

// Enforces implements object.Bucket.
func (m *Memory) Enforces(context.Context, string) (bool, error) { return !m.Ignores, nil }
