package object_test

import (
	"errors"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/runner/object"
	"github.com/batchpattern/terraform-provider-batch/runner/object/objecttest"
)

// opened is a bucket of a server, with some of the environment changed.
func opened(t *testing.T, server objecttest.Store, uri string, changed map[string]string) object.Bucket {
	t.Helper()
	env := maps.Clone(server.Env)
	maps.Copy(env, changed)
	stores := object.NewStores(func(name string) string { return env[name] })
	t.Cleanup(stores.Close)
	bucket, _, err := stores.Bucket(t.Context(), uri)
	if err != nil {
		t.Fatal(err)
	}
	return bucket
}

func list(t *testing.T, bucket object.Bucket) error {
	t.Helper()
	return bucket.List(t.Context(), "in/", func(object.Info) error { return nil })
}

func TestABucketThatIsNotThereIsToldFromAnEmptyPrefix(t *testing.T) {
	for name, server := range objecttest.Servers {
		t.Run(name, func(t *testing.T) {
			store := server(t)
			elsewhere, _ := strings.CutSuffix(store.URI[:strings.LastIndex(strings.TrimSuffix(store.URI, "/"), "/")], "/")
			bucket := opened(t, store, elsewhere+"-none/in/", nil)
			if err := list(t, bucket); !errors.Is(err, object.ErrNoBucket) || errors.Is(err, object.ErrNotFound) || object.Transient(err) {
				t.Errorf("list: %v", err)
			}
			if _, err := bucket.Put(t.Context(), "in/x", strings.NewReader("x"), 1, object.Condition{}); !errors.Is(err, object.ErrNoBucket) {
				t.Errorf("write: %v", err)
			}
			if _, err := bucket.Stat(t.Context(), "in/x"); !errors.Is(err, object.ErrNoBucket) && !errors.Is(err, object.ErrNotFound) {
				t.Errorf("look: %v", err)
			}
			if err := list(t, opened(t, store, store.URI, nil)); err != nil {
				t.Errorf("an empty prefix: %v", err)
			}
		})
	}
}

func TestAnIdentityThatMayNotIsToldSo(t *testing.T) {
	other := "AccountName=batch;AccountKey=b3RoZXItc2VjcmV0;BlobEndpoint="
	for name, changed := range map[string]map[string]string{
		"S3":                 {"AWS_SECRET_ACCESS_KEY": "other-secret"},
		"S3, an unknown key": {"AWS_ACCESS_KEY_ID": "nobody"},
		"Azure":              {"AZURE_STORAGE_CONNECTION_STRING": other},
	} {
		t.Run(name, func(t *testing.T) {
			kind, _, _ := strings.Cut(name, ",")
			store := objecttest.Servers[kind](t)
			if text := store.Env["AZURE_STORAGE_CONNECTION_STRING"]; text != "" {
				_, at, _ := strings.Cut(text, "BlobEndpoint=")
				changed = map[string]string{"AZURE_STORAGE_CONNECTION_STRING": other + at}
			}
			err := list(t, opened(t, store, store.URI, changed))
			if !errors.Is(err, object.ErrDenied) || object.Transient(err) || !strings.Contains(err.Error(), "environment_file") {
				t.Errorf("got %v", err)
			}
			if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "b3RoZXI") {
				t.Errorf("%v shows a secret", err)
			}
		})
	}
	t.Run("GCS", func(t *testing.T) {
		err := list(t, googleAnswers(t, http.StatusForbidden, `{"error":{"code":403,"message":"may not"}}`))
		if !errors.Is(err, object.ErrDenied) || !strings.Contains(err.Error(), "may not") || !strings.Contains(err.Error(), "GOOGLE_APPLICATION_CREDENTIALS") {
			t.Errorf("got %v", err)
		}
	})
}
