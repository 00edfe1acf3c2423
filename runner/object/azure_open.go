package object

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

// openAzure is a container of an account, "account/container".
func openAzure(env func(string) string, name string) (patient, error) {
	base, err := transport("")
	if err != nil {
		return patient{}, err
	}
	account, of, _ := strings.Cut(name, "/")
	options := policy.ClientOptions{
		Transport: secretive{&http.Client{Transport: base}},
		Retry:     policy.RetryOptions{MaxRetries: restTries - 1, RetryDelay: restPause, MaxRetryDelay: 4 * time.Second},
	}
	client, err := azureClient(env, account, of, options)
	if err != nil {
		return patient{}, fmt.Errorf("%w: %s", err, azureHint)
	}
	return patient{&azureContainer{name: name, client: client}, base.CloseIdleConnections}, nil
}

// secretive is a client whose errors do not show the query of an address: a
// shared access signature is in there.
type secretive struct{ client *http.Client }

func (s secretive) Do(request *http.Request) (*http.Response, error) {
	answer, err := s.client.Do(request)
	if failed, ok := errors.AsType[*url.Error](err); ok {
		failed.URL, _, _ = strings.Cut(failed.URL, "?")
	}
	return answer, err
}

// azureClient takes the first of these that the environment has: a connection
// string, the account's key, a shared access signature, and an identity.
func azureClient(env func(string) string, account, of string, common policy.ClientOptions) (*container.Client, error) {
	options := &container.ClientOptions{ClientOptions: common}
	at := "https://" + account + ".blob.core.windows.net/" + of
	if text := env("AZURE_STORAGE_CONNECTION_STRING"); text != "" {
		if !strings.Contains(text+";", "AccountName="+account+";") {
			return nil, fmt.Errorf("AZURE_STORAGE_CONNECTION_STRING is not of account %q", account)
		}
		return container.NewClientFromConnectionString(text, of, options)
	}
	if key := env("AZURE_STORAGE_KEY"); key != "" {
		shared, err := azblob.NewSharedKeyCredential(account, key)
		if err != nil {
			return nil, fmt.Errorf("AZURE_STORAGE_KEY is not a key of an account")
		}
		return container.NewClientWithSharedKeyCredential(at, shared, options)
	}
	if signature := env("AZURE_STORAGE_SAS_TOKEN"); signature != "" {
		return container.NewClientWithNoCredential(at+"?"+strings.TrimPrefix(signature, "?"), options)
	}
	identity, err := azureIdentity(env, common)
	if err != nil {
		return nil, err
	}
	return container.NewClient(at, identity, options)
}

// azureIdentity is a service principal, the identity of a Kubernetes workload,
// or that of the machine.
func azureIdentity(env func(string) string, common policy.ClientOptions) (azcore.TokenCredential, error) {
	tenant, client, secret, token := env("AZURE_TENANT_ID"), env("AZURE_CLIENT_ID"), env("AZURE_CLIENT_SECRET"), env("AZURE_FEDERATED_TOKEN_FILE")
	switch {
	case secret != "":
		return azidentity.NewClientSecretCredential(tenant, client, secret, &azidentity.ClientSecretCredentialOptions{ClientOptions: common})
	case token != "":
		return azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{
			ClientOptions: common, TenantID: tenant, ClientID: client, TokenFilePath: token,
		})
	}
	options := &azidentity.ManagedIdentityCredentialOptions{ClientOptions: common}
	if client != "" {
		options.ID = azidentity.ClientID(client)
	}
	return azidentity.NewManagedIdentityCredential(options)
}
