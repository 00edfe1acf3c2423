package accountant

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"database/sql"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// books are the store's tables and the input files that they name.
type books struct {
	db   *sql.DB
	key  string
	read func(path string) ([]byte, error) // an input file
}

// planned is a record of a plan.
type planned struct {
	key, place string // place is file:line
	result     bool   // its mini-batch has a result
	carried    bool   // it is owed by the job
}

func (b *books) runs() (all []storedRun, err error) {
	rows, err := b.db.Query(`SELECT id, state, reason, datetime(occurrence / 1000000000, 'unixepoch'), revision, counts FROM runs ORDER BY created_at, id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells what matters
	for rows.Next() {
		var (
			r      storedRun
			frozen string
		)
		if err := rows.Scan(&r.ID, &r.State, &r.Reason, &r.Occurrence, &r.Revision, &frozen); err != nil {
			return nil, err
		}
		if frozen != "" {
			var figures struct{ Counts map[string]int }
			if err := json.Unmarshal([]byte(frozen), &figures); err != nil {
				return nil, err
			}
			r.Counts = figures.Counts
		}
		all = append(all, r)
	}
	return all, rows.Err()
}

// plan lists the records of a run's plan, read from the input files anew.
func (b *books) plan(run string) (all []planned, err error) {
	var files string
	if err := b.db.QueryRow(`SELECT files FROM plans WHERE run_id = ?`, run).Scan(&files); errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	var paths []struct{ Path string }
	if err := json.Unmarshal([]byte(files), &paths); err != nil {
		return nil, err
	}
	rows, err := b.db.Query(`SELECT file, offset, length, first_line, records, state IN ('staged', 'committed'), carried FROM mini_batches WHERE run_id = ? ORDER BY number`, run)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells what matters
	for rows.Next() {
		var (
			file, offset, length, line int64
			records                    int
			result, carried            bool
		)
		if err := rows.Scan(&file, &offset, &length, &line, &records, &result, &carried); err != nil {
			return nil, err
		}
		found, err := b.slice(paths[file].Path, offset, length, line)
		if err != nil {
			return nil, err
		}
		if len(found) != records {
			return nil, fmt.Errorf("%s holds %d records at %d, the plan says %d", paths[file].Path, len(found), offset, records)
		}
		for _, p := range found {
			p.result, p.carried = result, carried
			all = append(all, p)
		}
	}
	return all, rows.Err()
}

// deadLetters are the places of a run's dead letters.
func (b *books) deadLetters(run string) (places []string, err error) {
	rows, err := b.db.Query(`SELECT body FROM dead_letters WHERE run_id = ?`, run)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells what matters
	for rows.Next() {
		var body string
		if err := rows.Scan(&body); err != nil {
			return nil, err
		}
		place, err := placeOf([]byte(body))
		if err != nil {
			return nil, err
		}
		places = append(places, place)
	}
	return places, rows.Err()
}

// owed are the records in the ledger that nobody has settled.
func (b *books) owed() (all []planned, err error) {
	rows, err := b.db.Query(`SELECT file, offset, length, first_line FROM ledger WHERE settled_by = ''`)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells what matters
	for rows.Next() {
		var (
			pinned               string
			offset, length, line int64
			file                 struct{ Path string }
		)
		if err := rows.Scan(&pinned, &offset, &length, &line); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(pinned), &file); err != nil {
			return nil, err
		}
		found, err := b.slice(file.Path, offset, length, line)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, rows.Err()
}

// known tells whether the job remembers a file.
func (b *books) known(path string) (known bool, err error) {
	err = b.db.QueryRow(`SELECT COUNT(*) > 0 FROM known_files WHERE path = ?`, path).Scan(&known)
	return known, err
}

func (b *books) wholeFile(path string) ([]planned, error) {
	text, err := b.plain(path)
	if err != nil {
		return nil, err
	}
	start := int64(bytes.IndexByte(text, '\n') + 1)
	return b.slice(path, start, int64(len(text))-start, 2)
}

// plain is the content of an input file, decompressed where it is compressed.
func (b *books) plain(path string) ([]byte, error) {
	text, err := b.read(path)
	if err != nil || !strings.HasSuffix(path, ".gz") {
		return text, err
	}
	z, err := gzip.NewReader(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// slice reads the records at a place of a CSV file with a header.
func (b *books) slice(path string, offset, length, line int64) (all []planned, err error) {
	text, err := b.plain(path)
	if err != nil {
		return nil, err
	}
	header, _, _ := strings.Cut(string(text), "\n")
	column := -1
	for i, name := range strings.Split(strings.TrimSpace(header), ",") {
		if name == b.key {
			column = i
		}
	}
	records := csv.NewReader(bytes.NewReader(text[offset : offset+length]))
	records.FieldsPerRecord = -1
	for {
		cells, err := records.Read()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		at, _ := records.FieldPos(0)
		p := planned{place: fmt.Sprintf("%s:%d", path, line+int64(at)-1)}
		p.key = p.place // of a record too short to have a key
		if column >= 0 && column < len(cells) && len(cells) > 1 {
			p.key = cells[column]
		}
		all = append(all, p)
	}
}

// publishedKeys are the keys of a part's records.
func publishedKeys(name string, text []byte, key string) (keys []string, err error) {
	if filepath.Ext(name) == ".csv" {
		rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
		if err != nil || len(rows) == 0 {
			return nil, err
		}
		for column, header := range rows[0] {
			for i := 1; header == key && i < len(rows); i++ {
				keys = append(keys, rows[i][column])
			}
		}
		return keys, nil
	}
	for lines := json.NewDecoder(bytes.NewReader(text)); ; {
		var row map[string]any
		if err := lines.Decode(&row); errors.Is(err, io.EOF) {
			return keys, nil
		} else if err != nil {
			return nil, err
		}
		keys = append(keys, fmt.Sprint(row[key]))
	}
}

func placeOf(letter []byte) (string, error) {
	var body struct {
		Source struct {
			File string
			Line int64
		}
	}
	err := json.Unmarshal(letter, &body)
	return fmt.Sprintf("%s:%d", body.Source.File, body.Source.Line), err
}

func sum(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
