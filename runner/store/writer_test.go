package store

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// note inserts one row that tests count.
func note(key string) func(*Tx) error {
	return func(tx *Tx) error {
		return tx.exec(`INSERT INTO meta (key, value) VALUES ($1, $2)`, "note-"+key, strconv.FormatInt(nanos(tx.Now), 10))
	}
}

// notes maps the noted keys to the instants of their transactions.
func notes(t fataler, s *Store) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, line := range must(list(s.reader(), scanText, `SELECT key || ' ' || value FROM meta WHERE key LIKE 'note-%'`))(t) {
		key, value, _ := strings.Cut(strings.TrimPrefix(line, "note-"), " ")
		all[key] = value
	}
	return all
}

// hold keeps the writer busy until the returned function is called, so that
// other writes gather behind it.
func hold(s *Store) (release func()) {
	busy, free, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Write(context.Background(), func(*Tx) error { close(busy); <-free; return nil })
	}()
	<-busy
	return func() { close(free); <-done }
}

// queue starts a write and returns once it waits in the queue.
func queue(ctx context.Context, s *Store, f func(*Tx) error) <-chan error {
	before := len(s.writer.queue)
	result := make(chan error, 1)
	go func() { result <- s.Write(ctx, f) }()
	for len(s.writer.queue) == before {
		runtime.Gosched()
	}
	return result
}

func TestWritesThatWaitTogetherShareOneTransaction(t *testing.T) {
	c := &clock{step: time.Second} // read once a transaction
	s := openAt(t, t.TempDir(), c)
	release := hold(s)
	var results []<-chan error
	for i := range 50 {
		results = append(results, queue(t.Context(), s, note(fmt.Sprint(i))))
	}
	release()
	for _, result := range results {
		if err := <-result; err != nil {
			t.Error(err)
		}
	}
	all := notes(t, s)
	for key, at := range all {
		if at != all["0"] {
			t.Fatalf("write %s is of another transaction than write 0", key)
		}
	}
	if len(all) != 50 {
		t.Errorf("%d of 50 writes are there", len(all))
	}
}

func TestAnAcknowledgedWriteIsInTheFilesAtOnce(t *testing.T) {
	s, c := open(t)
	var writers sync.WaitGroup
	for i := range 200 {
		writers.Go(func() {
			if err := s.Write(context.Background(), note(fmt.Sprint(i))); err != nil {
				t.Error(err)
			}
		})
	}
	writers.Wait()

	dir := t.TempDir() // what a machine that stops now leaves behind
	for _, name := range []string{File, File + "-wal"} {
		text, err := os.ReadFile(filepath.Join(s.Dir(), name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := len(notes(t, openAt(t, dir, c))); got != 200 {
		t.Errorf("%d of 200 acknowledged writes are there", got)
	}
}

func TestTheWriterWaitsForTheDisk(t *testing.T) {
	s, _ := open(t)
	var synchronous int
	var journal string
	do(t, s, func(tx *Tx) error {
		return errors.Join(tx.row(`PRAGMA synchronous`)(&synchronous), tx.row(`PRAGMA journal_mode`)(&journal))
	})
	if synchronous != 2 || journal != "wal" {
		t.Errorf("synchronous is %d, journal mode %s; want 2 (full), wal", synchronous, journal)
	}
}

func TestAFailingWriteOfAGroupFailsAlone(t *testing.T) {
	s, _ := open(t)
	refused := errors.New("refused")
	release := hold(s)
	before := queue(t.Context(), s, note("before"))
	failing := queue(t.Context(), s, func(tx *Tx) error { return errors.Join(note("failing")(tx), refused) })
	panicking := queue(t.Context(), s, func(tx *Tx) error {
		if err := note("panicking")(tx); err != nil {
			return err
		}
		panic("a bug")
	})
	badQuery := queue(t.Context(), s, func(tx *Tx) error { return tx.exec(`INSERT INTO nowhere VALUES (1)`) })
	doubled := queue(t.Context(), s, func(tx *Tx) error { return errors.Join(note("doubled")(tx), note("doubled")(tx)) })
	after := queue(t.Context(), s, note("after"))
	release()

	if err := errors.Join(<-before, <-after); err != nil {
		t.Errorf("a neighbour failed: %v", err)
	}
	if err := <-failing; !errors.Is(err, refused) {
		t.Errorf("the failing write got %v", err)
	}
	if err := <-panicking; err == nil || !strings.Contains(err.Error(), "panic inside a store write: a bug") {
		t.Errorf("the panicking write got %v", err)
	}
	if err := <-badQuery; err == nil || !strings.Contains(err.Error(), "no such table: nowhere") {
		t.Errorf("the bad query got %v", err)
	}
	if err := <-doubled; err == nil {
		t.Error("a broken unique key passed")
	}
	all := notes(t, s)
	if len(all) != 2 || all["before"] == "" || all["after"] == "" {
		t.Errorf("what is stored: %v", all)
	}
}

func TestAFullDiskFailsTheGroupAndIsToldApart(t *testing.T) {
	s, _ := open(t)
	limit := func(pages int) {
		do(t, s, func(tx *Tx) error { return tx.row(fmt.Sprintf(`PRAGMA max_page_count = %d`, pages))(new(int)) })
	}
	limit(1) // as small as the database already is
	release := hold(s)
	small := queue(t.Context(), s, note("small"))
	large := queue(t.Context(), s, func(tx *Tx) error {
		return tx.exec(`INSERT INTO meta (key, value) VALUES ('large', hex(zeroblob(1000000)))`)
	})
	release()
	if err := <-large; !IsStorage(err) {
		t.Errorf("the large write got %v", err)
	}
	if err := <-small; !IsStorage(err) {
		t.Errorf("its neighbour got %v: a group that can't be committed fails whole", err)
	}
	limit(1_000_000)
	do(t, s, note("later"))
	if all := notes(t, s); len(all) != 1 || all["later"] == "" {
		t.Errorf("what is stored: %v", all)
	}
	if IsStorage(ErrFenced) || IsStorage(nil) {
		t.Error("a fence is taken for a full disk")
	}
}

// watched is a context that tells when somebody waits for its end.
type watched struct {
	context.Context
	waiting chan struct{}
}

func (w watched) Done() <-chan struct{} {
	close(w.waiting) // a second waiter would panic
	return w.Context.Done()
}

func TestACancelledWriteIsNotBegun(t *testing.T) {
	s, _ := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		if err := s.Write(ctx, note("never")); !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v", err)
		}
	}
	if all := notes(t, s); len(all) != 0 {
		t.Errorf("stored: %v", all)
	}
}

func TestAWriteThatFindsTheQueueFullHeedsItsContext(t *testing.T) {
	s, _ := open(t)
	release := hold(s)
	nothing := func(*Tx) error { return nil }
	for range cap(s.writer.queue) {
		s.writer.queue <- &write{f: nothing, done: make(chan struct{})}
	}
	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan struct{})
	result := make(chan error, 1)
	go func() { result <- s.Write(watched{ctx, waiting}, note("never")) }()
	<-waiting
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	release()
	if all := notes(t, s); len(all) != 0 {
		t.Errorf("stored: %v", all)
	}
}

