package sink

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/durable"
	"github.com/batchpattern/terraform-provider-batch/runner/object"
)

// Objects is the folder of an object store, a prefix of keys, that one run
// writes to. A store renames nothing, so that a published folder differs from a
// local one: its parts carry the revision that wrote them,
//
//	part-000001.r1.jsonl …   (or output.r1.jsonl, country=DE/part-000001.r1.jsonl: layout.go)
//	_DEAD_LETTERS.r1.jsonl
//
// and lie there, named by nothing, before _MANIFEST.json does: writing that one
// object, on the condition that no other has come first, is what publishes
// them. Parts that a revision does not change stay as they are; those that it
// replaces go at the end. Until it is published all is staged on the local disk.
//
// Its methods may be called from several goroutines, but Publish and Sweep by
// one at a time.
type Objects struct {
	staging
	stores   *object.Stores
	job, uid string
	occasion api.Occasion
	rootURI  string // without a slash at its end, as the next
	folder   string
	layout   layout
	merged   laid     // the files of the latest publish
	uploaded sync.Map // name → SHA-256 of the part that this value has written
}

// OpenObjects names the places of one run's output; it touches nothing.
// Staging is a local folder of the run's own.
func OpenObjects(fs durable.FS, stagingDir string, stores *object.Stores, out api.OutputFiles, job, uid string, o api.Occasion) (*Objects, error) {
	expanded, err := api.ExpandURI(out.URI, o)
	if err != nil {
		return nil, fmt.Errorf("open output %s: %w", out.URI, err)
	}
	folder, root := cleanURI(expanded), cleanURI(api.Root(out.URI))
	if !api.HasOccurrencePlaceholder(out.URI) {
		folder += "/occurrence=" + api.FormatInstant(o.Occurrence)
	}
	if !strings.HasPrefix(folder, root+"/") {
		return nil, fmt.Errorf("open output %s: its folder %s is not below %s", out.URI, folder, root)
	}
	return &Objects{
		staging: staging{fs: fs, format: out.Format, dir: stagingDir}, stores: stores, job: job, uid: uid,
		occasion: o, rootURI: root, folder: folder, layout: layoutOf(out),
	}, nil
}

// cleanURI has one slash where several are, and none at the end.
func cleanURI(uri string) string {
	scheme, rest, _ := strings.Cut(uri, "://")
	return scheme + "://" + strings.Trim(path.Clean("/"+rest), "/")
}

// Folder is the uri of what the run publishes.
func (o *Objects) Folder() string { return o.folder }

// place opens the folder's bucket, and gives the key that the folder's others
// begin with.
func (o *Objects) place(ctx context.Context) (objectFolder, error) {
	at, err := openFolder(ctx, o.stores, o.folder)
	at.partitions = []string{o.layout.partitions()}
	return at, err
}

// root is place, for what lies above all folders.
func (o *Objects) root(ctx context.Context) (objectFolder, error) {
	return openFolder(ctx, o.stores, o.rootURI)
}

// Prepare proves, before anything is predicted, that the run will be able to
// publish: parts can be staged, objects written, and the folder is not somebody
// else's. An error is an *api.Failure, output_unwritable or output_taken, or
// passes.
func (o *Objects) Prepare(ctx context.Context) error {
	if err := o.checkTaken(ctx); err != nil {
		return err
	}
	err := o.probe()
	if err == nil {
		err = o.tryToWrite(ctx)
	}
	if err == nil || object.Transient(err) {
		return err
	}
	return unwritableObjects(fmt.Errorf("write output %s: %w", o.folder, err))
}

func (o *Objects) tryToWrite(ctx context.Context) error {
	at, err := o.place(ctx)
	if err != nil {
		return err
	}
	name := probePrefix + o.occasion.Run
	if err := at.put(ctx, name, nil); err != nil {
		return err
	}
	return at.bucket.Delete(ctx, at.prefix+name)
}

