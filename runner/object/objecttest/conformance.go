package objecttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/runner/object"
)

// Conforms checks all that object.Bucket promises, below a prefix of its own.
func Conforms(t *testing.T, bucket object.Bucket, prefix string) {
	for name, check := range map[string]func(*testing.T, at){
		"an object is read back as it was written":       roundTrip,
		"any range can be read":                          ranges,
		"a read by etag never gives another content":     pinned,
		"only one of many creates an object":             createOnce,
		"only one of many replaces what all have read":   replaceOnce,
		"a refused write changes nothing":                refused,
		"what is not there is not found":                 missing,
		"deleting is done whether an object is there":    deleting,
		"a listing is complete, in order, and by prefix": listing,
		"a listing ends when its reader has enough":      listingEnds,
		"a large object is written from several places":  large,
		"names may hold what people write into them":     names,
		"nothing is done once the context is over":       cancelled,
	} {
		t.Run(name, func(t *testing.T) {
			check(t, at{bucket, fmt.Sprintf("%s%x/", prefix, rand.Uint64())})
		})
	}
}

// at is a bucket below a prefix.
type at struct {
	object.Bucket
	prefix string
}

func (a at) put(t *testing.T, key, content string) string {
	t.Helper()
	etag, err := a.try(t, key, content, object.Condition{})
	if err != nil {
		t.Fatal(err)
	}
	return etag
}

func (a at) try(t *testing.T, key, content string, when object.Condition) (string, error) {
	t.Helper()
	return a.Put(t.Context(), a.prefix+key, strings.NewReader(content), int64(len(content)), when)
}

func (a at) read(t *testing.T, key, etag string, offset, length int64) (string, error) {
	t.Helper()
	body, err := a.Read(t.Context(), a.prefix+key, etag, offset, length)
	if err != nil {
		return "", err
	}
	content, err := io.ReadAll(body)
	return string(content), errors.Join(err, body.Close())
}

func (a at) holds(t *testing.T, key, want string) {
	t.Helper()
	if got, err := a.read(t, key, "", 0, -1); err != nil || got != want {
		t.Errorf("%s holds %.60q (%v), want %.60q", key, got, err, want)
	}
}

func is(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got error %v, want one that is %v", err, want)
	}
}

func roundTrip(t *testing.T, a at) {
	for name, content := range map[string]string{"empty": "", "text": "one\ntwo\n", "binary": "\x00\xff\x1f\x8b", "mega": strings.Repeat("0123456789abcdef", 1<<16)} {
		etag := a.put(t, name, content)
		a.holds(t, name, content)
		info, err := a.Stat(t.Context(), a.prefix+name)
		if err != nil || info.Key != a.prefix+name || info.Size != int64(len(content)) || info.ETag != etag || etag == "" || info.ModTime.IsZero() {
			t.Errorf("%s: %+v, %v; want etag %q", name, info, err, etag)
		}
	}
}

func ranges(t *testing.T, a at) {
	const content = "0123456789"
	etag := a.put(t, "digits", content)
	for _, c := range []struct {
		offset, length int64
		want           string
	}{{0, -1, content}, {0, 10, content}, {3, 4, "3456"}, {9, 1, "9"}, {4, -1, "456789"}, {5, 0, ""}, {0, 0, ""}, {10, -1, ""}, {0, 1, "0"}} {
		if got, err := a.read(t, "digits", etag, c.offset, c.length); err != nil || got != c.want {
			t.Errorf("read %d bytes from %d: %q, %v; want %q", c.length, c.offset, got, err, c.want)
		}
	}
	if got, err := a.read(t, "digits", etag, 8, 5); err == nil {
		t.Errorf("read 5 bytes where 2 are left: %q and no error", got)
	}
}

