package object

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
)

const (
	// pieceSize is the size above which an object goes up in pieces, and of
	// each of them as long as maxPieces suffice.
	pieceSize = 64 << 20
	maxPieces = 10_000
	// sideBySide is the number of pieces on their way at once.
	sideBySide = 4
	// abortTimeout is the time for giving up an upload that failed.
	abortTimeout = 10 * time.Second
)

// putPieces writes an object as an upload of pieces, which becomes visible
// when it is completed. A failed one is given up, as well as that can be done.
func (b *s3Bucket) putPieces(ctx context.Context, key string, body io.ReadSeeker, size int64, when Condition) (string, error) {
	upload, err := b.core.NewMultipartUpload(ctx, b.name, key, minio.PutObjectOptions{})
	if err != nil {
		return "", b.failed("write", key, err)
	}
	parts, err := b.sendPieces(ctx, key, upload, body, size)
	if err != nil {
		b.abort(ctx, key, upload)
		return "", b.failed("write", key, err)
	}
	info, err := b.core.CompleteMultipartUpload(ctx, b.name, key, upload, parts, conditionally(when))
	if err == nil {
		return info.ETag, nil
	}
	if etag, ok := b.completed(ctx, key, size, len(parts), err); ok && when == (Condition{}) {
		return etag, nil
	}
	err = b.refused(key, when, err)
	b.abort(ctx, key, upload)
	return "", err
}

// completed tells whether an upload that is not there any more was completed
// by a request whose answer was lost.
func (b *s3Bucket) completed(ctx context.Context, key string, size int64, parts int, err error) (etag string, ok bool) {
	if minio.ToErrorResponse(err).Code != "NoSuchUpload" {
		return "", false
	}
	info, err := b.Stat(ctx, key)
	return info.ETag, err == nil && info.Size == size && endsIn(info.ETag, parts)
}

// endsIn tells whether an etag is that of an object of so many pieces.
func endsIn(etag string, parts int) bool {
	suffix := fmt.Sprintf("-%d", parts)
	return len(etag) > len(suffix) && etag[len(etag)-len(suffix):] == suffix
}

func (b *s3Bucket) abort(ctx context.Context, key, upload string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	_ = b.core.AbortMultipartUpload(ctx, b.name, key, upload) // what stays, AbortUploads finds
}

// sendPieces sends all pieces and gives what completes them.
func (b *s3Bucket) sendPieces(ctx context.Context, key, upload string, body io.ReadSeeker, size int64) ([]minio.CompletePart, error) {
	length := pieceLength(size)
	parts := make([]minio.CompletePart, (size+length-1)/length)
	return parts, inPieces(ctx, body, size, length, func(ctx context.Context, i int, piece *io.SectionReader) error {
		sum, err := sha256Of(piece, piece.Size())
		if err != nil {
			return err
		}
		options := minio.PutObjectPartOptions{Sha256Hex: sum, DisableContentSha256: true}
		part, err := b.core.PutObjectPart(ctx, b.name, key, upload, i+1, piece, piece.Size(), options)
		parts[i] = minio.CompletePart{PartNumber: i + 1, ETag: part.ETag}
		return err
	})
}

// inPieces sends a body piece by piece, numbered from 0: side by side where it
// can be read at several places at once. It ends with the first error.
func inPieces(ctx context.Context, body io.ReadSeeker, size, length int64, send func(ctx context.Context, i int, piece *io.SectionReader) error) error {
	at, ok := body.(io.ReaderAt)
	workers := sideBySide
	if !ok {
		at, workers = &seeking{body: body}, 1
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	numbers := make(chan int)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for i := range numbers {
				offset := int64(i) * length
				if err := send(ctx, i, io.NewSectionReader(at, offset, min(length, size-offset))); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	for i := range int((size + length - 1) / length) {
		select {
		case numbers <- i:
		case <-ctx.Done():
		}
	}
	close(numbers)
	group.Wait()
	return context.Cause(ctx)
}

// pieceLength is pieceSize, or more for what would have too many pieces.
func pieceLength(size int64) int64 {
	const unit = 1 << 20
	least := (size + maxPieces - 1) / maxPieces
	return max(pieceSize, (least+unit-1)/unit*unit)
}

// seeking reads at a place by going there; for one caller at a time.
type seeking struct{ body io.ReadSeeker }

func (s *seeking) ReadAt(p []byte, offset int64) (int, error) {
	if _, err := s.body.Seek(offset, io.SeekStart); err != nil {
		return 0, err
	}
	return io.ReadFull(s.body, p)
}
