package object

import (
	"encoding/base64"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// A shared access signature is part of each request's address, and addresses
// are part of errors.
func TestNoErrorShowsASharedAccessSignature(t *testing.T) {
	away := roundTripper(func(*http.Request) (*http.Response, error) { return nil, errors.New("away") })
	bucket, err := azureBucket(map[string]string{"AZURE_STORAGE_SAS_TOKEN": "?sv=2024-11-04&sig=" + hidden}, away)
	if err != nil {
		t.Fatal(err)
	}
	_, err = bucket.Stat(t.Context(), "in.csv")
	if err == nil || !strings.Contains(err.Error(), "scores.blob.core.windows.net/models/in.csv") || strings.Contains(err.Error(), hidden) {
		t.Errorf("the error shows no address, or the signature: %v", err)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (r roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }

func azureBucket(env map[string]string, transport http.RoundTripper) (Bucket, error) {
	options := policy.ClientOptions{Transport: secretive{&http.Client{Transport: transport}}, Retry: policy.RetryOptions{MaxRetries: -1}}
	client, err := azureClient(func(name string) string { return env[name] }, "scores", "models", options)
	return &azureContainer{name: "scores/models", client: client}, err
}

// microsoft answers as Entra ID and the machine's own service do, each of them
// with a token of another name.
func microsoft(r *http.Request) (int, string) {
	switch {
	case r.URL.Host == "169.254.169.254":
		if r.Header.Get("Metadata") != "true" || r.URL.Query().Get("resource") != "https://storage.azure.com" {
			return http.StatusBadRequest, "{}"
		}
		return http.StatusOK, accessToken("machine" + r.URL.Query().Get("client_id"))
	case strings.HasSuffix(r.URL.Path, "/discovery/instance"):
		return http.StatusOK, `{"tenant_discovery_endpoint":"https://login.microsoftonline.com/tenant/v2.0/.well-known/openid-configuration",
			"metadata":[{"preferred_network":"login.microsoftonline.com","preferred_cache":"login.windows.net","aliases":["login.microsoftonline.com"]}]}`
	case strings.HasSuffix(r.URL.Path, "/openid-configuration"):
		return http.StatusOK, `{"issuer":"https://login.microsoftonline.com/tenant/v2.0","authorization_endpoint":"https://login.microsoftonline.com/tenant/authorize","token_endpoint":"https://login.microsoftonline.com/tenant/token"}`
	case r.FormValue("client_assertion") == hidden+"-subject":
		return http.StatusOK, accessToken("workload")
	case r.FormValue("client_secret") == hidden:
		return http.StatusOK, accessToken("principal")
	}
	return http.StatusUnauthorized, `{"error":"invalid_client"}`
}

// Requests carry what the first of the variables gives, and no error shows it.
func TestAzureBlobStorageSignsWithWhatItFinds(t *testing.T) {
	key := base64.StdEncoding.EncodeToString([]byte(hidden))
	principal := map[string]string{"AZURE_TENANT_ID": "tenant", "AZURE_CLIENT_ID": "client"}
	with := func(more map[string]string) map[string]string {
		maps.Copy(more, principal)
		return more
	}
	for name, c := range map[string]struct {
		env  map[string]string
		want string // the beginning of what signs, or of the signature in the address
	}{
		"a connection string": {with(map[string]string{"AZURE_STORAGE_CONNECTION_STRING": "AccountName=scores;AccountKey=" + key + ";EndpointSuffix=core.windows.net",
			"AZURE_STORAGE_SAS_TOKEN": "sig=other"}), "SharedKey scores:"},
		"an account's key":          {with(map[string]string{"AZURE_STORAGE_KEY": key, "AZURE_CLIENT_SECRET": hidden}), "SharedKey scores:"},
		"a shared access signature": {with(map[string]string{"AZURE_STORAGE_SAS_TOKEN": "sv=2024-11-04&sig=" + hidden}), "sig " + hidden},
		"a service principal":       {with(map[string]string{"AZURE_CLIENT_SECRET": hidden}), "Bearer principal-"},
		"a workload":                {with(map[string]string{"AZURE_FEDERATED_TOKEN_FILE": secretFile(t, hidden+"-subject")}), "Bearer workload-"},
		"a machine":                 {nil, "Bearer machine-"},
		"a machine's second":        {map[string]string{"AZURE_CLIENT_ID": "client"}, "Bearer machineclient-"},
	} {
		t.Run(name, func(t *testing.T) {
			signed := ""
			bucket, err := azureBucket(c.env, roundTripper(func(r *http.Request) (*http.Response, error) {
				recorder := httptest.NewRecorder()
				if r.URL.Host == "scores.blob.core.windows.net" {
					if signed = r.Header.Get("Authorization"); signed == "" {
						signed = "sig " + r.URL.Query().Get("sig")
					}
					recorder.WriteHeader(http.StatusForbidden)
				} else {
					handler(microsoft).ServeHTTP(recorder, r)
				}
				answer := recorder.Result()
				answer.Request = r
				return answer, nil
			}))
			if err != nil {
				t.Fatal(err)
			}
			showsNoSecret(t, bucket, "x")
			if !strings.HasPrefix(signed, c.want) {
				t.Errorf("signed by %q, want %s", signed, c.want)
			}
		})
	}
}

func TestAzureCredentialsThatCannotBeUsedSayWhy(t *testing.T) {
	for want, env := range map[string]map[string]string{
		"is not of account":  {"AZURE_STORAGE_CONNECTION_STRING": "AccountName=other;AccountKey=" + hidden},
		"is not a key":       {"AZURE_STORAGE_KEY": "no base64: " + hidden},
		"AZURE_* variables":  {"AZURE_STORAGE_CONNECTION_STRING": "AccountName=scores;AccountKey=" + hidden + "!"},
		"tenant":             {"AZURE_CLIENT_SECRET": hidden},
		"no such file or di": {"AZURE_TENANT_ID": "tenant", "AZURE_CLIENT_ID": "client", "AZURE_FEDERATED_TOKEN_FILE": "/none/token"},
	} {
		stores := NewStores(func(name string) string { return env[name] })
		_, key, err := stores.Bucket(t.Context(), "az://scores/models/x")
		if err == nil { // it takes a request to find out
			var bucket Bucket
			bucket, err = azureBucket(env, roundTripper(func(r *http.Request) (*http.Response, error) {
				recorder := httptest.NewRecorder()
				handler(microsoft).ServeHTTP(recorder, r)
				answer := recorder.Result()
				answer.Request = r
				return answer, nil
			}))
			if err == nil {
				_, err = bucket.Stat(t.Context(), key)
			}
		}
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), hidden) {
			t.Errorf("want %q: %v", want, err)
		}
		stores.Close()
	}
}