func TestAQueuedWriteIsCarriedOutWhateverItsContextSays(t *testing.T) {
	s, _ := open(t)
	release := hold(s)
	ctx, cancel := context.WithCancel(t.Context())
	result := queue(ctx, s, note("queued"))
	cancel()
	release()
	if err := <-result; err != nil || len(notes(t, s)) != 1 {
		t.Errorf("%v, stored: %v", err, notes(t, s))
	}
}

func TestCloseAnswersEveryWriteWithWhatIsOnDisk(t *testing.T) {
	s, c := open(t)
	acknowledged := make([]bool, 300)
	var writers sync.WaitGroup
	for i := range acknowledged {
		writers.Go(func() {
			err := s.Write(context.Background(), note(fmt.Sprint(i)))
			if err != nil && !errors.Is(err, errClosed) {
				t.Errorf("write %d: %v", i, err)
			}
			acknowledged[i] = err == nil
		})
	}
	closeStore(t, s)
	writers.Wait()
	all := notes(t, openAt(t, s.Dir(), c))
	for i, ack := range acknowledged {
		if stored := all[fmt.Sprint(i)] != ""; stored != ack {
			t.Errorf("write %d: acknowledged %t, stored %t", i, ack, stored)
		}
	}
}

func TestBindsStandInOrder(t *testing.T) {
	for query, ok := range map[string]bool{
		`SELECT 1`: true, `SELECT $1, $2, $1, $3`: true, `SELECT $2, $1`: false, `SELECT $1, $3`: false, `SELECT $10`: false,
	} {
		if err := bindsInOrder(query); (err == nil) != ok {
			t.Errorf("%s: %v", query, err)
		}
	}
	s, _ := open(t)
	if err := s.Write(t.Context(), func(tx *Tx) error { return tx.exec(`SELECT $2, $1`, 1, 2) }); err == nil || !strings.Contains(err.Error(), "bind $2 appears before $1") {
		t.Errorf("the writer took the query: %v", err)
	}
}

func TestEveryQueryOfThePackageBindsInOrder(t *testing.T) {
	files := must(filepath.Glob("*.go"))(t)
	checked := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file := must(parser.ParseFile(token.NewFileSet(), name, nil, 0))(t)
		ast.Inspect(file, func(n ast.Node) bool {
			if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING && strings.Contains(literal.Value, "$1") {
				checked++
				if err := bindsInOrder(literal.Value); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			return true
		})
	}
	if checked < 50 {
		t.Errorf("only %d queries were found", checked)
	}
}
