package objecttest

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"

	"github.com/batchpattern/terraform-provider-batch/runner/object"
)

// Store is a test server's bucket, as a runner would be told of it.
type Store struct {
	URI    string // s3://bucket/…/, of this test alone
	Env    map[string]string
	Stores *object.Stores
}

// Servers are the stores that tests run against, by the kind.
var Servers = map[string]func(testing.TB) Store{"S3": S3, "GCS": GCS, "Azure": Azure}

// S3 is the S3-compatible server that BATCH_TEST_S3 names, as
// http://KEY:SECRET@HOST:PORT/BUCKET. Without one the test is skipped, but
// fails where CI is set.
func S3(t testing.TB) Store {
	t.Helper()
	at := server(t, "BATCH_TEST_S3")
	secret, _ := at.User.Password()
	return store(t, "s3:/"+at.Path, map[string]string{
		"AWS_ENDPOINT_URL_S3": at.Scheme + "://" + at.Host, "AWS_REGION": "us-east-1",
		"AWS_ACCESS_KEY_ID": at.User.Username(), "AWS_SECRET_ACCESS_KEY": secret,
	})
}

// GCS is the emulator of Google Cloud Storage that BATCH_TEST_GCS names, as
// http://HOST:PORT/BUCKET; else as S3.
func GCS(t testing.TB) Store {
	t.Helper()
	at := server(t, "BATCH_TEST_GCS")
	return store(t, "gs:/"+at.Path, map[string]string{"STORAGE_EMULATOR_HOST": at.Host})
}

// Azure is the emulator of Azure Blob Storage that BATCH_TEST_AZURE names, as
// http://ACCOUNT:KEY@HOST:PORT/CONTAINER; else as S3. It makes the container.
func Azure(t testing.TB) Store {
	t.Helper()
	at := server(t, "BATCH_TEST_AZURE")
	account := at.User.Username()
	key, _ := at.User.Password()
	text := fmt.Sprintf("AccountName=%s;AccountKey=%s;BlobEndpoint=%s://%s/%s;", account, key, at.Scheme, at.Host, account)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	options := &azblob.ClientOptions{ClientOptions: policy.ClientOptions{Transport: &http.Client{Transport: transport}}}
	client, err := azblob.NewClientFromConnectionString(text, options)
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.CreateContainer(t.Context(), strings.Trim(at.Path, "/"), nil)
	if err != nil && !bloberror.HasCode(err, bloberror.ContainerAlreadyExists) {
		t.Fatal(err)
	}
	return store(t, "az://"+account+at.Path, map[string]string{"AZURE_STORAGE_CONNECTION_STRING": text})
}

// InMemory is a store with one bucket in memory.
func InMemory(t testing.TB, memory *Memory) Store {
	t.Helper()
	return Store{URI: "s3://bucket/below/", Stores: object.StoresOf(map[string]object.Bucket{"s3://bucket": memory})}
}

func server(t testing.TB, variable string) *url.URL {
	t.Helper()
	at := os.Getenv(variable)
	if at == "" {
		message := variable + " names no server: tools/servers.sh start DIR, then . DIR/env"
		if os.Getenv("CI") == "true" {
			t.Fatal(message)
		}
		t.Skip(message)
	}
	parsed, err := url.Parse(at)
	if err != nil {
		t.Fatal(variable + " is not a URL")
	}
	return parsed
}

func store(t testing.TB, bucket string, env map[string]string) Store {
	stores := object.NewStores(func(name string) string { return env[name] })
	t.Cleanup(stores.Close)
	uri := fmt.Sprintf("%s/%x/", strings.TrimSuffix(bucket, "/"), rand.Uint64())
	return Store{URI: uri, Env: env, Stores: stores}
}

// Bucket opens the store's bucket.
func (s Store) Bucket(t testing.TB) (object.Bucket, string) {
	t.Helper()
	bucket, prefix, err := s.Stores.Bucket(t.Context(), s.URI)
	if err != nil {
		t.Fatal(err)
	}
	return bucket, prefix
}
