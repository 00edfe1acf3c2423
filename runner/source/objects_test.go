package source_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
	"github.com/batchpattern/terraform-provider-batch/runner/object"
	"github.com/batchpattern/terraform-provider-batch/runner/object/objecttest"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
	"github.com/batchpattern/terraform-provider-batch/runner/split"
)

// watched is a bucket that notes what is read of it.
type watched struct {
	object.Bucket
	requests, asked, unpinned atomic.Int64
	broken                    atomic.Pointer[error]
}

func (w *watched) Read(ctx context.Context, key, etag string, offset, length int64) (io.ReadCloser, error) {
	w.requests.Add(1)
	w.asked.Add(length)
	if etag == "" {
		w.unpinned.Add(1)
	}
	if err := w.broken.Load(); err != nil {
		return nil, *err
	}
	return w.Bucket.Read(ctx, key, etag, offset, length)
}

func (w *watched) Stat(ctx context.Context, key string) (object.Info, error) {
	if err := w.broken.Load(); err != nil {
		return object.Info{}, *err
	}
	return w.Bucket.Stat(ctx, key)
}

// inStore puts an object into a store and gives the inputs that read it.
func inStore(t *testing.T, key string, content []byte) (*watched, *source.Inputs) {
	t.Helper()
	bucket := &watched{Bucket: objecttest.NewMemory()}
	if _, err := bucket.Put(t.Context(), key, bytes.NewReader(content), int64(len(content)), object.Condition{}); err != nil {
		t.Fatal(err)
	}
	o := withSpool(t)
	o.Objects = object.StoresOf(map[string]object.Bucket{"s3://bucket": bucket})
	return bucket, source.New(o)
}

