package object

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"sync"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"
)

const gcsScope = "https://www.googleapis.com/auth/devstorage.read_write"

// googleTransport signs requests as Google's own tools do: with the key file,
// or federated identity, that GOOGLE_APPLICATION_CREDENTIALS names, else with
// what `gcloud auth application-default login` has left, else as the machine.
type googleTransport struct {
	env  func(string) string
	base http.RoundTripper

	mu     sync.Mutex
	signed http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t *googleTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	signed, err := t.transport()
	if err != nil {
		return nil, err
	}
	return signed.RoundTrip(r)
}

// transport looks for the identity once it is needed, and again until it is
// found.
func (t *googleTransport) transport() (http.RoundTripper, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.signed == nil {
		found, err := googleIdentity(t.env("GOOGLE_APPLICATION_CREDENTIALS"))
		if err != nil {
			return nil, err
		}
		t.signed = &oauth2.Transport{Source: found.TokenSource, Base: t.base}
	}
	return t.signed, nil
}

// googleIdentity outlives any request: tokens are refreshed with it.
func googleIdentity(file string) (*google.Credentials, error) {
	if file == "" {
		return google.FindDefaultCredentials(context.Background(), gcsScope)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read GOOGLE_APPLICATION_CREDENTIALS: %w", err)
	}
	var kind struct {
		Type google.CredentialsType `json:"type"`
	}
	if err := json.Unmarshal(content, &kind); err != nil {
		return nil, fmt.Errorf("GOOGLE_APPLICATION_CREDENTIALS %s is not a credentials file", file)
	}
	return google.CredentialsFromJSONWithType(context.Background(), content, kind.Type, gcsScope)
}
