package source

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Columns are the columns of the first of the files that has any: by its header
// or schema, else those of its first good record. Columns that a file has by its
// folders come last. None has some where none holds a record.
func (in *Inputs) Columns(ctx context.Context, files []File) ([]string, error) {
	for _, f := range files {
		columns := f.Columns()
		if columns == nil && f.Bytes() > f.Start {
			var err error
			if columns, err = in.firstKeys(ctx, f); err != nil {
				return nil, err
			}
		}
		if columns != nil {
			return columns, nil
		}
	}
	return nil, nil
}

// firstKeys are the keys of a file's first good record.
func (in *Inputs) firstKeys(ctx context.Context, f File) ([]string, error) {
	opened, err := in.Open(ctx, f)
	if err != nil {
		return nil, err
	}
	defer func() { _ = opened.Close() }() // read only
	keys, err := opened.firstKeys(f.Start, f.Bytes()-f.Start)
	if keys == nil || err != nil {
		return nil, err
	}
	return append(keys, f.Partitions.names()...), nil
}

func (o *Opened) firstKeys(offset, length int64) ([]string, error) {
	reader, err := o.Records(Stretch{Offset: offset, Length: length, FirstLine: 1}, nil)
	if err != nil {
		return nil, err
	}
	for {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read input %s: %w", o.file.Path, err)
		}
		if record.Bad == nil {
			return keysOf(record.Raw), nil
		}
	}
}

// keysOf are the keys of a JSON object, in its order.
func keysOf(object []byte) (keys []string) {
	decoder := json.NewDecoder(bytes.NewReader(object))
	if _, err := decoder.Token(); err != nil {
		return nil
	}
	for decoder.More() {
		key, err := decoder.Token()
		var value json.RawMessage
		if err != nil || decoder.Decode(&value) != nil {
			return keys
		}
		keys = append(keys, key.(string)) // of an object
	}
	return keys
}
