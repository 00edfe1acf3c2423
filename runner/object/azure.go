package object

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

// azureContainer is a container of Azure Blob Storage. Objects are block
// blobs; blocks that were never committed go by themselves after a week.
type azureContainer struct {
	name   string // account/container
	client *container.Client
	probe  probe
}

const azureHint = "check the AZURE_* variables in the runner's environment_file and what their identity may do"

// Stat implements Bucket.
func (c *azureContainer) Stat(ctx context.Context, key string) (Info, error) {
	p, err := c.client.NewBlobClient(key).GetProperties(ctx, nil)
	if err != nil {
		return Info{}, c.failed("look at", key, err)
	}
	return Info{Key: key, Size: *p.ContentLength, ETag: string(*p.ETag), ModTime: p.LastModified.UTC()}, nil
}

// Read implements Bucket.
func (c *azureContainer) Read(ctx context.Context, key, etag string, offset, length int64) (io.ReadCloser, error) {
	return readResuming(ctx, c, c.open, key, etag, offset, length)
}

func (c *azureContainer) open(ctx context.Context, key, etag string, offset, length int64) (piece, error) {
	options := &blob.DownloadStreamOptions{AccessConditions: azureCondition(Condition{Match: etag})}
	options.Range = blob.HTTPRange{Offset: offset, Count: max(length, 0)} // 0: to the end
	answer, err := c.client.NewBlobClient(key).DownloadStream(ctx, options)
	if err != nil {
		return piece{}, c.failed("read", key, err)
	}
	return piece{answer.Body, string(*answer.ETag), *answer.ContentLength, answer.ContentRange != nil}, nil
}

func azureCondition(when Condition) *blob.AccessConditions {
	var modified blob.ModifiedAccessConditions
	switch {
	case when.Absent:
		whatever := azcore.ETagAny
		modified.IfNoneMatch = &whatever
	case when.Match != "":
		etag := azcore.ETag(when.Match)
		modified.IfMatch = &etag
	}
	return &blob.AccessConditions{ModifiedAccessConditions: &modified}
}

// Put implements Bucket.
func (c *azureContainer) Put(ctx context.Context, key string, body io.ReadSeeker, size int64, when Condition) (string, error) {
	client := c.client.NewBlockBlobClient(key)
	if size > pieceSize {
		etag, err := c.putBlocks(ctx, client, body, size, when)
		return etag, c.refused(key, when, err)
	}
	sum, err := crc64Of(body, size)
	if err != nil {
		return "", c.failed("write", key, err)
	}
	answer, err := client.Upload(ctx, streaming.NopCloser(body), &blockblob.UploadOptions{
		AccessConditions: azureCondition(when), TransactionalValidation: sum,
	})
	if err != nil {
		return "", c.refused(key, when, err)
	}
	return string(*answer.ETag), nil
}

// crc64Table is that of the checksum that Azure compares.
var crc64Table = crc64.MakeTable(0x9A6C9329AC4BC9B5)

// crc64Of is the checksum of a body. The client library could make it, but reads
// all of the body into memory for it.
func crc64Of(body io.ReadSeeker, size int64) (blob.TransferValidationTypeCRC64, error) {
	digest := crc64.New(crc64Table)
	err := digestInto(digest, body, size)
	return blob.TransferValidationTypeCRC64(digest.Sum64()), err
}

// putBlocks sends a large object as blocks, which become one when their list
// is committed.
func (c *azureContainer) putBlocks(ctx context.Context, client *blockblob.Client, body io.ReadSeeker, size int64, when Condition) (string, error) {
	length := pieceLength(size)
	ids := make([]string, (size+length-1)/length)
	err := inPieces(ctx, body, size, length, func(ctx context.Context, i int, piece *io.SectionReader) error {
		ids[i] = base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%08d", i))
		sum, err := crc64Of(piece, piece.Size())
		if err != nil {
			return err
		}
		_, err = client.StageBlock(ctx, ids[i], streaming.NopCloser(piece), &blockblob.StageBlockOptions{TransactionalValidation: sum})
		return err
	})
	if err != nil {
		return "", err
	}
	answer, err := client.CommitBlockList(ctx, ids, &blockblob.CommitBlockListOptions{AccessConditions: azureCondition(when)})
	if err != nil {
		return "", err
	}
	return string(*answer.ETag), nil
}

// Delete implements Bucket.
func (c *azureContainer) Delete(ctx context.Context, keys ...string) error {
	return eachSideBySide(keys, func(key string) error {
		_, err := c.client.NewBlobClient(key).Delete(ctx, nil)
		if err = c.failed("delete", key, err); errors.Is(err, ErrNotFound) {
			return nil
		}
		return err
	})
}

// List implements Bucket.
func (c *azureContainer) List(ctx context.Context, prefix string, yield func(Info) error) error {
	pages := c.client.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: &prefix})
	for pages.More() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return c.failed("list", prefix, err)
		}
		for _, item := range page.Segment.BlobItems {
			p := item.Properties
			// Listings leave out the quotes that etags have everywhere else.
			etag := `"` + strings.Trim(string(*p.ETag), `"`) + `"`
			if err := yield(Info{Key: *item.Name, Size: *p.ContentLength, ETag: etag, ModTime: p.LastModified.UTC()}); err != nil {
				return err
			}
		}
	}
	return nil
}

// Enforces implements Bucket.
func (c *azureContainer) Enforces(ctx context.Context, prefix string) (bool, error) {
	return c.probe.enforces(ctx, c, prefix)
}

// refused is failed for a write, whose condition may have been what refused it.
func (c *azureContainer) refused(key string, when Condition, err error) error {
	answer, ok := errors.AsType[*azcore.ResponseError](err)
	absent := ok && when.Absent && answer.StatusCode == http.StatusConflict
	gone := ok && when.Match != "" && answer.StatusCode == http.StatusNotFound
	if err = c.failed("write", key, err); absent || gone || errors.Is(err, ErrChanged) {
		return fmt.Errorf("write az://%s/%s: %w", c.name, key, ErrPrecondition)
	}
	return err
}

func (c *azureContainer) failed(verb, key string, err error) error {
	if err == nil {
		return nil
	}
	what := fmt.Sprintf("%s az://%s/%s", verb, c.name, key)
	if answer, ok := errors.AsType[*azcore.ResponseError](err); ok {
		// Its own text is many lines long.
		said := fmt.Errorf("%d %s", answer.StatusCode, answer.ErrorCode)
		missing := ErrNotFound
		if bloberror.HasCode(err, bloberror.ContainerNotFound) {
			missing = ErrNoBucket
		}
		return fail(what, answer.StatusCode, missing, said, azureHint)
	}
	return fail(what, 0, ErrNotFound, err, azureHint)
}
