package object

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
)

// Stores opens buckets by their uri. Credentials and endpoints come from the
// runner's environment, the way the stores' own tools find them.
type Stores struct {
	env func(name string) string

	mu      sync.Mutex
	buckets map[string]Bucket // by scheme and name
}

// NewStores takes the environment by name, as os.Getenv.
func NewStores(env func(name string) string) *Stores {
	return &Stores{env: env, buckets: map[string]Bucket{}}
}

// StoresOf are the given buckets, by uris like s3://bucket, and no others.
func StoresOf(buckets map[string]Bucket) *Stores {
	return &Stores{env: func(string) string { return "" }, buckets: maps.Clone(buckets)}
}

// azure is the scheme whose buckets have two names: account and container.
const azure = "az"

// schemes are the kinds of stores, and how a bucket of each is opened.
var schemes = map[string]func(env func(string) string, name string) (patient, error){
	"s3":  openS3,
	"gs":  openGCS,
	azure: openAzure,
}

// Is tells whether a uri names objects of a store rather than local files.
func Is(uri string) bool {
	scheme, _, found := strings.Cut(uri, "://")
	return found && scheme != "file" && !strings.Contains(scheme, "/")
}

// Bucket opens the bucket of a uri like s3://bucket/key and gives the key, or
// prefix, in it, as it stands in the uri. It does not ask the store anything.
func (s *Stores) Bucket(_ context.Context, uri string) (Bucket, string, error) {
	scheme, rest, _ := strings.Cut(uri, "://")
	open, known := schemes[scheme]
	if !known {
		return nil, "", fmt.Errorf("open %s: stores of this kind are not supported: use s3://BUCKET/KEY, gs://BUCKET/KEY or az://ACCOUNT/CONTAINER/KEY", uri)
	}
	name, key, _ := strings.Cut(rest, "/")
	if scheme == azure {
		var container string
		container, key, _ = strings.Cut(key, "/")
		if container == "" {
			return nil, "", fmt.Errorf("open %s: it names no container: write az://ACCOUNT/CONTAINER/KEY", uri)
		}
		name += "/" + container
	}
	if name == "" {
		return nil, "", fmt.Errorf("open %s: it names no bucket: write %s://BUCKET/KEY", uri, scheme)
	}
	bucket, err := s.bucket(scheme+"://"+name, func() (patient, error) { return open(s.env, name) })
	if err != nil {
		return nil, "", fmt.Errorf("open %s: %w", uri, err)
	}
	return bucket, key, nil
}

// Close lets go of the connections that wait for another request.
func (s *Stores) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, bucket := range s.buckets {
		if p, ours := bucket.(patient); ours {
			p.idle()
		}
	}
}

// bucket opens each bucket once, so that its connections and what is known of
// it are shared.
func (s *Stores) bucket(name string, open func() (patient, error)) (Bucket, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, ok := s.buckets[name]; ok {
		return known, nil
	}
	opened, err := open()
	if err != nil {
		return nil, err
	}
	s.buckets[name] = opened
	return opened, nil
}
