package object

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"net/http"
	"slices"

	"github.com/minio/minio-go/v7"
)

// s3Bucket is a bucket of S3, or of a server that speaks its protocol.
type s3Bucket struct {
	name  string
	core  *minio.Core
	probe probe
}

// Stat implements Bucket.
func (b *s3Bucket) Stat(ctx context.Context, key string) (Info, error) {
	info, err := b.core.StatObject(ctx, b.name, key, minio.StatObjectOptions{})
	if err != nil {
		return Info{}, b.failed("look at", key, err)
	}
	return s3Info(info), nil
}

func s3Info(info minio.ObjectInfo) Info {
	return Info{Key: info.Key, Size: info.Size, ETag: info.ETag, ModTime: info.LastModified.UTC()}
}

// Read implements Bucket.
func (b *s3Bucket) Read(ctx context.Context, key, etag string, offset, length int64) (io.ReadCloser, error) {
	return readResuming(ctx, b, b.open, key, etag, offset, length)
}

func (b *s3Bucket) open(ctx context.Context, key, etag string, offset, length int64) (piece, error) {
	var options minio.GetObjectOptions
	if etag != "" {
		if err := options.SetMatchETag(etag); err != nil {
			return piece{}, b.failed("read", key, err)
		}
	}
	if err := setRange(&options, offset, length); err != nil {
		return piece{}, b.failed("read", key, err)
	}
	body, info, header, err := b.core.GetObject(ctx, b.name, key, options)
	if err != nil {
		return piece{}, b.failed("read", key, err)
	}
	return piece{body: body, etag: info.ETag, size: info.Size, partial: header.Get("Content-Range") != ""}, nil
}

func setRange(options *minio.GetObjectOptions, offset, length int64) error {
	switch {
	case length >= 0:
		return options.SetRange(offset, offset+length-1)
	case offset > 0:
		return options.SetRange(offset, 0) // to the end
	}
	return nil
}

// Put implements Bucket.
func (b *s3Bucket) Put(ctx context.Context, key string, body io.ReadSeeker, size int64, when Condition) (string, error) {
	if size > pieceSize {
		return b.putPieces(ctx, key, body, size, when)
	}
	options := conditionally(when)
	sum, err := sha256Of(body, size)
	if err != nil {
		return "", b.failed("write", key, err)
	}
	info, err := b.core.PutObject(ctx, b.name, key, body, size, "", sum, options)
	if err != nil {
		return "", b.refused(key, when, err)
	}
	return info.ETag, nil
}

// conditionally has the payload's hash signed, whatever the connection, so that
// the server compares it.
func conditionally(when Condition) minio.PutObjectOptions {
	options := minio.PutObjectOptions{DisableContentSha256: true} // of pieces; that of the whole is given
	switch {
	case when.Absent:
		options.SetMatchETagExcept("*")
	case when.Match != "":
		options.SetMatchETag(when.Match)
	}
	return options
}

// sha256Of reads a body, and goes back to its beginning.
func sha256Of(body io.ReadSeeker, size int64) (string, error) {
	digest := sha256.New()
	err := digestInto(digest, body, size)
	return hex.EncodeToString(digest.Sum(nil)), err
}

// digestInto has a hash take what a body will send, and takes it back to where
// it was.
func digestInto(digest hash.Hash, body io.ReadSeeker, size int64) error {
	start, err := body.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	n, err := io.Copy(digest, io.LimitReader(body, size+1))
	if err != nil {
		return err
	}
	if n != size {
		return fmt.Errorf("the body does not have %d bytes", size)
	}
	_, err = body.Seek(start, io.SeekStart)
	return err
}

// Delete implements Bucket.
func (b *s3Bucket) Delete(ctx context.Context, keys ...string) error {
	if len(keys) == 1 {
		if err := b.core.RemoveObject(ctx, b.name, keys[0], minio.RemoveObjectOptions{}); err != nil {
			if err = b.failed("delete", keys[0], err); !errors.Is(err, ErrNotFound) {
				return err
			}
		}
		return nil
	}
	objects := iter.Seq[minio.ObjectInfo](func(yield func(minio.ObjectInfo) bool) {
		for _, key := range keys {
			if !yield(minio.ObjectInfo{Key: key}) {
				return
			}
		}
	})
	results, err := b.core.RemoveObjectsWithIter(ctx, b.name, objects, minio.RemoveObjectsOptions{})
	if err != nil {
		return b.failed("delete from", "", err)
	}
	for result := range results {
		if result.Err != nil {
			return b.failed("delete", result.ObjectName, result.Err)
		}
	}
	return ctx.Err()
}

// List implements Bucket.
func (b *s3Bucket) List(ctx context.Context, prefix string, yield func(Info) error) error {
	for info := range b.core.ListObjectsIter(ctx, b.name, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
		if info.Err != nil {
			return b.failed("list", prefix, info.Err)
		}
		if err := yield(s3Info(info)); err != nil {
			return err
		}
	}
	return ctx.Err() // the listing just ends where ctx does
}

// Enforces implements Bucket.
func (b *s3Bucket) Enforces(ctx context.Context, prefix string) (bool, error) {
	return b.probe.enforces(ctx, b, prefix)
}

// AbortUploads implements Uploads.
func (b *s3Bucket) AbortUploads(ctx context.Context, prefix string, which func(key string) bool) error {
	for upload := range b.core.ListIncompleteUploads(ctx, b.name, prefix, true) {
		err := upload.Err
		if err == nil && !which(upload.Key) {
			continue
		}
		if err == nil {
			err = b.core.AbortMultipartUpload(ctx, b.name, upload.Key, upload.UploadID)
		}
		if err = b.failed("give up uploads of", prefix, err); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	return ctx.Err()
}

// refused is failed for a conditional write.
func (b *s3Bucket) refused(key string, when Condition, err error) error {
	answer := minio.ToErrorResponse(err)
	// Another writer is at it (409), or the object to be replaced is gone (404).
	if when != (Condition{}) && answer.StatusCode == http.StatusConflict || when.Match != "" && answer.Code == minio.NoSuchKey {
		err = &statusError{http.StatusPreconditionFailed, err}
	}
	if err = b.failed("write", key, err); errors.Is(err, ErrChanged) {
		return fmt.Errorf("write s3://%s/%s: %w", b.name, key, ErrPrecondition)
	}
	return err
}

// failed says what could not be done, and why in the words of this package.
func (b *s3Bucket) failed(verb, key string, err error) error {
	if err == nil {
		return nil
	}
	answer := minio.ToErrorResponse(err)
	status := answer.StatusCode
	if status == 0 && answer.Code == minio.NoSuchKey {
		status = http.StatusNotFound
	}
	if slices.Contains(deniedCodes, answer.Code) {
		status = http.StatusForbidden // some servers say that with another one
	}
	missing := ErrNotFound
	if answer.Code == minio.NoSuchBucket { // which the answer to a look does not say
		missing = ErrNoBucket
	}
	return fail(fmt.Sprintf("%s s3://%s/%s", verb, b.name, key), status, missing, err, s3Hint)
}

// deniedCodes are what stores answer to an identity that they do not know.
var deniedCodes = []string{"AccessDenied", "ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch", "XAdminUserNotFound"}

const s3Hint = "check the AWS_* variables in the runner's environment_file and what their identity may do"
