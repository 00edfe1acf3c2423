package object

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// A shared access signature is part of each request's address, and addresses
// are part of errors.
func TestNoErrorShowsASharedAccessSignature(t *testing.T) {
	away := &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) { return nil, errors.New("away") })}
	env := map[string]string{"AZURE_STORAGE_SAS_TOKEN": "?sv=2024-11-04&sig=topsecret"}
	options := policy.ClientOptions{Transport: secretive{away}, Retry: policy.RetryOptions{MaxRetries: -1}}
	client, err := azureClient(func(name string) string { return env[name] }, "scores", "models", options)
	if err != nil {
		t.Fatal(err)
	}
	_, err = (&azureContainer{name: "scores/models", client: client}).Stat(t.Context(), "in.csv")
	if err == nil || !strings.Contains(err.Error(), "scores.blob.core.windows.net/models/in.csv") || strings.Contains(err.Error(), "topsecret") {
		t.Errorf("the error shows no address, or the signature: %v", err)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (r roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }
