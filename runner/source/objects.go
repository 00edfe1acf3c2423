package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/object"
)

// objects is the object stores. An object is the planned one as long as its
// ETag is: every read says so to the store.
type objects struct {
	bucket func(ctx context.Context, uri string) (object.Bucket, string, error)
	ends   *ends
}

// list looks for one object by its name, for several in a listing of what their
// names begin with.
func (o objects) list(ctx context.Context, pattern string) (found []listed, err error) {
	g, err := newGlob(pattern)
	if err != nil {
		return nil, unusable("", fmt.Errorf("match input objects %q: %w", pattern, err))
	}
	prefix := g.prefix()
	bucket, key, err := o.bucket(ctx, prefix)
	if err != nil {
		return nil, unusable("", err)
	}
	base := strings.TrimSuffix(prefix, key)
	add := func(info object.Info) error {
		name := base + info.Key
		if g.match(name) && !strings.HasSuffix(name, "/") { // a folder that somebody made visible
			found = append(found, listed{path: name, size: info.Size, modTime: info.ModTime.UTC(), etag: info.ETag})
		}
		return nil
	}
	if prefix == pattern {
		var info object.Info
		if info, err = bucket.Stat(ctx, key); err == nil {
			err = add(info)
		}
	} else {
		err = bucket.List(ctx, key, add)
	}
	if errors.Is(err, object.ErrNotFound) {
		return nil, nil
	}
	return found, storeFailed(ctx, "look for input objects", pattern, err)
}

// reachable has nothing to add: a prefix without objects is no place.
func (objects) reachable(context.Context, string) error { return nil }

// width makes up for what an answer takes on its way.
func (objects) width() int { return 16 }

func (o objects) pin(ctx context.Context, l listed) (File, content, error) {
	f := File{Path: l.path, Size: l.size, ModTime: l.modTime, ETag: l.etag, SHA256: etagSum(l.etag)}
	c, err := o.open(ctx, f)
	return f, c, err
}

func (o objects) exists(ctx context.Context, uri string) (bool, error) {
	bucket, key, err := o.bucket(ctx, uri)
	if err != nil {
		return false, err
	}
	_, err = bucket.Stat(ctx, key)
	if errors.Is(err, object.ErrNotFound) {
		return false, nil
	}
	return err == nil, storeFailed(ctx, "look for", uri, err)
}

// open asks the store nothing yet.
func (o objects) open(ctx context.Context, f File) (content, error) {
	bucket, key, err := o.bucket(ctx, f.Path)
	if err != nil {
		return nil, err
	}
	return &objectContent{ctx: ctx, bucket: bucket, key: key, file: f, ends: o.ends}, nil
}

func (o objects) check(ctx context.Context, f File) error {
	bucket, key, err := o.bucket(ctx, f.Path)
	if err != nil {
		return err
	}
	info, err := bucket.Stat(ctx, key)
	if err == nil && info.ETag != f.ETag {
		err = object.ErrChanged
	}
	return f.unread(ctx, err)
}

// unread says what keeps an object from being read.
func (f File) unread(ctx context.Context, err error) error {
	switch {
	case err == nil || errors.Is(err, io.EOF):
		return err
	case errors.Is(err, object.ErrNotFound):
		return f.changed(errors.New("it is gone"))
	case errors.Is(err, object.ErrChanged):
		return f.changed(fmt.Errorf("it is not the content with ETag %s any more", f.ETag))
	}
	return storeFailed(ctx, "read input", f.Path, err)
}

// ErrAway says that an object store can't be reached, or does not work, now.
var ErrAway = errors.New("the store does not answer now")

// storeFailed tells what may pass by itself from what somebody has to set right.
func storeFailed(ctx context.Context, what, uri string, err error) error {
	if err == nil {
		return nil
	}
	if _, known := errors.AsType[*api.Failure](err); known {
		return err
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%s %s: %w", what, uri, err)
	}
	if object.Transient(err) {
		return fmt.Errorf("%s %s: %w: %w", what, uri, ErrAway, err)
	}
	err = fmt.Errorf("%s %s: %w", what, uri, err)
	return unusable("see that the store's credentials in the runner's environment_file may list and read it", err)
}
