package accountant

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing/fstest"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob" //nolint:depguard // not by way of the runner
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// Bucket is a bucket of an object store. It is reached by the store's own
// protocol, not by way of the runner.
type Bucket struct {
	base string // its uri, with a slash at its end
	list func(prefix string) ([]string, error)
	get  func(key string) (io.ReadCloser, error)
}

// OpenBucket opens the bucket of a uri, by what the environment of a runner says
// of its test server.
func OpenBucket(uri string, env map[string]string) (*Bucket, error) {
	at, err := url.Parse(uri)
	if err != nil {
		return nil, err
	}
	switch at.Scheme {
	case "s3":
		return openS3(at.Host, env)
	case "gs":
		return openGoogle(at.Host, "http://"+env["STORAGE_EMULATOR_HOST"]), nil
	case "az":
		container, _, _ := strings.Cut(strings.TrimPrefix(at.Path, "/"), "/")
		return openAzure(at.Host, container, env["AZURE_STORAGE_CONNECTION_STRING"])
	}
	return nil, fmt.Errorf("open %s: of no known kind", uri)
}

func openS3(name string, env map[string]string) (*Bucket, error) {
	at, err := url.Parse(env["AWS_ENDPOINT_URL_S3"])
	if err != nil {
		return nil, err
	}
	client, err := minio.New(at.Host, &minio.Options{
		Creds: credentials.NewStaticV4(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], ""), Region: env["AWS_REGION"],
	})
	return &Bucket{
		base: "s3://" + name + "/",
		list: func(prefix string) (keys []string, err error) {
			for object := range client.ListObjects(context.Background(), name, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
				keys, err = append(keys, object.Key), object.Err
			}
			return keys, err
		},
		get: func(key string) (io.ReadCloser, error) {
			return client.GetObject(context.Background(), name, key, minio.GetObjectOptions{})
		},
	}, err
}

func openGoogle(name, server string) *Bucket {
	all := server + "/storage/v1/b/" + name + "/o"
	get := func(at string) (io.ReadCloser, error) {
		answer, err := http.Get(at) //nolint:gosec // a test server's
		if err == nil && answer.StatusCode != http.StatusOK {
			err = fmt.Errorf("get %s: %s", at, answer.Status)
		}
		if err != nil {
			return nil, err
		}
		return answer.Body, nil
	}
	return &Bucket{
		base: "gs://" + name + "/",
		list: func(prefix string) (keys []string, err error) {
			body, err := get(all + "?prefix=" + url.QueryEscape(prefix))
			if err != nil {
				return nil, err
			}
			defer body.Close() //nolint:errcheck // read only
			var page struct{ Items []struct{ Name string } }
			err = json.NewDecoder(body).Decode(&page)
			for _, item := range page.Items {
				keys = append(keys, item.Name)
			}
			return keys, err
		},
		get: func(key string) (io.ReadCloser, error) { return get(all + "/" + url.PathEscape(key) + "?alt=media") },
	}
}

func openAzure(account, container, connection string) (*Bucket, error) {
	client, err := azblob.NewClientFromConnectionString(connection, nil)
	return &Bucket{
		base: "az://" + account + "/" + container + "/",
		list: func(prefix string) (keys []string, err error) {
			pages := client.NewListBlobsFlatPager(container, &azblob.ListBlobsFlatOptions{Prefix: &prefix})
			for pages.More() {
				page, err := pages.NextPage(context.Background())
				if err != nil {
					return nil, err
				}
				for _, item := range page.Segment.BlobItems {
					keys = append(keys, *item.Name)
				}
			}
			return keys, nil
		},
		get: func(key string) (io.ReadCloser, error) {
			answer, err := client.DownloadStream(context.Background(), container, key, nil)
			return answer.Body, err
		},
	}, err
}

// read reads an object whole.
func (b *Bucket) read(key string) (content []byte, err error) {
	body, err := b.get(key)
	if err != nil {
		return nil, err
	}
	defer body.Close() //nolint:errcheck // read only
	return io.ReadAll(body)
}

// readInput reads an input file, in the bucket or on the disk.
func (b *Bucket) readInput(path string) ([]byte, error) {
	if key, inside := strings.CutPrefix(path, b.base); inside {
		return b.read(key)
	}
	return os.ReadFile(path)
}

// below is a copy of all objects whose uris begin with one, as files.
func (b *Bucket) below(uri string) (fstest.MapFS, error) {
	prefix := strings.TrimPrefix(uri, b.base)
	keys, err := b.list(prefix)
	if err != nil {
		return nil, err
	}
	files := fstest.MapFS{}
	for _, key := range keys {
		content, err := b.read(key)
		if err != nil && !b.there(key) {
			continue // a request of a runner that was killed may have been on its way
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", key, err)
		}
		files[strings.TrimPrefix(key, prefix)] = &fstest.MapFile{Data: content}
	}
	return files, nil
}

// there tells whether an object is listed still.
func (b *Bucket) there(key string) bool {
	keys, err := b.list(key)
	return err != nil || slices.Contains(keys, key)
}

// Copy gives everything below a uri, by what follows it.
func (b *Bucket) Copy(uri string) (map[string][]byte, error) {
	files, err := b.below(uri)
	copied := map[string][]byte{}
	for name, file := range files {
		copied[name] = file.Data
	}
	return copied, err
}
