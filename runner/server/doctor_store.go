package server

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/object"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
)

// storeRights is what an identity must be allowed to do below an output's uri,
// in the words of each store.
var storeRights = map[string]string{
	"s3": "s3:ListBucket on the bucket, and s3:GetObject, s3:PutObject and s3:DeleteObject on what lies below the uri",
	"gs": "the role Storage Object User (roles/storage.objectUser) on the bucket",
	"az": "the role Storage Blob Data Contributor on the container",
}

// checkBucket lists what is below the output's uri and looks at the pointer,
// which need not be there: that a bucket is not there, a store says only then.
// Whether it may write and delete, it knows where it is to try.
func (s *Server) checkBucket(ctx context.Context, uri string, try bool) api.Check {
	root := api.Root(uri)
	bucket, prefix, err := s.Inputs.Objects.Bucket(ctx, root+"/")
	if err == nil {
		err = looksInto(ctx, bucket, prefix)
	}
	if err == nil && try {
		err = writesInto(ctx, bucket, prefix)
	}
	scheme, _, _ := strings.Cut(uri, "://")
	switch {
	case errors.Is(err, object.ErrNoBucket):
		return bad("output", err, "make the bucket, or correct its name in output.files.uri, or the store's endpoint in the runner's environment_file")
	case errors.Is(err, object.ErrDenied):
		return bad("output", err, "give the runner's identity "+storeRights[scheme]+", or change output.files.uri")
	case err != nil:
		return bad("output", err, "correct output.files.uri, or the store's endpoint and credentials in the runner's environment_file")
	case !try:
		return good("output", "%s can be listed; with --try the doctor writes an object there, reads it and removes it", root)
	}
	keeps, err := bucket.Enforces(ctx, prefix)
	if err != nil {
		return bad("output", err, "")
	}
	if !keeps {
		return good("output", "%s can be listed, written, read and deleted; its store ignores preconditions, so that nothing but this runner keeps two writers apart", root)
	}
	return good("output", "%s can be listed, written, read and deleted, and its store keeps preconditions", root)
}

// errSeen ends a listing that has told enough.
var errSeen = errors.New("seen")

func looksInto(ctx context.Context, bucket object.Bucket, prefix string) error {
	if err := bucket.List(ctx, prefix, func(object.Info) error { return errSeen }); err != nil && !errors.Is(err, errSeen) {
		return err
	}
	if _, err := bucket.Stat(ctx, prefix+sink.LatestName); err != nil && !errors.Is(err, object.ErrNotFound) {
		return err
	}
	return nil
}

// writesInto writes an object of its own, reads it and removes it.
func writesInto(ctx context.Context, bucket object.Bucket, prefix string) (err error) {
	key, content := prefix+".batch-probe-"+rand.Text(), []byte("written by batch-runner doctor\n")
	if _, err := bucket.Put(ctx, key, bytes.NewReader(content), int64(len(content)), object.Condition{}); err != nil {
		return err
	}
	defer func() {
		if left := bucket.Delete(context.WithoutCancel(ctx), key); left != nil {
			err = errors.Join(err, fmt.Errorf("%w; the object stays there", left))
		}
	}()
	body, err := bucket.Read(ctx, key, "", 0, -1)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }() // read only
	if got, err := io.ReadAll(body); err != nil || !bytes.Equal(got, content) {
		return errors.Join(fmt.Errorf("object %s was written with %d bytes and read with %d", key, len(content), len(got)), err)
	}
	return nil
}
