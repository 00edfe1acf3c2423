package object

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// gcsBucket is a bucket of Google Cloud Storage, through its JSON API. The
// etags that callers see are generations, which the conditions of the API are
// about. Objects go up in one request each: whatever their size, a connection
// that breaks has the whole of one sent again.
type gcsBucket struct {
	name     string
	endpoint string
	client   *http.Client
	probe    probe
}

// gcsObject is what the API tells of an object.
type gcsObject struct {
	Name       string    `json:"name"`
	Size       int64     `json:"size,string"`
	Generation string    `json:"generation"`
	Updated    time.Time `json:"updated"`
}

const (
	gcsFields = "name,size,generation,updated"
	gcsHint   = "check GOOGLE_APPLICATION_CREDENTIALS in the runner's environment_file and what that identity may do"
)

func (o gcsObject) info() Info {
	return Info{Key: o.Name, Size: o.Size, ETag: o.Generation, ModTime: o.Updated.UTC()}
}

// Stat implements Bucket.
func (b *gcsBucket) Stat(ctx context.Context, key string) (Info, error) {
	var o gcsObject
	err := b.ask(ctx, http.MethodGet, b.at(key), url.Values{"fields": {gcsFields}}, &o)
	return o.info(), b.failed("look at", key, err)
}

// Read implements Bucket.
func (b *gcsBucket) Read(ctx context.Context, key, etag string, offset, length int64) (io.ReadCloser, error) {
	return readResuming(ctx, b, b.open, key, etag, offset, length)
}

func (b *gcsBucket) open(ctx context.Context, key, etag string, offset, length int64) (piece, error) {
	query := url.Values{"alt": {"media"}}
	if etag != "" {
		query.Set("ifGenerationMatch", etag)
	}
	answer, err := sendAgain(ctx, b.client, func() (*http.Request, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, b.at(key)+"?"+query.Encode(), nil)
		if err == nil {
			request.Header.Set("Accept-Encoding", "gzip") // as it is stored
			setRangeHeader(request, offset, length)
		}
		return request, err
	})
	if err != nil {
		return piece{}, b.failed("read", key, err)
	}
	generation := answer.Header.Get("X-Goog-Generation")
	if etag != "" && generation != etag {
		return piece{}, errors.Join(fmt.Errorf("read gs://%s/%s: %w", b.name, key, ErrChanged), answer.Body.Close())
	}
	return piece{answer.Body, generation, answer.ContentLength, answer.StatusCode == http.StatusPartialContent}, nil
}

// setRangeHeader asks for a part of an object; length may be negative.
func setRangeHeader(request *http.Request, offset, length int64) {
	switch {
	case length >= 0:
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", offset, offset+length-1))
	case offset > 0:
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", offset))
	}
}

// Put implements Bucket.
func (b *gcsBucket) Put(ctx context.Context, key string, body io.ReadSeeker, size int64, when Condition) (string, error) {
	start, sum, err := crc32cOf(body, size)
	if err != nil {
		return "", b.failed("write", key, err)
	}
	query := url.Values{"uploadType": {"multipart"}, "fields": {gcsFields}}
	switch {
	case when.Absent:
		query.Set("ifGenerationMatch", "0")
	case when.Match != "":
		query.Set("ifGenerationMatch", when.Match)
	}
	head, err := gcsPreamble(key, sum)
	if err != nil {
		return "", b.failed("write", key, err)
	}
	var o gcsObject
	err = b.decode(ctx, &o, func() (*http.Request, error) {
		if _, err := body.Seek(start, io.SeekStart); err != nil {
			return nil, err
		}
		whole := io.MultiReader(strings.NewReader(head), io.LimitReader(body, size), strings.NewReader(gcsEnd))
		request, err := http.NewRequestWithContext(ctx, http.MethodPost,
			b.endpoint+"/upload/storage/v1/b/"+url.PathEscape(b.name)+"/o?"+query.Encode(), io.NopCloser(whole))
		if err == nil {
			request.ContentLength = int64(len(head)) + size + int64(len(gcsEnd))
			request.Header.Set("Content-Type", "multipart/related; boundary="+gcsBoundary)
		}
		return request, err
	})
	if when.Match != "" && isStatus(err, http.StatusNotFound) {
		err = &statusError{http.StatusPreconditionFailed, err}
	}
	if err = b.failed("write", key, err); errors.Is(err, ErrChanged) {
		err = fmt.Errorf("write gs://%s/%s: %w", b.name, key, ErrPrecondition)
	}
	return o.Generation, err
}

// An upload has two parts: what the object is called, and its content. The
// server reads the boundary as such only after a line break of the API's form,
// and the content's checksum tells if it ever stood in a content.
const (
	gcsBoundary = "batch-8e1f6b0d2c9a4735"
	gcsEnd      = "\r\n--" + gcsBoundary + "--\r\n"
)

