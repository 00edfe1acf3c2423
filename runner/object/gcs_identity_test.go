package object

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// googleFile writes a credentials file; its fields are those of Google's.
func googleFile(t *testing.T, fields map[string]any) map[string]string {
	t.Helper()
	text, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{"GOOGLE_APPLICATION_CREDENTIALS": secretFile(t, string(text))}
}

func privateKey(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// accessToken is how Google's endpoints hand a token out.
func accessToken(of string) string {
	return `{"access_token":"` + of + "-" + hidden + `","token_type":"Bearer","expires_in":3600,"issued_token_type":"urn:ietf:params:oauth:token-type:access_token"}`
}

// account answers who signs with the key of a service account.
func account(r *http.Request) (int, string) {
	if r.FormValue("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" || strings.Count(r.FormValue("assertion"), ".") != 2 {
		return http.StatusUnauthorized, ""
	}
	return http.StatusOK, accessToken("account")
}

// federation answers who shows the token of a workload.
func federation(r *http.Request) (int, string) {
	if r.FormValue("subject_token") != hidden+"-subject" || r.FormValue("audience") != "//iam/pool" {
		return http.StatusUnauthorized, ""
	}
	return http.StatusOK, accessToken("workload")
}

// metadataServer answers as that of a machine at Google.
func metadataServer(r *http.Request) (int, string) {
	if r.Header.Get("Metadata-Flavor") != "Google" || !strings.HasSuffix(r.URL.Path, "/service-accounts/default/token") {
		return http.StatusNotFound, ""
	}
	return http.StatusOK, accessToken("machine")
}

// Requests carry the identity that Google's own tools would find, and no error
// shows its secrets.
func TestGoogleCloudStorageSignsWithWhatItFinds(t *testing.T) {
	t.Setenv("HOME", t.TempDir()) // where gcloud leaves its own
	t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(serve(t, metadataServer), "http://"))
	for want, env := range map[string]map[string]string{
		"account": googleFile(t, map[string]any{"type": "service_account", "client_email": "batch@x", "private_key_id": "1",
			"private_key": privateKey(t), "token_uri": serve(t, account)}),
		"workload": googleFile(t, map[string]any{"type": "external_account", "audience": "//iam/pool",
			"subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "token_url": serve(t, federation),
			"credential_source": map[string]any{"file": secretFile(t, hidden+"-subject")}}),
		"machine": {},
	} {
		t.Run(want, func(t *testing.T) {
			signed := ""
			bucket := googleBucket(env, serve(t, func(r *http.Request) (int, string) {
				signed = r.Header.Get("Authorization")
				return http.StatusForbidden, `{"error":{"code":403}}`
			}))
			showsNoSecret(t, bucket, "x")
			if signed != "Bearer "+want+"-"+hidden {
				t.Errorf("signed by %q", signed)
			}
		})
	}
}

func TestGoogleCloudStorageSignsWithWhatGcloudHasLeft(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	left := googleFile(t, map[string]any{"type": "service_account", "client_email": "batch@x", "private_key": privateKey(t), "token_uri": serve(t, account)})
	folder := filepath.Join(home, ".config", "gcloud")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(left["GOOGLE_APPLICATION_CREDENTIALS"], filepath.Join(folder, "application_default_credentials.json")); err != nil {
		t.Fatal(err)
	}
	signed := ""
	showsNoSecret(t, googleBucket(nil, serve(t, func(r *http.Request) (int, string) {
		signed = r.Header.Get("Authorization")
		return http.StatusForbidden, ""
	})), "x")
	if signed != "Bearer account-"+hidden {
		t.Errorf("signed by %q", signed)
	}
}

func googleBucket(env map[string]string, endpoint string) Bucket {
	identity := &googleTransport{env: func(name string) string { return env[name] }, base: http.DefaultTransport}
	return &gcsBucket{name: "bucket", endpoint: endpoint, client: &http.Client{Transport: identity}}
}

func TestGoogleCredentialsThatCannotBeUsedSayWhy(t *testing.T) {
	refuse := serve(t, func(*http.Request) (int, string) { return http.StatusUnauthorized, `{"error":"invalid_grant"}` })
	for name, c := range map[string]struct {
		env  map[string]string
		want string
	}{
		"no file":       {map[string]string{"GOOGLE_APPLICATION_CREDENTIALS": "/none/key.json"}, "read GOOGLE_APPLICATION_CREDENTIALS"},
		"another file":  {map[string]string{"GOOGLE_APPLICATION_CREDENTIALS": secretFile(t, hidden)}, "is not a credentials file"},
		"a refused key": {googleFile(t, map[string]any{"type": "service_account", "client_email": "batch@x", "private_key": privateKey(t), "token_uri": refuse}), "invalid_grant"},
		"a broken key":  {googleFile(t, map[string]any{"type": "service_account", "client_email": "batch@x", "private_key": hidden, "token_uri": refuse}), "private key"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := googleBucket(c.env, "http://127.0.0.1:1").Stat(t.Context(), "x")
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), hidden) || Transient(err) {
				t.Errorf("got %v", err)
			}
		})
	}
}