func pinned(t *testing.T, a at) {
	first := a.put(t, "x", "first")
	second := a.put(t, "x", "other")
	if first == second {
		t.Fatal("two contents have one etag")
	}
	for _, length := range []int64{-1, 3, 0} {
		_, err := a.read(t, "x", first, 0, length)
		is(t, err, object.ErrChanged)
	}
	if got, err := a.read(t, "x", second, 0, -1); err != nil || got != "other" {
		t.Errorf("read %q, %v", got, err)
	}
}

// race has several writers write with one condition, and wants one to win.
func race(t *testing.T, a at, key string, when object.Condition) {
	t.Helper()
	var won atomic.Int64
	var winner atomic.Value
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			content := fmt.Sprint("writer ", i)
			_, err := a.Put(t.Context(), a.prefix+key, strings.NewReader(content), int64(len(content)), when)
			if err == nil {
				won.Add(1)
				winner.Store(content)
			} else if !errors.Is(err, object.ErrPrecondition) {
				t.Errorf("lose: %v", err)
			}
		})
	}
	group.Wait()
	if won.Load() != 1 {
		t.Fatalf("%d writers won", won.Load())
	}
	a.holds(t, key, winner.Load().(string))
}

func createOnce(t *testing.T, a at) { race(t, a, "new", object.Condition{Absent: true}) }

func replaceOnce(t *testing.T, a at) {
	race(t, a, "old", object.Condition{Match: a.put(t, "old", "before")})
}

