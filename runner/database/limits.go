package database

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// limits bound what nobody says the end of: a connection can be dead without a
// word. The query of a user may take as long as its run.
type limits struct {
	connect   time.Duration // until a session is there, logged in; a file may be locked for a minute
	statement time.Duration // one of ours: it waits a minute for locks, and writes at most a statement's rows
}

var defaultLimits = limits{connect: 90 * time.Second, statement: 5 * time.Minute}

// limited is a session whose statements are answered in time, or lost.
type limited struct {
	session
	limit time.Duration
}

// begin is server's, bounded.
func (d *DB) begin(ctx context.Context, writes bool) (session, error) {
	var s session
	err := inTime(ctx, d.limits.connect, func(ctx context.Context) (err error) {
		s, err = d.server.begin(ctx, writes)
		return err
	})
	if err != nil {
		return nil, err
	}
	return limited{s, d.limits.statement}, nil
}

func (l limited) exec(ctx context.Context, calls ...call) (written []int64, err error) {
	err = inTime(ctx, l.limit, func(ctx context.Context) error {
		written, err = l.session.exec(ctx, calls...)
		return err
	})
	return written, err
}

func (l limited) query(ctx context.Context, statement string, args ...any) (rows [][]string, err error) {
	err = inTime(ctx, l.limit, func(ctx context.Context) error {
		rows, err = l.session.query(ctx, statement, args...)
		return err
	})
	return rows, err
}

func (l limited) commit(ctx context.Context) error { return inTime(ctx, l.limit, l.session.commit) }

// inTime gives work a deadline of its own, which is told apart from that of the
// caller: it may pass.
func inTime(ctx context.Context, limit time.Duration, work func(context.Context) error) error {
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := work(bounded)
	if err != nil && ctx.Err() == nil && errors.Is(bounded.Err(), context.DeadlineExceeded) {
		return &unreachable{fmt.Errorf("the database has not answered for %s", limit)}
	}
	return err
}

// dialer notices a peer that is gone: while an answer is awaited, and while what
// was sent is not acknowledged.
var dialer = &net.Dialer{
	Timeout:         10 * time.Second,
	KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 6},
	Control:         unacknowledged,
}

// silence is how long what was sent may stay unacknowledged.
const silence = 90 * time.Second
