package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// writeOff makes dead letters of the records that the server refused. They are
// read once more: while they are predicted nobody keeps the input. Under
// policy complete the first of them is the error instead.
func (a *attempt) writeOff() error {
	if len(a.refused) == 0 {
		return nil
	}
	if a.d.x.job.Retry.Policy == api.PolicyComplete {
		first := slices.Min(slices.Collect(maps.Keys(a.refused)))
		maps.DeleteFunc(a.refused, func(place int64, _ condemned) bool { return place != first })
	}
	err := a.d.x.eachRecord(a.m, func(record *format.Record, position int64) error {
		if c, refused := a.refused[position]; refused {
			a.dead = append(a.dead, a.deadLetter(record, position, c))
		}
		return nil
	})
	if err != nil || a.d.x.job.Retry.Policy != api.PolicyComplete {
		return err
	}
	last := a.dead[len(a.dead)-1].DeadLetter
	return api.Fail(api.Reason(last.Class), "", errors.New(named(last)))
}

// named is a dead letter's error with its place and key.
func named(letter api.DeadLetter) string {
	place := letter.Source.String()
	where := place
	if letter.Source.Table == "" {
		for _, column := range slices.Sorted(maps.Keys(letter.Key)) {
			where += fmt.Sprintf(", %s=%s", column, letter.Key[column])
		}
	}
	return where + ": " + strings.TrimPrefix(letter.Error, place+": ")
}

func (a *attempt) deadLetter(record *format.Record, position int64, c condemned) store.PlacedDeadLetter {
	now := a.d.x.e.Now().UTC()
	letter := store.PlacedDeadLetter{Position: position, DeadLetter: api.DeadLetter{
		Run: a.d.x.run.ID, MiniBatch: a.m.Number, Class: c.class, Status: c.status, Group: c.group,
		Attempts: c.attempts, FirstSeen: now, LastSeen: now,
	}}
	if !c.first.IsZero() {
		letter.FirstSeen, letter.LastSeen = c.first.UTC(), c.last.UTC()
	}
	a.d.x.describe(&letter, a.file, record, a.keys)
	letter.Error = letter.Source.String() + ": " + c.reason
	return letter
}

// describe fills in what a record says of itself, and where it stands.
func (x *execution) describe(letter *store.PlacedDeadLetter, file source.File, record *format.Record, keys []int) {
	if x.job.DeadLetters.Input != api.DeadInputKeyOnly {
		letter.Input = shortened(record.Raw)
	}
	if record.Bad == nil && len(keys) > 0 {
		letter.Key, letter.Row = map[string]string{}, x.rowHashes(record)
		for i, column := range x.job.Input.Key {
			letter.Key[column] = text(record.Values[keys[i]])
		}
	}
	letter.Source = placeIn(file, record.Line, letter.Key)
}

// longestInput is how much of a record's input its dead letter holds, in bytes.
const longestInput = 1 << 20

// shortened is a record's input as its dead letter holds it.
func shortened(raw []byte) string {
	if len(raw) <= longestInput {
		return strings.ToValidUTF8(string(raw), "\uFFFD")
	}
	return strings.ToValidUTF8(string(raw[:longestInput]), "\uFFFD") + fmt.Sprintf("… (the first %d of %d bytes)", longestInput, len(raw))
}

// placeIn is where people find a record: its line in a file; a row of a query
// by its key.
func placeIn(file source.File, line int64, key map[string]string) api.Place {
	if file.Path == source.QueryName && key != nil {
		return api.Place{Table: source.QueryName, Key: key, Line: line}
	}
	return api.Place{File: file.Path, Line: line}
}

// text is a value for people.
func text(v format.Value) string {
	var decoded string
	if v.JSON && json.Unmarshal(v.Bytes, &decoded) == nil {
		return decoded
	}
	return string(v.Bytes)
}

// eachRecord reads a mini-batch's records, the bad ones too, with their places
// in it.
func (x *execution) eachRecord(m store.MiniBatch, yield func(record *format.Record, position int64) error) error {
	pinned := x.files[m.File]
	file, err := x.inputs.Open(context.Background(), pinned)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // read only
	reader, err := file.Records(stretchOf(m), x.columns())
	if err != nil {
		return err
	}
	for position := int64(0); ; position++ {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", pinned.Path, err)
		}
		if err := yield(record, position); err != nil {
			return err
		}
	}
}
