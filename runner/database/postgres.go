package database

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
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
	dials := *dialer
	if config.ConnectTimeout > 0 {
		dials.Timeout = config.ConnectTimeout
	}
	config.DialFunc = dials.DialContext
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
var (
	postgresRead  = []call{{text: "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"}}
	postgresWrite = []call{{text: "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"}, {text: `SELECT set_config('enable_hashjoin', 'off', true), ` +
		`set_config('enable_mergejoin', 'off', true), set_config('enable_seqscan', 'off', true)`}}
)

func (p *postgres) begin(ctx context.Context, writes bool) (session, error) {
	s := &postgresSession{server: p, lead: postgresRead}
	if writes {
		s.lead = postgresWrite
	}
	if s.conn, s.reused = p.pop(); s.reused {
		return s, nil
	}
	return s, s.connect(ctx)
}

// postgresSession speaks text both ways.
type postgresSession struct {
	server *postgres
	conn   *pgconn.PgConn
	lead   []call // what begins the transaction, on its way with its first statement
	reused bool   // conn was idle, and may have been lost long ago
}

func (s *postgresSession) connect(ctx context.Context) (err error) {
	s.reused = false
	if s.conn, err = pgconn.ConnectConfig(ctx, s.server.config); err != nil {
		return notConnected(ctx, err)
	}
	return nil
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

func (s *postgresSession) exec(ctx context.Context, calls ...call) ([]int64, error) {
	results, err := s.run(ctx, calls...)
	written := make([]int64, len(results))
	for at, result := range results {
		written[at] = result.CommandTag.RowsAffected()
	}
	return written, err
}

func (s *postgresSession) query(ctx context.Context, text string, args ...any) ([][]string, error) {
	results, err := s.run(ctx, call{text, args})
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, values := range results[0].Rows {
		row := make([]string, len(values))
		for at, value := range values {
			row[at] = string(value)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// run sends statements, and what begins the transaction before the first, all
// at once: the server stops at the first that fails.
func (s *postgresSession) run(ctx context.Context, calls ...call) ([]*pgconn.Result, error) {
	lead := s.lead
	results, err := pipeline(ctx, s.conn, append(slices.Clip(lead), calls...))
	if err != nil && len(lead) > 0 && s.reused && s.conn.IsClosed() && ctx.Err() == nil {
		if err := s.connect(ctx); err != nil {
			return nil, err
		}
		results, err = pipeline(ctx, s.conn, append(slices.Clip(lead), calls...))
	}
	s.lead = nil
	return results[min(len(lead), len(results)):], err
}

// pipeline gives the results of statements up to the first that fails.
func pipeline(ctx context.Context, conn *pgconn.PgConn, calls []call) ([]*pgconn.Result, error) {
	p := conn.StartPipeline(ctx)
	for _, c := range calls {
		values, types := postgresArgs(c.args)
		p.SendQueryParams(c.text, values, types, nil, nil)
	}
	if err := p.Sync(); err != nil {
		_ = p.Close() // says it again
		return nil, err
	}
	var results []*pgconn.Result
	for range calls {
		next, err := p.GetResults()
		if err == nil {
			reader, ok := next.(*pgconn.ResultReader)
			if !ok {
				err = io.ErrUnexpectedEOF // the server has ended it all
			} else if result := reader.Read(); result.Err != nil {
				err = result.Err
			} else {
				results = append(results, result)
			}
		}
		if err != nil {
			_ = p.Close() // says it again
			return results, err
		}
	}
	return results, p.Close()
}

func (s *postgresSession) commit(ctx context.Context) error {
	if s.lead != nil {
		return nil // nothing was said yet
	}
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