func gcsPreamble(key, crc32c string) (string, error) {
	about, err := json.Marshal(map[string]string{"name": key, "crc32c": crc32c})
	return "--" + gcsBoundary + "\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n" + string(about) +
		"\r\n--" + gcsBoundary + "\r\nContent-Type: application/octet-stream\r\n\r\n", err
}

// crc32cOf reads a body, and tells where it began; the store compares the sum.
func crc32cOf(body io.ReadSeeker, size int64) (start int64, sum string, err error) {
	if start, err = body.Seek(0, io.SeekCurrent); err != nil {
		return start, "", err
	}
	digest := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	n, err := io.Copy(digest, io.LimitReader(body, size+1))
	if err == nil && n != size {
		err = fmt.Errorf("the body does not have %d bytes", size)
	}
	return start, base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, digest.Sum32())), err
}

// Delete implements Bucket.
func (b *gcsBucket) Delete(ctx context.Context, keys ...string) error {
	return eachSideBySide(keys, func(key string) error {
		err := b.failed("delete", key, b.ask(ctx, http.MethodDelete, b.at(key), nil, nil))
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		return err
	})
}

// eachSideBySide does something with every key, some at once, and gives an
// error of it.
func eachSideBySide(keys []string, do func(key string) error) error {
	var group sync.WaitGroup
	places, errs := make(chan struct{}, 2*sideBySide), make([]error, len(keys))
	for i, key := range keys {
		places <- struct{}{}
		group.Go(func() {
			defer func() { <-places }()
			errs[i] = do(key)
		})
	}
	group.Wait()
	return cmp.Or(errs...)
}

// List implements Bucket.
func (b *gcsBucket) List(ctx context.Context, prefix string, yield func(Info) error) error {
	query := url.Values{"prefix": {prefix}, "maxResults": {"1000"}, "fields": {"items(" + gcsFields + "),nextPageToken"}}
	for {
		var page struct {
			Items         []gcsObject `json:"items"`
			NextPageToken string      `json:"nextPageToken"`
		}
		if err := b.ask(ctx, http.MethodGet, b.at(""), query, &page); err != nil {
			return b.failed("list", prefix, err)
		}
		for _, o := range page.Items {
			if err := yield(o.info()); err != nil {
				return err
			}
		}
		if page.NextPageToken == "" {
			return nil
		}
		query.Set("pageToken", page.NextPageToken)
	}
}

// Enforces implements Bucket.
func (b *gcsBucket) Enforces(ctx context.Context, prefix string) (bool, error) {
	return b.probe.enforces(ctx, b, prefix)
}

// at is the address of an object, or without a key of all.
func (b *gcsBucket) at(key string) string {
	all := b.endpoint + "/storage/v1/b/" + url.PathEscape(b.name) + "/o"
	if key == "" {
		return all
	}
	return all + "/" + url.PathEscape(key)
}

// ask sends a request without a body.
func (b *gcsBucket) ask(ctx context.Context, method, at string, query url.Values, answer any) error {
	return b.decode(ctx, answer, func() (*http.Request, error) {
		return http.NewRequestWithContext(ctx, method, at+"?"+query.Encode(), nil)
	})
}

// decode reads an answer into a value; a nil one takes none.
func (b *gcsBucket) decode(ctx context.Context, into any, make func() (*http.Request, error)) error {
	answer, err := sendAgain(ctx, b.client, make)
	if err != nil {
		return err
	}
	if into != nil {
		err = json.NewDecoder(answer.Body).Decode(into)
	}
	return errors.Join(err, answer.Body.Close())
}

func (b *gcsBucket) failed(verb, key string, err error) error {
	if err == nil {
		return nil
	}
	missing := ErrNotFound
	if verb == "list" || verb == "write" {
		missing = ErrNoBucket
	}
	return fail(fmt.Sprintf("%s gs://%s/%s", verb, b.name, key), 0, missing, err, gcsHint)
}

// openGCS is a bucket at Google, or at the emulator that the environment names.
func openGCS(env func(string) string, name string) (patient, error) {
	base, err := transport("")
	if err != nil {
		return patient{}, err
	}
	bucket := &gcsBucket{name: name, endpoint: "https://storage.googleapis.com", client: &http.Client{Transport: &googleTransport{env: env, base: base}}}
	if emulator := env("STORAGE_EMULATOR_HOST"); emulator != "" {
		if !strings.Contains(emulator, "://") {
			emulator = "http://" + emulator
		}
		bucket.endpoint, bucket.client.Transport = strings.TrimSuffix(emulator, "/"), base
	}
	return patient{bucket, base.CloseIdleConnections}, nil
}
