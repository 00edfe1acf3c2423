package object

import (
	"strings"
	"testing"
)

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
