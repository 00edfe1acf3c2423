package database

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// DB is one database, with a pool of sessions. It may be used from any
// goroutine.
type DB struct {
	server  server
	limits  limits
	targets sync.Map // tables as the catalog has them: key of a Table → *target
	pruned  sync.Map // when tables of markers were last looked through: quoted name → time.Time
	// surprised tells that rows are being deleted or taken: the last commit that
	// looked found some.
	surprised atomic.Bool
}

// server is one kind of database: its sessions and its SQL.
type server interface {
	dialect
	kind() string
	close()
	// begin takes a session and begins a transaction in it: one snapshot that
	// reads, or one that writes.
	begin(ctx context.Context, writes bool) (session, error)
}

// session is one connection inside of one transaction. Arguments are string,
// []byte, int64, float64, bool, time.Time and nil.
type session interface {
	// exec runs statements in order up to the first that fails, in one round
	// trip where the protocol allows it, and tells how many rows each of them
	// has written (for an update: found).
	exec(ctx context.Context, calls ...call) ([]int64, error)
	// query is for small results; NULL is "".
	query(ctx context.Context, statement string, args ...any) ([][]string, error)
	// stream is for the query of a user.
	stream(ctx context.Context, statement string, args []any) (cursor, error)
	commit(ctx context.Context) error
	// end takes back what is not committed, and gives the connection back.
	end()
}

// call is a statement with its arguments.
type call struct {
	text string
	args []any
}

// Open connects to postgres://, postgresql://, mysql://, mariadb:// or
// sqlite:///absolute/path. No error shows the DSN's password.
func Open(ctx context.Context, dsn string) (*DB, error) {
	address, err := parseDSN(dsn)
	if err != nil {
		return nil, err
	}
	server, err := address.open()
	if err != nil {
		return nil, unopened(address, explain(err))
	}
	d := &DB{server: server, limits: defaultLimits}
	if _, err := d.Now(ctx); err != nil {
		d.Close()
		return nil, unopened(address, err)
	}
	return d, nil
}

// unopened names the database, which a failure says by itself: who shows it
// shows nothing around it.
func unopened(a address, err error) error {
	f, ok := errors.AsType[*api.Failure](err)
	if !ok {
		return &openError{address: a, err: err}
	}
	return api.Fail(f.Reason, cmp.Or(f.Hint, "correct the file, secret or variable that the job's dsn names, or grant its user access"),
		&openError{address: a, err: f.Err})
}

// openError is a database that could not be opened. It says which, and why in
// one line.
type openError struct {
	address address
	err     error
}

func (e *openError) Error() string {
	return fmt.Sprintf("open database %s: %s", e.address, reason(e.err))
}
func (e *openError) Unwrap() error { return e.err }

// Kind is "postgres", "mysql" (MariaDB, too) or "sqlite".
func (d *DB) Kind() string { return d.server.kind() }

// Close ends all sessions.
func (d *DB) Close() { d.server.close() }

// Now is the database's clock.
func (d *DB) Now(ctx context.Context) (time.Time, error) {
	text, err := d.First(ctx, Query{Text: d.server.clock()})
	if err != nil {
		return time.Time{}, err
	}
	now, err := time.Parse("2006-01-02 15:04:05.999999", text)
	if err != nil {
		return time.Time{}, fmt.Errorf("read the database's clock: %w", err)
	}
	return now, nil
}

// within runs work in one transaction and takes back what it did not commit.
func (d *DB) within(ctx context.Context, writes bool, work func(session) error) error {
	s, err := d.begin(ctx, writes)
	if err != nil {
		return err
	}
	defer s.end()
	return work(s)
}
