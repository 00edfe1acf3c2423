package database

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// postgres is a PostgreSQL server, or what speaks its protocol.
type postgres struct {
	config *pgconn.Config

	mu      sync.Mutex
	idle    []idleConn // the longest idle first
	expires *time.Timer
	closed  bool
}

type idleConn struct {
	conn  *pgconn.PgConn
	since time.Time
}

const (
	keptIdle     = 4                // sessions kept for the next transaction
	keptIdleFor  = 30 * time.Second // and for how long
	postgresInit = `SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'iso_8601'; SET bytea_output = 'hex';
SET extra_float_digits = 1; SET standard_conforming_strings = on; SET lock_timeout = '60s'; SET idle_in_transaction_session_timeout = '60s'`
)

func openPostgres(u *url.URL) (server, error) {
	config, err := pgconn.ParseConfig(u.String())
	if err != nil {
		if parse, ok := errors.AsType[*pgconn.ParseConfigError](err); ok {
			err = parse.Unwrap()
		}
		return nil, failf("see the connection strings of PostgreSQL", "its options can't be used: %w", err)
	}
	config.RuntimeParams["application_name"] = "batch-runner"
	config.RuntimeParams["client_encoding"] = "UTF8"
	config.AfterConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
		_, err := conn.Exec(ctx, postgresInit).ReadAll()
		return err
	}
	return &postgres{config: config}, nil
}

func (p *postgres) kind() string { return "postgres" }

func (p *postgres) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.expires != nil {
		p.expires.Stop()
	}
	for _, idle := range p.idle {
		closeConn(idle.conn)
	}
	p.idle = nil
}

func closeConn(conn *pgconn.PgConn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // there is nobody to tell, and nothing is lost
}

// pop takes the session that was idle for the shortest time.
func (p *postgres) pop() (*pgconn.PgConn, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) == 0 {
		return nil, false
	}
	last := p.idle[len(p.idle)-1]
	if p.idle = p.idle[:len(p.idle)-1]; len(p.idle) == 0 {
		p.expires.Stop()
	}
	return last.conn, true
}

// put keeps a session for the next transaction, if it may.
func (p *postgres) put(conn *pgconn.PgConn) {
	if conn.IsClosed() || conn.IsBusy() || conn.TxStatus() != 'I' || !p.keep(conn) {
		closeConn(conn)
	}
}

func (p *postgres) keep(conn *pgconn.PgConn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.idle) == keptIdle {
		return false
	}
	p.idle = append(p.idle, idleConn{conn: conn, since: time.Now()})
	if len(p.idle) == 1 {
		p.expires = time.AfterFunc(keptIdleFor, p.expire)
	}
	return true
}

// expire closes sessions that nobody has wanted for a while, and comes again
// for those that are left.
func (p *postgres) expire() {
	for _, idle := range p.expired() {
		closeConn(idle.conn) // with no lock held: it may take a while
	}
}

func (p *postgres) expired() (old []idleConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.idle) > 0 {
		left := keptIdleFor - time.Since(p.idle[0].since)
		if left > 0 {
			p.expires.Reset(left)
			break
		}
		old = append(old, p.idle[0])
		p.idle = p.idle[1:]
	}
	return old
}

// What a transaction begins with. Rows are found by their unique index,
// whatever the statistics of a table say that has just been filled: the time
// of a chunk must not grow with the table.
const (
	postgresRead  = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
	postgresWrite = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL enable_seqscan = off"
)

func (p *postgres) begin(ctx context.Context, writes bool) (session, error) {
	text := postgresRead
	if writes {
		text = postgresWrite
	}
	for {
		conn, reused := p.pop()
		if !reused {
			var err error
			if conn, err = pgconn.ConnectConfig(ctx, p.config); err != nil {
				return nil, fmt.Errorf("connect: %w", err)
			}
		}
		s := &postgresSession{server: p, conn: conn}
		_, err := conn.Exec(ctx, text).ReadAll()
		if err == nil {
			return s, nil
		}
		closeConn(conn)
		if !reused || ctx.Err() != nil { // an idle one may have been lost long ago
			return nil, fmt.Errorf("begin a transaction: %w", err)
		}
	}
}

// postgresSession speaks text both ways.
type postgresSession struct {
	server *postgres
	conn   *pgconn.PgConn
}

// postgresArgs writes arguments as text. Instants, and those that are absent,
// are told to be instants, so that :scheduled_at - interval '1 day' means what
// it says; of all others the server finds the type.
func postgresArgs(args []any) (values [][]byte, types []uint32) {
	values, types = make([][]byte, len(args)), make([]uint32, len(args))
	for at, arg := range args {
		switch arg := arg.(type) {
		case nil:
			types[at] = oidTimestampTZ
		case []byte:
			values[at] = arg
		case string:
			values[at] = []byte(arg)
		case int64:
			values[at] = strconv.AppendInt(nil, arg, 10)
		case time.Time:
			values[at] = arg.UTC().AppendFormat(nil, time.RFC3339Nano)
			types[at] = oidTimestampTZ
		default:
			values[at] = fmt.Append(nil, arg)
		}
	}
	return values, types
}

func (s *postgresSession) exec(ctx context.Context, text string, args ...any) (int64, error) {
	values, types := postgresArgs(args)
	tag, err := s.conn.ExecParams(ctx, text, values, types, nil, nil).Close()
	return tag.RowsAffected(), err
}

func (s *postgresSession) query(ctx context.Context, text string, args ...any) ([][]string, error) {
	values, types := postgresArgs(args)
	result := s.conn.ExecParams(ctx, text, values, types, nil, nil)
	var rows [][]string
	for result.NextRow() {
		var row []string
		for _, value := range result.Values() {
			row = append(row, string(value))
		}
		rows = append(rows, row)
	}
	_, err := result.Close()
	return rows, err
}

func (s *postgresSession) commit(ctx context.Context) error {
	results, err := s.conn.Exec(ctx, "COMMIT").ReadAll()
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	// A transaction that had failed answers a COMMIT with ROLLBACK.
	if tag := results[0].CommandTag.String(); tag != "COMMIT" {
		return fmt.Errorf("commit: the server answers %s", tag)
	}
	return nil
}

func (s *postgresSession) end() {
	if s.conn == nil {
		return
	}
	conn := s.conn
	s.conn = nil
	if !conn.IsClosed() && !conn.IsBusy() && conn.TxStatus() != 'I' {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_, _ = conn.Exec(ctx, "ROLLBACK").ReadAll() // a connection that can't is not kept
	}
	s.server.put(conn)
}
