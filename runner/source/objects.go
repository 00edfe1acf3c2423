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

func (o objects) list(ctx context.Context, pattern string) ([]listed, error) {
	return o.listBut(ctx, pattern, func(listed) bool { return false })
}

// listBut looks for one object by its name, for several in a listing of what
// their names begin with. Those that are to be skipped it does not hold.
func (o objects) listBut(ctx context.Context, pattern string, skip func(listed) bool) (found []listed, err error) {
	g, err := api.NewGlob(pattern)
	if err != nil {
		return nil, unusable("", fmt.Errorf("match input objects %q: %w", pattern, err))
	}
	prefix := g.Prefix()
	bucket, key, err := o.bucket(ctx, prefix)
	if err != nil {
		return nil, unusable("", err)
	}
	base := strings.TrimSuffix(prefix, key)
	add := func(info object.Info) error {
		l := listed{path: base + info.Key, size: info.Size, modTime: info.ModTime.UTC(), etag: info.ETag}
		folder := strings.HasSuffix(l.path, "/") // that somebody made visible
		if !folder && g.Match(l.path) && !skip(l) {
			found = append(found, l)
		}
		return nil
	}
	if prefix == pattern {
		var info object.Info
		if info, err = bucket.Stat(ctx, key); err == nil {
			err = add(info)
		} else if errors.Is(err, object.ErrNotFound) {
			err = onlyBucket(bucket.List(ctx, key, func(object.Info) error { return errSeen }))
		}
	} else {
		err = bucket.List(ctx, key, add)
	}
	return found, storeFailed(ctx, "look for input objects", pattern, err)
}

// errSeen ends a listing that has told enough.
var errSeen = errors.New("seen")

// onlyBucket keeps of a listing's error that there is no bucket: who may read
// an object need not be allowed to list.
func onlyBucket(err error) error {
	if errors.Is(err, object.ErrNoBucket) || object.Transient(err) || errors.Is(err, context.Canceled) {
		return err
	}
	return nil
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
	return unusable(remedyOf(err), fmt.Errorf("%s %s: %w", what, uri, err))
}

func remedyOf(err error) string {
	switch {
	case errors.Is(err, object.ErrNoBucket):
		return "make the bucket, or correct its name in the uri, or the store's endpoint in the runner's environment_file"
	case errors.Is(err, object.ErrDenied):
		return "let that identity list the bucket and read its objects"
	}
	return "correct the uri, or the store's endpoint and credentials in the runner's environment_file"
}