func TestAnObjectIsReadOnceToPlanItAndOnceToPredictIt(t *testing.T) {
	text := "id,text\n" + strings.Repeat("1,"+strings.Repeat("x", 1000)+"\n", 4000)
	bucket, inputs := inStore(t, "a.csv", []byte(text))
	file := mustFind(t, inputs, csvFiles("s3://bucket/*.csv"))[0]
	if asked := bucket.asked.Load(); asked > 512<<10 {
		t.Errorf("%d bytes were asked for to see the header", asked)
	}
	bucket.requests.Store(0)
	var slices []split.Slice
	if err := split.File(t.Context(), inputs, 0, file, split.Options{Rows: 500}, func(s split.Slice) error {
		slices = append(slices, s)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if got := bucket.requests.Load(); got != 1 {
		t.Errorf("%d requests to cut it", got)
	}
	bucket.requests.Store(0)
	bucket.asked.Store(0)
	for _, s := range slices {
		if n := readAll(t, inputs, file, s); n != s.Records {
			t.Errorf("slice %+v has %d records", s, n)
		}
	}
	if requests, asked := bucket.requests.Load(), bucket.asked.Load(); requests != int64(len(slices)) || asked != file.Size-file.Start {
		t.Errorf("%d requests for %d bytes to read %d slices of %d bytes", requests, asked, len(slices), file.Size-file.Start)
	}
	if bucket.unpinned.Load() > 0 {
		t.Error("something was read whatever the object was by then")
	}
}

func TestOfAParquetObjectOnlyWhatIsNeededIsRead(t *testing.T) {
	var content bytes.Buffer
	w, err := format.NewWriter(api.FormatParquet, &content, []api.Column{{Name: "id", Type: api.TypeInt64}, {Name: "ballast", Type: api.TypeString}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20_000 {
		ballast := fmt.Sprintf("%x", bytes.Repeat([]byte{byte(i), byte(i * 7), byte(i >> 3)}, 150))
		if err := w.Write([]format.Value{{Bytes: fmt.Append(nil, i), JSON: true}, {Bytes: []byte(ballast + fmt.Sprint(i*i))}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	bucket, inputs := inStore(t, "a.parquet", content.Bytes())
	file := mustFind(t, inputs, api.Input{Files: &api.InputFiles{URI: "s3://bucket/a.parquet", Format: api.FormatParquet}})[0]
	records := int64(0)
	err = split.File(t.Context(), inputs, 0, file, split.Options{Rows: 5_000}, func(s split.Slice) error {
		records += s.Records
		return nil
	})
	if err != nil || records != 20_000 {
		t.Fatalf("%d records planned, %v", records, err)
	}
	if asked := bucket.asked.Load(); asked > 300<<10 {
		t.Errorf("%d of %d bytes were asked for to plan it", asked, file.Size)
	}
	if n := readAll(t, inputs, file, split.Slice{Offset: 5_000, Length: 5_000, FirstLine: 5_001, Records: 5_000}); n != 5_000 {
		t.Errorf("%d records", n)
	}
	if asked := bucket.asked.Load(); asked > file.Size {
		t.Errorf("%d bytes were asked for, of %d, to read one column of a quarter of it", asked, file.Size)
	}
}

func TestAStoreThatIsAwayIsNoFaultOfTheInput(t *testing.T) {
	bucket, inputs := inStore(t, "a.csv", []byte("id\n1\n"))
	file := mustFind(t, inputs, csvFiles("s3://bucket/a.csv"))[0]
	away := error(syscall.ECONNRESET)
	bucket.broken.Store(&away)
	if _, err := inputs.Find(t.Context(), csvFiles("s3://bucket/a.csv"), occasion, nil); !source.Passes(err) {
		t.Errorf("while planning: %v", err)
	}
	opened, err := inputs.Open(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = opened.Close() }()
	if _, err := io.ReadAll(opened.Stretch(0, 5)); !source.Passes(err) || !strings.Contains(err.Error(), "s3://bucket/a.csv") {
		t.Errorf("while reading: %v", err)
	}
	bucket.broken.Store(nil)
	_, err = source.New(source.Options{}).Find(t.Context(), csvFiles("s3://bucket/a.csv"), occasion, nil)
	wantFailure(t, err, api.Reason(api.ClassConfig), "s3://bucket/a.csv")
}

func readAll(t *testing.T, inputs *source.Inputs, file source.File, s split.Slice) (n int64) {
	t.Helper()
	opened, err := inputs.Open(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = opened.Close() }()
	reader, err := opened.Records(source.Stretch{Offset: s.Offset, Length: s.Length, FirstLine: s.FirstLine}, []string{"id"})
	for err == nil {
		if _, err = reader.Read(); err == nil {
			n++
		}
	}
	if err.Error() != io.EOF.Error() {
		t.Fatal(err)
	}
	return n
}

// What a store says is wrong is not taken for an input that has not come yet.
func TestABucketThatCannotBeListedIsNoMissingInput(t *testing.T) {
	for _, c := range []struct {
		status     int
		code, want string
	}{
		{http.StatusNotFound, "NoSuchBucket", "make the bucket"},
		{http.StatusForbidden, "AccessDenied", "let that identity list the bucket"},
	} {
		server := objecttest.NewS3Server(t, &objecttest.S3Server{Before: func(w http.ResponseWriter, _ *http.Request) bool {
			objecttest.RefuseS3(w, c.status, c.code) // which the answer to a HEAD does not hold
			return true
		}})
		o := withSpool(t)
		o.Objects = server.Stores
		inputs := source.New(o)
		for _, uri := range []string{server.URI + "in/*.csv", server.URI + "in/a.csv"} {
			_, err := inputs.Find(t.Context(), csvFiles(uri), occasion, nil)
			wantFailure(t, err, api.Reason(api.ClassConfig), c.want)
			_, err = inputs.FindNew(t.Context(), csvFiles(uri), occasion, nil, source.Memory{}, time.Now())
			wantFailure(t, err, api.Reason(api.ClassConfig), c.want)
		}
	}
}
