package store

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"time"
)

// querier is what both the writer's transaction and the readers offer.
type querier interface {
	rows(query string, args ...any) (*sql.Rows, error)
	// saw is told how a query ended, and gives its error.
	saw(error) error
	// clock is now, by the store's clock.
	clock() time.Time
}

// readers answers queries outside the writer's transaction, on a snapshot.
type readers struct{ store *Store }

func (r readers) rows(query string, args ...any) (*sql.Rows, error) {
	stmt, err := r.store.prepared(query)
	if err != nil {
		return nil, err
	}
	return stmt.Query(args...)
}

// prepared keeps a reader's query prepared: there are few, asked again and
// again, and SQLite takes longer to understand one than to answer it.
func (s *Store) prepared(query string) (*sql.Stmt, error) {
	if stmt, ok := s.queries.Load(query); ok {
		return stmt.(*sql.Stmt), nil
	}
	stmt, err := s.readDB.Prepare(query)
	if err != nil {
		return nil, err
	}
	if earlier, raced := s.queries.LoadOrStore(query, stmt); raced {
		return earlier.(*sql.Stmt), stmt.Close()
	}
	return stmt, nil
}

// saw notes damage. What else a reader meets says nothing about writing.
func (r readers) saw(err error) error {
	if isDamage(err) {
		return r.store.saw(err)
	}
	return err
}

func (r readers) clock() time.Time { return r.store.now() }

func (s *Store) reader() readers { return readers{s} }

// list reads all rows of a query through scan.
func list[T any](q querier, scan func(*sql.Rows) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.rows(query, args...)
	if err != nil {
		return nil, q.saw(err)
	}
	all, err := collect(rows, scan)
	return all, q.saw(err)
}

// collect reads the rows that are left and closes them.
func collect[T any](rows *sql.Rows, scan func(*sql.Rows) (T, error)) ([]T, error) {
	defer rows.Close() //nolint:errcheck // rows.Err tells what matters
	var all []T
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

// first reads the first row of a query; no row is ErrNotFound.
func first[T any](q querier, scan func(*sql.Rows) (T, error), query string, args ...any) (T, error) {
	all, err := list(q, scan, query, args...)
	if err == nil && len(all) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		var none T
		return none, err
	}
	return all[0], nil
}

// nanos is an instant as it is stored; the zero time is 0.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// instant scans what nanos stored.
type instant struct{ t *time.Time }

func (i instant) Scan(value any) error {
	n, ok := value.(int64)
	if !ok {
		return fmt.Errorf("scan an instant from %T", value)
	}
	*i.t = time.Time{}
	if n != 0 {
		*i.t = time.Unix(0, n).UTC()
	}
	return nil
}

func scanInstant(rows *sql.Rows) (t time.Time, err error) {
	err = rows.Scan(instant{&t})
	return t, err
}

// number is a truth value as it is stored.
func number(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// document scans a JSON column; an empty one leaves the target alone.
type document struct{ target any }

func (d document) Scan(value any) error {
	text, ok := value.(string)
	if !ok {
		return fmt.Errorf("scan a document from %T", value)
	}
	if text == "" {
		return nil
	}
	return json.Unmarshal([]byte(text), d.target)
}

// encode writes a document; the types stored here always encode.
func encode(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}
