package compare

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
	"github.com/batchpattern/terraform-provider-batch/runner/object"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
)

// side is one of the two things that are compared.
type side struct {
	name    string // as people know it
	inputs  *source.Inputs
	files   []source.File
	columns []string // of the first record; none where there is no record
	parts   *parts
}

// findAgainst gives the files that a uri names, or those of a published folder.
func findAgainst(ctx context.Context, inputs *source.Inputs, o Options) (*side, error) {
	uri := o.Against.URI
	if !isFolder(uri) {
		s := &side{name: uri, inputs: inputs}
		return s, s.add(ctx, o.Against)
	}
	s, err := findPublished(ctx, inputs, uri, o.Objects)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, object.ErrNotFound) {
		return nil, fmt.Errorf("%s is a folder that no run has published (it has no %s): name its files, as in %s/*.csv", uri, manifestName, strings.TrimSuffix(uri, "/"))
	}
	return s, err
}

// isFolder tells what is no file for sure: a local folder, and a uri of an
// object store that ends as a folder's.
func isFolder(uri string) bool {
	if api.IsObject(uri) {
		return strings.HasSuffix(uri, "/")
	}
	info, err := os.Stat(uri)
	return err == nil && info.IsDir()
}

func (s *side) add(ctx context.Context, files api.InputFiles) error {
	input := api.Job{Input: api.Input{Files: &files}}.WithDefaults().Input
	if input.Files.Format == "" {
		return fmt.Errorf("the format of %s can't be told from its name", files.URI)
	}
	found, err := s.inputs.Find(ctx, input, api.Occasion{}, nil)
	if f, ok := errors.AsType[*api.Failure](err); ok && f.Reason == api.ReasonInputMissing {
		return fmt.Errorf("no file matches %s", files.URI) // its remedy speaks of a job's input
	}
	if err != nil {
		return err
	}
	s.files = append(s.files, found...)
	if s.columns == nil {
		s.columns, err = s.inputs.Columns(ctx, found)
	}
	return err
}

// manifestName is where a published folder says what it holds.
const manifestName = "_MANIFEST.json"

// findPublished gives the parts of a published folder: those that its manifest
// lists, and no others.
func findPublished(ctx context.Context, inputs *source.Inputs, folder string, objects *object.Stores) (*side, error) {
	content, err := readManifest(ctx, folder, objects)
	if err != nil {
		return nil, fmt.Errorf("read what %s holds: %w", folder, err)
	}
	var manifest struct {
		Parts []struct {
			Name string `json:"name"`
		} `json:"parts"`
	}
	if err := json.Unmarshal(content, &manifest); err != nil {
		return nil, fmt.Errorf("read what %s holds: its %s: %w", folder, manifestName, err)
	}
	s := &side{name: folder, inputs: inputs}
	for _, part := range manifest.Parts {
		files := api.InputFiles{URI: Literally(strings.TrimSuffix(folder, "/") + "/" + part.Name), HivePartitions: new(strings.Contains(path.Dir(part.Name), "="))}
		if err := s.add(ctx, files); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func readManifest(ctx context.Context, folder string, objects *object.Stores) ([]byte, error) {
	name := strings.TrimSuffix(folder, "/") + "/" + manifestName
	if !api.IsObject(folder) {
		return os.ReadFile(name)
	}
	bucket, key, err := objects.Bucket(ctx, name)
	if err != nil {
		return nil, err
	}
	r, err := bucket.Read(ctx, key, "", 0, -1)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(r)
	return content, errors.Join(err, r.Close())
}

// Literally writes a path as the uri that names this path only.
func Literally(path string) string {
	return strings.NewReplacer("{", "{{", "}", "}}", `\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(path)
}

func (s *side) bytes() (n int64) {
	for _, f := range s.files {
		n += f.Bytes()
	}
	return n
}

// deal writes each record to the part that its key belongs to.
func (s *side) deal(ctx context.Context, key, columns []string) error {
	project := append(append([]string{}, key...), columns...)
	place := int64(0)
	for _, file := range s.files {
		err := s.each(ctx, file, project, func(record *format.Record) error {
			place++
			if record.Bad != nil {
				return fmt.Errorf("%s:%d: %w", file.Path, record.Line, record.Bad)
			}
			return s.parts.write(place, record.Values[:len(key)], record.Values[len(key):])
		})
		if err != nil {
			return err
		}
	}
	return s.parts.flush()
}

func (s *side) each(ctx context.Context, file source.File, project []string, do func(*format.Record) error) error {
	opened, err := s.inputs.Open(ctx, file)
	if err != nil {
		return err
	}
	defer opened.Close() //nolint:errcheck // read only
	length := file.Bytes() - file.Start
	if file.Format == api.FormatParquet {
		groups, err := opened.Groups()
		if err != nil {
			return err
		}
		length = 0
		for _, rows := range groups {
			length += rows
		}
	}
	records, err := opened.Records(source.Stretch{Offset: file.Start, Length: length, FirstLine: file.StartLine}, project)
	if err != nil {
		return err
	}
	for n := 0; ; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		record, err := records.Read()
		if errors.Is(err, io.EOF) {
			return opened.Check()
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", file.Path, err)
		}
		if err := do(record); err != nil {
			return err
		}
	}
}

func quoted(names []string) string {
	texts := make([]string, len(names))
	for i, name := range names {
		texts[i] = fmt.Sprintf("%q", name)
	}
	return strings.Join(texts, ", ")
}
