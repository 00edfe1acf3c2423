package engine

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// In mode "predicate" a row that is a dead letter is found again by each run,
// since it has no prediction. It is left out as long as what the run reads of it
// is what it was.

// leaveKnown gives the choice among rows; nil where no row is to be left out.
func (p *planner) leaveKnown() (func(format.Reader) ([]bool, error), error) {
	x, identity := p.x, p.x.job.InputIdentity()
	if any, err := x.e.Store.KnowsKeys(x.run.JobUID, identity); err != nil || !any {
		return nil, err
	}
	p.leftOut = leftOut{}
	return func(rows format.Reader) ([]bool, error) {
		var hashes []store.RowHashes
		var keys []string
		places := x.indexes(x.job.Input.Key) // the same for all, once the features are resolved
		for {
			record, err := rows.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, fmt.Errorf("read the query's rows: %w", err)
			}
			row := hashesOf(record, places)
			hashes, keys = append(hashes, row), append(keys, row.Key)
		}
		known, err := x.e.Store.KnownKeys(x.run.JobUID, identity, keys)
		if err != nil {
			return nil, err
		}
		return p.leftOut.judge(hashes, known), nil
	}, nil
}

// leftOut counts rows that are left out.
type leftOut struct {
	rows int64
	runs []string // whose dead letters they are
}

func (l *leftOut) judge(rows []store.RowHashes, known []store.KnownKey) []bool {
	dead := make(map[store.RowHashes]string, len(known))
	for _, k := range known {
		dead[k.RowHashes] = k.Run
	}
	stay := make([]bool, len(rows))
	for i, row := range rows {
		run, out := dead[row]
		if stay[i] = !out; !out {
			continue
		}
		l.rows++
		if !slices.Contains(l.runs, run) {
			l.runs = append(l.runs, run)
		}
	}
	return stay
}

// String is what a run's history says.
func (l *leftOut) String() string {
	const most = 3
	runs := strings.Join(l.runs[:min(most, len(l.runs))], ", ")
	if more := len(l.runs) - most; more > 0 {
		runs += fmt.Sprintf(" and %d more", more)
	}
	of := "run"
	if len(l.runs) > 1 {
		of = "runs"
	}
	return fmt.Sprintf("%s left out: dead letters of %s %s, unchanged", api.Counted(l.rows, "row"), of, runs)
}

// rowHashes tells a row again that a run has read; nothing in modes that do not
// ask.
func (x *execution) rowHashes(record *format.Record) store.RowHashes {
	if x.job.Input.Mode != api.ModePredicate {
		return store.RowHashes{}
	}
	return hashesOf(record, x.indexes(x.job.Input.Key))
}

// hashesOf hashes a record of columns(), whose key has these places. A row that
// can't be read has no key.
func hashesOf(record *format.Record, places []int) store.RowHashes {
	if record.Bad != nil {
		return store.RowHashes{}
	}
	key := make([]format.Value, len(places))
	for i, place := range places {
		key[i] = record.Values[place]
	}
	ofKey := sha256.Sum256(source.KeyBytes(nil, key))
	var text []byte
	for _, v := range record.Values {
		text = binary.AppendUvarint(text, uint64(len(v.Bytes)))
		text = append(text, v.Bytes...)
	}
	ofInput := sha256.Sum256(text)
	return store.HashesOf(ofKey[:], ofInput[:])
}
