package object

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Credentials are found where AWS's own tools find them, all by names in the
// runner's environment.
func TestCredentialsComeFromTheRunnersEnvironment(t *testing.T) {
	shared := filepath.Join(t.TempDir(), "credentials")
	text := "[default]\naws_access_key_id = d\naws_secret_access_key = s\n[batch]\naws_access_key_id = shared\naws_secret_access_key = s\naws_session_token = t\n"
	if err := os.WriteFile(shared, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("Bearer x"), 0o600); err != nil {
		t.Fatal(err)
	}
	container := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer x" {
			w.WriteHeader(http.StatusUnauthorized)
		}
		_, _ = fmt.Fprint(w, `{"AccessKeyId":"container","SecretAccessKey":"s","Token":"t","Expiration":"2999-01-01T00:00:00Z"}`)
	}))
	defer container.Close()
	for want, env := range map[string]map[string]string{
		"named":  {"AWS_ACCESS_KEY_ID": "named", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t", "AWS_SHARED_CREDENTIALS_FILE": shared},
		"shared": {"AWS_SHARED_CREDENTIALS_FILE": shared, "AWS_PROFILE": "batch"},
		"container": {"AWS_SHARED_CREDENTIALS_FILE": shared + "-none",
			"AWS_CONTAINER_CREDENTIALS_FULL_URI": container.URL, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": token},
	} {
		t.Run(want, func(t *testing.T) {
			value, err := s3Credentials(func(name string) string { return env[name] }, "eu-west-1").GetWithContext(nil)
			if err != nil || value.AccessKeyID != want || value.SessionToken != "t" {
				t.Errorf("the key is %q, %v", value.AccessKeyID, err)
			}
		})
	}
}

func TestUrisAndEndpointsThatCannotBeReachedAreRefused(t *testing.T) {
	for uri, c := range map[string]struct {
		env  map[string]string
		want string
	}{
		"hdfs://host/x": {nil, "not supported"},
		"s3:///key":     {nil, "names no bucket"},
		"s3://bucket/1": {map[string]string{"AWS_ENDPOINT_URL": "localhost:9000"}, "AWS_ENDPOINT_URL"},
		"s3://bucket/2": {map[string]string{"AWS_CA_BUNDLE": "/none/ca.pem"}, "AWS_CA_BUNDLE"},
	} {
		_, _, err := NewStores(func(name string) string { return c.env[name] }).Bucket(t.Context(), uri)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), uri) {
			t.Errorf("%s: %v", uri, err)
		}
	}
}

func TestOnlyUrisOfStoresAreObjects(t *testing.T) {
	for uri, want := range map[string]bool{"s3://b/k": true, "gs://b/k": true, "/data/x.csv": false, "file:///data": false, "/a://b": false, "relative": false} {
		if Is(uri) != want {
			t.Errorf("Is(%q) is %v", uri, !want)
		}
	}
}
