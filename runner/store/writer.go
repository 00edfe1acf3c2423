package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// maxGroup bounds how many writes share one commit, and so how long the first
// of them waits.
const maxGroup = 500

var errClosed = errors.New("the store is closed")

// writer is the one goroutine that writes. While a commit waits for the disk,
// further writes queue up and share the next one (group commit), so a lone
// write is not delayed and a thousand cost little more than one.
type writer struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
	queue chan *write
	quit  chan struct{}
	done  chan struct{}
	now   func() time.Time
	epoch int64
	store *Store // is told how commits end
}

type write struct {
	f   func(*Tx) error
	err error
	// done is closed when err is final: committed, or failed.
	done chan struct{}
}

func startWriter(s *Store) (*writer, error) {
	conn, err := s.writeDB.Conn(context.Background())
	if err != nil {
		return nil, fmt.Errorf("open the store for writing: %w", err)
	}
	w := &writer{
		store: s, conn: conn, stmts: map[string]*sql.Stmt{}, now: s.now,
		queue: make(chan *write, maxGroup), quit: make(chan struct{}), done: make(chan struct{}),
	}
	go w.loop()
	return w, nil
}

func (w *writer) do(ctx context.Context, f func(*Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if damage, _ := w.store.trouble.now(); damage != nil {
		return damage
	}
	op := &write{f: f, done: make(chan struct{})}
	select {
	case w.queue <- op:
	case <-w.done:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	// Once queued it is carried out: only the outcome tells what is on disk.
	select {
	case <-op.done:
		return op.err
	case <-w.done:
		select {
		case <-op.done:
			return op.err
		default:
			return errClosed
		}
	}
}

func (w *writer) stop() error {
	close(w.quit)
	<-w.done
	var errs []error
	for _, stmt := range w.stmts {
		errs = append(errs, stmt.Close())
	}
	return errors.Join(append(errs, w.conn.Close())...)
}

func (w *writer) loop() {
	defer close(w.done)
	for {
		select {
		case op := <-w.queue:
			w.commit(w.collect(op))
		case <-w.quit:
			for {
				select {
				case op := <-w.queue:
					w.commit(w.collect(op))
				default:
					return
				}
			}
		}
	}
}

func (w *writer) collect(first *write) []*write {
	group := []*write{first}
	for len(group) < maxGroup {
		select {
		case op := <-w.queue:
			group = append(group, op)
		default:
			return group
		}
	}
	return group
}

func (w *writer) commit(group []*write) {
	defer func() {
		for _, op := range group {
			close(op.done)
		}
	}()
	tx := &Tx{w: w, Now: w.now()}
	err := tx.exec("BEGIN IMMEDIATE")
	for i := 0; err == nil && i < len(group); i++ {
		err = tx.guarded(group[i])
	}
	if err == nil {
		err = tx.exec("COMMIT")
	}
	if err != nil {
		_ = tx.exec("ROLLBACK") // fails where SQLite has rolled back by itself
		err = w.store.saw(fmt.Errorf("write to the store: %w", err))
		for _, op := range group {
			op.err = err
		}
		return
	}
	w.store.trouble.over()
	w.store.watch.tell()
}

// guarded runs one write between savepoints, so that its failure undoes its
// own changes only. The returned error is the connection's, not the write's.
func (t *Tx) guarded(op *write) error {
	if err := t.exec("SAVEPOINT op"); err != nil {
		return err
	}
	if op.err = run(op.f, t); op.err != nil {
		if IsStorage(op.err) || isDamage(op.err) {
			return op.err
		}
		if err := t.exec("ROLLBACK TO op"); err != nil {
			return err
		}
	}
	return t.exec("RELEASE op")
}

func run(f func(*Tx) error, t *Tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic inside a store write: %v", p)
		}
	}()
	return f(t)
}

// Tx is the writer's open transaction, for the duration of one Write.
type Tx struct {
	w *writer
	// Now is the instant that the transaction's rows are dated with.
	Now time.Time
}

func (t *Tx) stmt(query string) (*sql.Stmt, error) {
	if stmt, ok := t.w.stmts[query]; ok {
		return stmt, nil
	}
	if err := bindsInOrder(query); err != nil {
		return nil, err
	}
	stmt, err := t.w.conn.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, fmt.Errorf("prepare %q: %w", query, err)
	}
	t.w.stmts[query] = stmt
	return stmt, nil
}

func (t *Tx) exec(query string, args ...any) error {
	_, err := t.changed(query, args...)
	return err
}

// changed executes a statement and tells how many rows it touched.
func (t *Tx) changed(query string, args ...any) (int64, error) {
	stmt, err := t.stmt(query)
	if err != nil {
		return 0, err
	}
	result, err := stmt.Exec(args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// one executes a guarded update: exactly one row, or ErrFenced.
func (t *Tx) one(query string, args ...any) error {
	n, err := t.changed(query, args...)
	if err == nil && n != 1 {
		return ErrFenced
	}
	return err
}

// row gives a scanner over the query's only row; no row is ErrNotFound.
func (t *Tx) row(query string, args ...any) func(...any) error {
	return func(targets ...any) error {
		stmt, err := t.stmt(query)
		if err != nil {
			return err
		}
		err = stmt.QueryRow(args...).Scan(targets...)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNotFound
		}
		return err
	}
}

func (t *Tx) rows(query string, args ...any) (*sql.Rows, error) {
	stmt, err := t.stmt(query)
	if err != nil {
		return nil, err
	}
	return stmt.Query(args...)
}

// saw leaves it to the commit to judge an error.
func (t *Tx) saw(err error) error { return err }

func (t *Tx) clock() time.Time { return t.Now }

// meta reads a value of the meta table, storing first where there is none.
func (t *Tx) meta(key, first string) (value string, err error) {
	if err := t.exec(`INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING`, key, first); err != nil {
		return "", err
	}
	err = t.row(`SELECT value FROM meta WHERE key = $1`, key)(&value)
	return value, err
}

var bindForm = regexp.MustCompile(`\$([0-9]+)`)

// bindsInOrder holds the queries to a form that SQLite, which numbers $n by
// first appearance, and PostgreSQL, which reads the number, understand alike.
func bindsInOrder(query string) error {
	highest := 0
	for _, m := range bindForm.FindAllStringSubmatch(query, -1) {
		n, _ := strconv.Atoi(m[1])
		if n > highest+1 {
			return fmt.Errorf("bind $%d appears before $%d in %q", n, highest+1, query)
		}
		highest = max(highest, n)
	}
	return nil
}
