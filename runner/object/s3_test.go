package object_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/batchpattern/terraform-provider-batch/runner/object"
	"github.com/batchpattern/terraform-provider-batch/runner/object/objecttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemoryIsABucket(t *testing.T) {
	objecttest.Conforms(t, objecttest.NewMemory(), "")
}

func TestS3IsABucket(t *testing.T) {
	bucket, prefix := objecttest.S3(t).Bucket(t)
	objecttest.Conforms(t, bucket, prefix)
}

func TestAStoreThatIgnoresConditionsIsFoundOut(t *testing.T) {
	for _, ignores := range []bool{true, false} {
		memory := objecttest.NewMemory()
		memory.Ignores = ignores
		bucket, prefix := objecttest.NewS3Server(t, &objecttest.S3Server{Memory: memory}).Bucket(t)
		for range 2 {
			if enforced, err := bucket.Enforces(t.Context(), prefix); err != nil || enforced == ignores {
				t.Errorf("ignores %v: Enforces says %v, %v", ignores, enforced, err)
			}
		}
		if left := memory.Contents(); len(left) > 0 {
			t.Errorf("the probe leaves %v", left)
		}
	}
}

func TestAReadGoesOnWhereTheConnectionBreaks(t *testing.T) {
	memory, content := objecttest.NewMemory(), strings.Repeat("0123456789", 10_000)
	var answers atomic.Int64
	bucket, prefix := objecttest.NewS3Server(t, &objecttest.S3Server{Memory: memory, Before: func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || answers.Add(1) > 4 {
			return false
		}
		// Announce the rest of the object, and send a part of it.
		var from int
		_, _ = fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from)
		w.Header().Set("Content-Length", fmt.Sprint(len(content)-from))
		w.Header().Set("ETag", `"`+strings.Trim(r.Header.Get("If-Match"), `"`)+`"`)
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(content)-1, len(content)))
		w.Header().Set("Last-Modified", "Sat, 21 Nov 2026 02:00:00 GMT")
		w.WriteHeader(http.StatusPartialContent)
		_, _ = io.WriteString(w, content[from:from+1000])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}}).Bucket(t)
	etag := put(t, bucket, prefix+"x", content)
	body, err := bucket.Read(t.Context(), prefix+"x", etag, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(body)
	if err != nil || string(got) != content {
		t.Errorf("read %d bytes, %v; want %d", len(got), err, len(content))
	}
	if err := body.Close(); err != nil {
		t.Error(err)
	}
	if answers.Load() != 5 {
		t.Errorf("%d requests were sent, want 5", answers.Load())
	}
}

func TestAReadDoesNotGoOnWithAnotherContent(t *testing.T) {
	memory := objecttest.NewMemory()
	var first atomic.Bool
	bucket, prefix := objecttest.NewS3Server(t, &objecttest.S3Server{Memory: memory, Before: func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || first.Swap(true) {
			return false
		}
		w.Header().Set("Content-Length", "6")
		w.Header().Set("ETag", `"a"`)
		w.Header().Set("Last-Modified", "Sat, 21 Nov 2026 02:00:00 GMT")
		_, _ = io.WriteString(w, "old")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}}).Bucket(t)
	put(t, bucket, prefix+"x", "newnew")
	body, err := bucket.Read(t.Context(), prefix+"x", "", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = body.Close() }() // only read
	if got, err := io.ReadAll(body); !errors.Is(err, object.ErrChanged) {
		t.Errorf("read %q, %v", got, err)
	}
}

func TestRefusalsSayWhatToDo(t *testing.T) {
	for _, c := range []struct {
		status    int
		code      string
		want      string
		transient bool
	}{
		{http.StatusForbidden, "AccessDenied", "environment_file", false},
		{http.StatusForbidden, "InvalidAccessKeyId", "environment_file", false},
		{http.StatusNotFound, "NoSuchBucket", "no such bucket", false},
		{http.StatusNotImplemented, "NotImplemented", "NotImplemented", false},
		{http.StatusConflict, "OperationAborted", "OperationAborted", true},
	} {
		t.Run(c.code, func(t *testing.T) {
			bucket, prefix := objecttest.NewS3Server(t, &objecttest.S3Server{Before: func(w http.ResponseWriter, _ *http.Request) bool {
				objecttest.RefuseS3(w, c.status, c.code)
				return true
			}}).Bucket(t)
			_, err := bucket.Put(t.Context(), prefix+"x", strings.NewReader("x"), 1, object.Condition{})
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), prefix+"x") || object.Transient(err) != c.transient {
				t.Errorf("got %v (transient %v)", err, object.Transient(err))
			}
		})
	}
}

func TestAStoreOutOfReachIsTroubleThatPasses(t *testing.T) {
	env := map[string]string{"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}
	stores := object.NewStores(func(name string) string { return env[name] })
	defer stores.Close()
	bucket, key, err := stores.Bucket(t.Context(), "s3://bucket/key")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bucket.Stat(t.Context(), key); err == nil || !object.Transient(err) {
		t.Errorf("got %v", err)
	}
}

func put(t *testing.T, bucket object.Bucket, key, content string) string {
	t.Helper()
	etag, err := bucket.Put(t.Context(), key, strings.NewReader(content), int64(len(content)), object.Condition{})
	if err != nil {
		t.Fatal(err)
	}
	return etag
}

func TestAListingIsNotHeldInMemory(t *testing.T) {
	memory := objecttest.NewMemory()
	for i := range 100_000 {
		put(t, memory, fmt.Sprintf("many/%s/%06d", strings.Repeat("x", 200), i), "")
	}
	requests := atomic.Int64{}
	store := objecttest.NewS3Server(t, &objecttest.S3Server{Memory: memory, Before: func(http.ResponseWriter, *http.Request) bool {
		requests.Add(1)
		return false
	}})
	bucket, _ := store.Bucket(t)
	seen, last := 0, ""
	err := bucket.List(t.Context(), "many/", func(info object.Info) error {
		if info.Key <= last {
			t.Errorf("%s comes after %s", info.Key, last)
		}
		seen, last = seen+1, info.Key
		if pages := requests.Load(); pages > int64(seen/1000)+2 {
			t.Fatalf("%d pages were read for %d objects", pages, seen)
		}
		return nil
	})
	if err != nil || seen != 100_000 {
		t.Errorf("%d listed, %v", seen, err)
	}
	runtime.KeepAlive(memory)
}