// Warnings are what people should know of the store before a run writes to it.
func (o *Objects) Warnings(ctx context.Context) ([]string, error) {
	at, err := o.root(ctx)
	if err != nil {
		return nil, err
	}
	enforced, err := at.bucket.Enforces(ctx, at.prefix)
	if err != nil || enforced {
		return nil, err
	}
	return []string{fmt.Sprintf("the store of %s ignores the conditions of writes (If-None-Match, If-Match): "+
		"nothing but this runner's own lock keeps two writers apart; let no other runner publish there", o.rootURI)}, nil
}

// Begin, Show, Conclude and Abandon are of folders that show a run under way;
// this one shows nothing before its end.

// Begin says that nothing can be shown.
func (*Objects) Begin(context.Context, Manifest) (bool, error) { return false, nil }

// Show does nothing.
func (*Objects) Show(context.Context, PublishedPart, []api.Column) (Gone, error) { return nil, nil }

// Conclude does nothing.
func (*Objects) Conclude(context.Context, Publication) error { return nil }

// Abandon does nothing.
func (*Objects) Abandon(context.Context) error { return nil }

// getTries is how often a document is read again that is just being replaced.
const getTries = 5

// objectFolder is a place in a bucket where names are keys behind a prefix.
type objectFolder struct {
	bucket object.Bucket
	prefix string // empty, or with a slash at its end
	uri    string // of the prefix
	// partitions are the partitionKeys of names that were written there, beside
	// those of the manifest.
	partitions []string
}

func openFolder(ctx context.Context, stores *object.Stores, uri string) (objectFolder, error) {
	bucket, key, err := stores.Bucket(ctx, uri)
	if key != "" {
		key += "/"
	}
	return objectFolder{bucket: bucket, prefix: key, uri: uri}, err
}

func (f objectFolder) put(ctx context.Context, name string, content []byte) error {
	_, err := f.putIf(ctx, name, content, object.Condition{})
	return err
}

func (f objectFolder) putIf(ctx context.Context, name string, content []byte, when object.Condition) (string, error) {
	return f.bucket.Put(ctx, f.prefix+name, bytes.NewReader(content), int64(len(content)), when)
}

// get reads a small object whole; no etag without an error: it is not there.
func (f objectFolder) get(ctx context.Context, name string) (content []byte, info object.Info, err error) {
	for range getTries {
		if content, info, err = f.getOnce(ctx, name); !errors.Is(err, object.ErrChanged) {
			break
		}
	}
	return content, info, err
}

func (f objectFolder) getOnce(ctx context.Context, name string) (content []byte, info object.Info, err error) {
	info, err = f.bucket.Stat(ctx, f.prefix+name)
	if errors.Is(err, object.ErrNotFound) {
		return nil, object.Info{}, nil
	}
	if err != nil {
		return nil, object.Info{}, err
	}
	body, err := f.bucket.Read(ctx, f.prefix+name, info.ETag, 0, -1)
	if errors.Is(err, object.ErrNotFound) {
		return nil, object.Info{}, nil // it was there a moment ago
	}
	if err != nil {
		return nil, object.Info{}, err
	}
	content, err = io.ReadAll(body)
	return content, info, errors.Join(err, body.Close())
}

// each goes through the names of the folder itself, those of folders in it
// with a slash.
func (f objectFolder) each(ctx context.Context, do func(name string) error) error {
	return f.bucket.List(ctx, f.prefix, func(info object.Info) error {
		name := strings.TrimPrefix(info.Key, f.prefix)
		if name == "" { // the folder's own mark, as consoles make it
			return nil
		}
		return do(name)
	})
}

// remove deletes names, some at a time.
func (f objectFolder) remove(ctx context.Context, names []string) error {
	for some := range slices.Chunk(names, 1000) {
		keys := make([]string, len(some))
		for i, name := range some {
			keys[i] = f.prefix + name
		}
		if err := f.bucket.Delete(ctx, keys...); err != nil {
			return err
		}
	}
	return nil
}

// local is a path in the run's staging.
func (o *Objects) local(name string) string { return filepath.Join(o.dir, name) }
