package objecttest

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/runner/object"
)

// S3Server is a small server that speaks S3's protocol, over a bucket in
// memory: for what real servers don't do on request. It knows single objects
// and listings, no uploads in pieces, and checks nobody's identity.
type S3Server struct {
	Memory *Memory
	// Before, where set, sees each request and may answer it itself.
	Before func(w http.ResponseWriter, r *http.Request) (answered bool)
	// Refused counts its answers 412: a condition was not met.
	Refused atomic.Int64
}

// NewS3Server starts a server for the time of the test and gives its store.
func NewS3Server(t testing.TB, s *S3Server) Store {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return store(t, "s3://batch", map[string]string{
		"AWS_ENDPOINT_URL": server.URL, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret",
	})
}

// ServeHTTP implements http.Handler.
func (s *S3Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.Before != nil && s.Before(w, r) {
		return
	}
	_, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case r.URL.Query().Has("list-type"):
		s.list(w, r)
	case r.URL.Query().Has("delete"):
		s.deleteAll(w, r)
	case r.Method == http.MethodPut:
		s.put(w, r, key)
	case r.Method == http.MethodDelete:
		s.end(w, s.Memory.Delete(r.Context(), key), http.StatusNoContent)
	default:
		s.get(w, r, key)
	}
}

func (s *S3Server) put(w http.ResponseWriter, r *http.Request, key string) {
	content, err := io.ReadAll(r.Body)
	if err != nil {
		s.end(w, err, 0)
		return
	}
	when := object.Condition{Absent: r.Header.Get("If-None-Match") == "*", Match: r.Header.Get("If-Match")}
	etag, err := s.Memory.Put(r.Context(), key, bytes.NewReader(content), int64(len(content)), when)
	w.Header().Set("ETag", etag)
	s.end(w, err, http.StatusOK)
}

func (s *S3Server) get(w http.ResponseWriter, r *http.Request, key string) {
	o, err := s.Memory.get(r.Context(), key)
	if err != nil {
		s.end(w, err, 0)
		return
	}
	w.Header().Set("ETag", o.info.ETag)
	http.ServeContent(w, r, "", o.info.ModTime, bytes.NewReader(o.content))
}

func (s *S3Server) list(w http.ResponseWriter, r *http.Request) {
	type entry struct {
		Key          string
		LastModified time.Time
		ETag         string
		Size         int64
	}
	var page struct {
		XMLName               xml.Name `xml:"ListBucketResult"`
		IsTruncated           bool
		NextContinuationToken string
		Contents              []entry
	}
	query, most := r.URL.Query(), 1000
	if asked, err := strconv.Atoi(query.Get("max-keys")); err == nil {
		most = asked
	}
	full := errors.New("the page is full")
	err := s.Memory.list(r.Context(), query.Get("prefix"), query.Get("continuation-token"), func(info object.Info) error {
		if len(page.Contents) == most {
			page.IsTruncated, page.NextContinuationToken = true, page.Contents[most-1].Key
			return full
		}
		page.Contents = append(page.Contents, entry{info.Key, info.ModTime, info.ETag, info.Size})
		return nil
	})
	if err != nil && !errors.Is(err, full) {
		s.end(w, err, 0)
		return
	}
	_ = xml.NewEncoder(w).Encode(page) // the client sees what is missing
}

func (s *S3Server) deleteAll(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Object []struct{ Key string }
	}
	err := xml.NewDecoder(r.Body).Decode(&asked)
	for _, o := range asked.Object {
		err = errors.Join(err, s.Memory.Delete(r.Context(), o.Key))
	}
	if err != nil {
		s.end(w, err, 0)
		return
	}
	_, _ = fmt.Fprint(w, `<DeleteResult/>`) // as above
}

// end answers without a body where all went well.
func (s *S3Server) end(w http.ResponseWriter, err error, ok int) {
	code, status := "InternalError", http.StatusInternalServerError
	switch {
	case err == nil:
		w.WriteHeader(ok)
		return
	case errors.Is(err, object.ErrNotFound):
		code, status = "NoSuchKey", http.StatusNotFound
	case errors.Is(err, object.ErrPrecondition):
		code, status = "PreconditionFailed", http.StatusPreconditionFailed
		s.Refused.Add(1)
	}
	RefuseS3(w, status, code)
}

// RefuseS3 answers as S3 does when it says no.
func RefuseS3(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s</Message></Error>", code, code) // as above
}
