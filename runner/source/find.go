package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

// Find gives the files an input names for one occurrence, sorted by path: the
// order of the plan. Each that says which columns it has must have the wanted
// ones. A file without a single line is fine and has no records. Compressed
// files are copied into the spool.
//
// Errors are *api.Failure: input_missing where no file matches, config where
// one that does cannot be used, or the spool has no room for it.
func (in *Inputs) Find(ctx context.Context, input api.Input, o api.Occasion, columns []string) ([]File, error) {
	return in.find(ctx, input, o, columns, in.keepSpool)
}

// Look is Find that copies nothing: what it gives of compressed files can't be
// opened.
func (in *Inputs) Look(ctx context.Context, input api.Input, o api.Occasion, columns []string) ([]File, error) {
	return in.find(ctx, input, o, columns, dropSpool)
}

func (in *Inputs) find(ctx context.Context, input api.Input, o api.Occasion, columns []string, decompressed decompress) ([]File, error) {
	place, pattern, found, err := in.match(ctx, input, o)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, missing(ctx, place, pattern)
	}
	files := make([]File, len(found))
	err = sideBySide(len(found), place.width(), func(i int) (err error) {
		files[i], err = inspect(ctx, place, found[i], *input.Files, columns, decompressed)
		return err
	})
	return files, err
}

// sideBySide does things, so many of them at once, until one fails; it gives the
// error of the first of those that did.
func sideBySide(n, width int, do func(i int) error) error {
	var next, failed atomic.Int64
	errs := make([]error, n)
	var workers sync.WaitGroup
	for range min(width, n) {
		workers.Go(func() {
			for failed.Load() == 0 {
				i := next.Add(1) - 1
				if i >= int64(n) {
					return
				}
				if errs[i] = do(int(i)); errs[i] != nil {
					failed.Store(1)
				}
			}
		})
	}
	workers.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// match lists what an input names for one occurrence.
func (in *Inputs) match(ctx context.Context, input api.Input, o api.Occasion) (place finder, pattern string, found []listed, err error) {
	uri, err := api.ExpandURI(input.Files.URI, o)
	if err != nil {
		return nil, "", nil, unusable("", fmt.Errorf("expand input uri %q: %w", input.Files.URI, err))
	}
	pattern = api.Path(uri)
	place = in.finderOf(pattern)
	found, err = place.list(ctx, pattern)
	return place, pattern, found, err
}

// missing explains why nothing matched.
func missing(ctx context.Context, place finder, pattern string) error {
	if err := place.reachable(ctx, pattern); errors.Is(err, fs.ErrPermission) {
		return err
	}
	check := "check input.files.uri"
	if strings.ContainsAny(pattern, api.GlobCharacters) {
		check += ", whose wildcards leave out names that begin with _ or ."
	}
	return api.Fail(api.ReasonInputMissing, check+", or have the run wait for it with input.wait_for", fmt.Errorf("no input file matches %s", pattern))
}

// inspect pins one file, and reads what it says of itself.
func inspect(ctx context.Context, place finder, l listed, input api.InputFiles, columns []string, decompressed decompress) (File, error) {
	file, data, err := place.pin(ctx, l)
	if err != nil {
		return File{}, err
	}
	defer func() { _ = data.Close() }() // read only
	file.Format, file.Nulls = input.Format, input.NullValues
	if compressed(input) {
		if file.Format == api.FormatParquet {
			return File{}, unusable(`set input.files.compression = "none": a Parquet file is compressed inside`, fmt.Errorf("input %s is no %s file", file.Path, input.Compression))
		}
		plain, err := decompressed(ctx, &file, input.Compression, data)
		if err != nil {
			return File{}, err
		}
		defer func() { _ = plain.Close() }() // read only
		data = plain
	}
	if err := describe(&file, data, input); err != nil {
		return File{}, badContent("", fmt.Sprintf("read input %s", file.Path), unwrapPath(err))
	}
	if input.HivePartitions != nil && *input.HivePartitions {
		if file.Partitions, err = partitionsOf(file.Path); err == nil {
			err = file.Partitions.checkAgainst(file, data)
		}
		if err != nil {
			return File{}, badContent("rename the folder or the column, or set input.files.hive_partitions = false", "input "+file.Path, err)
		}
	}
	return file, file.CheckColumns(columns)
}

// describe notes which columns a file has, and where its records begin.
func describe(file *File, data content, input api.InputFiles) error {
	if file.Format == api.FormatParquet {
		p, err := format.OpenParquet(data, file.Bytes())
		if err != nil {
			return err
		}
		file.Types, file.StartLine = p.Columns(), 1
		return nil
	}
	options := format.Options{Format: file.Format, Header: input.Header == nil || *input.Header, Columns: input.Columns, Nulls: input.NullValues}
	near := min(aheadFirst, file.Bytes()) // it is not worth the rest of an object
	preamble, err := format.ReadPreamble(options, io.MultiReader(data.from(0, near), data.from(near, file.Bytes()-near)))
	if err != nil {
		return err
	}
	file.Header, file.Start, file.StartLine = slices.Clone(preamble.Header), preamble.Size, preamble.Lines+1
	return nil
}

// decompress gives the content of a compressed file in plain, and notes in the
// file where that is kept.
type decompress func(ctx context.Context, file *File, compression string, data content) (content, error)

// keepSpool copies it into the spool.
func (in *Inputs) keepSpool(ctx context.Context, file *File, compression string, data content) (content, error) {
	path, size, err := in.Spool(ctx, file.Path, "."+file.Format, func(w io.Writer) error {
		plain, err := format.Decompress(compression, data.from(0, file.Size))
		if err != nil {
			return undecompressed(file.Path, compression, err)
		}
		_, err = io.Copy(w, markRead{plain, file.Path, compression})
		return errors.Join(err, plain.Close())
	})
	if err == nil {
		err = data.check()
	}
	if err != nil {
		return nil, err
	}
	file.Spool, file.SpoolRun, file.SpoolSize = path, in.Run, size
	return spool{in.RunsDir}.open(ctx, *file)
}

// dropSpool reads of it what is asked for.
func dropSpool(_ context.Context, file *File, compression string, data content) (content, error) {
	plain, err := format.Decompress(compression, data.from(0, file.Size))
	if err != nil {
		return nil, undecompressed(file.Path, compression, err)
	}
	return passing{content: data, plain: markRead{plain, file.Path, compression}, closer: plain}, nil
}

// passing is the content of a compressed file, which can be read once.
type passing struct {
	content
	plain  io.Reader
	closer io.Closer
}

func (p passing) from(int64, int64) io.Reader { return p.plain }

func (p passing) Close() error { return p.closer.Close() }

func compressed(input api.InputFiles) bool {
	return input.Compression != "" && input.Compression != api.CompressionNone
}

// markRead tells errors of reading from those of writing.
type markRead struct {
	io.Reader
	path, compression string
}

func (m markRead) Read(p []byte) (int, error) {
	n, err := m.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = undecompressed(m.path, m.compression, err)
	}
	return n, err
}

func undecompressed(path, compression string, err error) error {
	hint := "check the file, or correct input.files.compression"
	if strings.Contains(err.Error(), "input.files.") { // it says what to set
		hint = ""
	}
	return badContent(hint, fmt.Sprintf("read input %s as %s", path, compression), err)
}

// badContent is the failure that a file's content is to blame for, unless the
// error already says who is.
func badContent(hint, what string, err error) error {
	if _, known := errors.AsType[*api.Failure](err); known || passesHere(err) || errors.Is(err, context.Canceled) {
		return err
	}
	return unusable(hint, fmt.Errorf("%s: %w", what, err))
}
