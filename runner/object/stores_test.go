package object_test

import (
	"testing"

	"github.com/batchpattern/terraform-provider-batch/runner/object/objecttest"
)

func TestGoogleCloudStorageIsABucket(t *testing.T) {
	bucket, prefix := objecttest.GCS(t).Bucket(t)
	objecttest.Conforms(t, bucket, prefix)
}

func TestAzureBlobStorageIsABucket(t *testing.T) {
	bucket, prefix := objecttest.Azure(t).Bucket(t)
	objecttest.Conforms(t, bucket, prefix)
}