func refused(t *testing.T, a at) {
	old := a.put(t, "x", "old")
	_, err := a.try(t, "x", "new", object.Condition{Absent: true})
	is(t, err, object.ErrPrecondition)
	a.holds(t, "x", "old")
	newer := a.put(t, "x", "newer")
	_, err = a.try(t, "x", "lost", object.Condition{Match: old})
	is(t, err, object.ErrPrecondition)
	a.holds(t, "x", "newer")
	_, err = a.try(t, "gone", "x", object.Condition{Match: newer})
	is(t, err, object.ErrPrecondition)
	if enforced, err := a.Enforces(t.Context(), a.prefix); err != nil || !enforced {
		t.Errorf("Enforces says %v, %v", enforced, err)
	}
	if err := a.List(t.Context(), a.prefix, func(info object.Info) error {
		if info.Key != a.prefix+"x" {
			t.Errorf("%s is there", info.Key)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

func missing(t *testing.T, a at) {
	_, err := a.Stat(t.Context(), a.prefix+"none")
	is(t, err, object.ErrNotFound)
	for _, length := range []int64{-1, 0, 4} {
		_, err = a.read(t, "none", "", 0, length)
		is(t, err, object.ErrNotFound)
	}
	if object.Transient(err) {
		t.Error("a missing object is taken for trouble that passes")
	}
}

func deleting(t *testing.T, a at) {
	for _, key := range []string{"a", "b", "c", "d"} {
		a.put(t, key, key)
	}
	for _, keys := range [][]string{{"a"}, {"a"}, {"b", "none", "c"}, {}} {
		for i := range keys {
			keys[i] = a.prefix + keys[i]
		}
		if err := a.Delete(t.Context(), keys...); err != nil {
			t.Errorf("delete %v: %v", keys, err)
		}
	}
	if got := a.keys(t, ""); !slices.Equal(got, []string{"d"}) {
		t.Errorf("%v are left, want d", got)
	}
}

func (a at) keys(t *testing.T, prefix string) (keys []string) {
	t.Helper()
	if err := a.List(t.Context(), a.prefix+prefix, func(info object.Info) error {
		keys = append(keys, strings.TrimPrefix(info.Key, a.prefix))
		return nil
	}); err != nil {
		t.Error(err)
	}
	return keys
}

func listing(t *testing.T, a at) {
	want := []string{"a-", "a/b/c.csv", "a0", "b/x"} // in the order of their bytes
	etags := map[string]string{}
	for _, key := range []string{"b/x", "a0", "a/b/c.csv", "a-"} {
		etags[key] = a.put(t, key, key)
	}
	if got := a.keys(t, ""); !slices.Equal(got, want) {
		t.Errorf("listed %v, want %v", got, want)
	}
	if got := a.keys(t, "a/"); !slices.Equal(got, []string{"a/b/c.csv"}) {
		t.Errorf("listed %v below a/", got)
	}
	if got := a.keys(t, "none/"); len(got) > 0 {
		t.Errorf("listed %v where nothing is", got)
	}
	if err := a.List(t.Context(), a.prefix+"b/", func(info object.Info) error {
		if info.Size != 3 || info.ETag != etags["b/x"] || info.ModTime.IsZero() {
			t.Errorf("listed %+v, want etag %q", info, etags["b/x"])
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

func listingEnds(t *testing.T, a at) {
	for i := range 3 {
		a.put(t, fmt.Sprint(i), "")
	}
	enough, seen := errors.New("enough"), 0
	err := a.List(t.Context(), a.prefix, func(object.Info) error {
		seen++
		return enough
	})
	is(t, err, enough)
	if seen != 1 {
		t.Errorf("%d were listed after that", seen-1)
	}
}

// readable can't be read at several places at once.
type readable struct{ io.ReadSeeker }

func large(t *testing.T, a at) {
	content := make([]byte, 65<<20) // two pieces
	chacha := rand.NewChaCha8([32]byte{1})
	_, _ = chacha.Read(content) // never fails
	bodies := map[string]io.ReadSeeker{"at once": bytes.NewReader(content), "in turn": readable{bytes.NewReader(content)}}
	for name, body := range bodies {
		etag, err := a.Put(t.Context(), a.prefix+name, body, int64(len(content)), object.Condition{Absent: true})
		if err != nil {
			t.Fatal(err)
		}
		got, err := a.Read(t.Context(), a.prefix+name, etag, 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		same(t, got, content)
		if err := got.Close(); err != nil {
			t.Error(err)
		}
	}
	_, err := a.Put(t.Context(), a.prefix+"at once", bytes.NewReader(content), int64(len(content)), object.Condition{Absent: true})
	is(t, err, object.ErrPrecondition)
	if uploads, ok := a.Bucket.(object.Uploads); ok {
		if err := uploads.AbortUploads(t.Context(), a.prefix, func(string) bool { return true }); err != nil {
			t.Error(err)
		}
	}
}

func same(t *testing.T, r io.Reader, want []byte) {
	t.Helper()
	buffer, offset := make([]byte, 1<<20), 0
	for {
		n, err := r.Read(buffer)
		if offset+n > len(want) || !bytes.Equal(buffer[:n], want[offset:offset+n]) {
			t.Fatalf("another content at %d", offset)
		}
		offset += n
		if errors.Is(err, io.EOF) && offset == len(want) {
			return
		}
		if err != nil {
			t.Fatalf("read ends at %d of %d: %v", offset, len(want), err)
		}
	}
}

func names(t *testing.T, a at) {
	for _, key := range []string{"dt=2026-11-21/part 1+2.csv", "ü/日本.jsonl", "50%25 off?.csv", "a&b#c;d,e'f(g)!~*@$"} {
		a.put(t, key, key)
		a.holds(t, key, key)
		if got := a.keys(t, key); !slices.Equal(got, []string{key}) {
			t.Errorf("%q is listed as %q", key, got)
		}
		if err := a.Delete(t.Context(), a.prefix+key, a.prefix+"other"); err != nil {
			t.Error(err)
		}
	}
	if left := a.keys(t, ""); len(left) > 0 {
		t.Errorf("%q are not deleted", left)
	}
}

func cancelled(t *testing.T, a at) {
	a.put(t, "x", "x")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := a.Stat(ctx, a.prefix+"x")
	is(t, err, context.Canceled)
	_, err = a.Put(ctx, a.prefix+"x", strings.NewReader("y"), 1, object.Condition{})
	is(t, err, context.Canceled)
	is(t, a.Delete(ctx, a.prefix+"x"), context.Canceled)
	is(t, a.List(ctx, a.prefix, func(object.Info) error { return nil }), context.Canceled)
	a.holds(t, "x", "x")
}
