package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// sqlSession is a session of a driver of database/sql.
type sqlSession struct {
	conn  *sql.Conn
	open  bool
	cells func([]*sql.ColumnType) cells // how the driver's values become JSON
	shown func(*sql.ColumnType) string  // the word for a column's type
	unit  func(*sql.ColumnType) time.Duration
}

// cells reads the values of a row.
type cells interface {
	scan(*sql.Rows) error
	append(to []byte, column int) []byte
}

// beginSQL begins a transaction with these statements.
func beginSQL(ctx context.Context, db *sql.DB, statements ...string) (*sqlSession, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, notConnected(ctx, err)
	}
	s := &sqlSession{conn: conn, open: true}
	for _, text := range statements {
		if _, err := conn.ExecContext(ctx, text); err != nil {
			s.end()
			return nil, fmt.Errorf("begin a transaction: %w", err)
		}
	}
	return s, nil
}

func (s *sqlSession) exec(ctx context.Context, calls ...call) ([]int64, error) {
	var written []int64
	for _, c := range calls {
		result, err := s.conn.ExecContext(ctx, c.text, c.args...)
		if err != nil {
			return written, err
		}
		rows, err := result.RowsAffected()
		if err != nil {
			return written, err
		}
		written = append(written, rows)
	}
	return written, nil
}

func (s *sqlSession) query(ctx context.Context, text string, args ...any) ([][]string, error) {
	rows, err := s.conn.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells what matters
	names, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	values, to := make([]sql.NullString, len(names)), make([]any, len(names))
	for at := range values {
		to[at] = &values[at]
	}
	var all [][]string
	for rows.Next() {
		if err := rows.Scan(to...); err != nil {
			return nil, err
		}
		row := make([]string, len(values))
		for at, value := range values {
			row[at] = value.String
		}
		all = append(all, row)
	}
	return all, rows.Err()
}

func (s *sqlSession) commit(ctx context.Context) error {
	if _, err := s.conn.ExecContext(ctx, "COMMIT"); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	s.open = false
	return nil
}

func (s *sqlSession) end() {
	if s.open {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if _, err := s.conn.ExecContext(ctx, "ROLLBACK"); err != nil {
			// A connection in an unknown state is not used again.
			_ = s.conn.Raw(func(any) error { return driver.ErrBadConn })
		}
		s.open = false
	}
	_ = s.conn.Close() // it is back in the pool, or gone
}

// sqlCursor reads rows of database/sql.
type sqlCursor struct {
	rows   *sql.Rows
	end    func() error
	shown  []api.Column
	units  []time.Duration
	cells  cells
	failed error
}

func (s *sqlSession) stream(ctx context.Context, text string, args []any) (cursor, error) {
	// A prepared statement has the server send numbers as they are, not as text
	// that it rounds.
	prepared, err := s.conn.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	rows, err := prepared.QueryContext(ctx, args...)
	if err != nil {
		return nil, errors.Join(err, prepared.Close())
	}
	c := &sqlCursor{rows: rows, end: prepared.Close}
	types, err := rows.ColumnTypes()
	if err != nil {
		c.close()
		return nil, err
	}
	for _, column := range types {
		c.shown = append(c.shown, api.Column{Name: column.Name(), Type: s.shown(column)})
		c.units = append(c.units, s.unit(column))
	}
	c.cells = s.cells(types)
	return c, nil
}

func (c *sqlCursor) columns() []api.Column { return c.shown }

func (c *sqlCursor) unit(column int) time.Duration { return c.units[column] }

func (c *sqlCursor) next() bool {
	if c.failed != nil || !c.rows.Next() {
		return false
	}
	c.failed = c.cells.scan(c.rows)
	return c.failed == nil
}

func (c *sqlCursor) append(to []byte, column int) []byte { return c.cells.append(to, column) }

func (c *sqlCursor) err() error { return errors.Join(c.failed, c.rows.Err()) }

func (c *sqlCursor) close() {
	_ = c.rows.Close() // what matters was in err
	_ = c.end()
}
