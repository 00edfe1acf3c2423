package object_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/runner/object"
)

// googleAnswers is a bucket of a server that says one thing to everything.
func googleAnswers(t *testing.T, status int, body string) object.Bucket {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body) // the client sees what is missing
	}))
	t.Cleanup(server.Close)
	stores := object.NewStores(func(name string) string {
		return map[string]string{"STORAGE_EMULATOR_HOST": server.URL}[name]
	})
	t.Cleanup(stores.Close)
	bucket, _, err := stores.Bucket(t.Context(), "gs://bucket/in/")
	if err != nil {
		t.Fatal(err)
	}
	return bucket
}
