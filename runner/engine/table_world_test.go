package engine_test

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// somebody is whose database a world's job reads and writes: rows come, change and
// go there while runs are under way. Each state of a row is a version of its own,
// whose number is what the prediction server sees. What the engine writes is noted
// by triggers, in the same transaction.
type somebody struct {
	w    *world
	k    kind
	db   *sql.DB
	lock *sql.Tx

	versions map[int]version
	rows     map[int]int // id → its version, of those that are there
	nextID   int
	spools   map[string][]byte // removed meanwhile, by path
	markers  int               // when they were counted last
}

type version struct {
	id        int
	bad       bool   // it can't be read
	at, until string // between these the row was written, by the database's clock
}

const aTable = `
	CREATE TABLE items (id INTEGER PRIMARY KEY, a INTEGER, b REAL, at TIMESTAMP(3), score REAL, predicted_for TEXT);
	CREATE TABLE scores (id INTEGER PRIMARY KEY, score REAL, predicted_for TEXT);
	CREATE TABLE writes (seq INTEGER PRIMARY KEY, id INTEGER, score REAL, was REAL, run_at TEXT, was_at TEXT);
	CREATE TRIGGER filled AFTER UPDATE OF score ON items WHEN NEW.score >= 0 BEGIN
		INSERT INTO writes (id, score, was, run_at, was_at) VALUES (NEW.id, NEW.score, OLD.score, NEW.predicted_for, OLD.predicted_for); END;
	CREATE TRIGGER changed AFTER UPDATE OF score ON scores WHEN NEW.score >= 0 BEGIN
		INSERT INTO writes (id, score, was, run_at, was_at) VALUES (NEW.id, NEW.score, OLD.score, NEW.predicted_for, OLD.predicted_for); END;
	CREATE TRIGGER added AFTER INSERT ON scores WHEN NEW.score >= 0 BEGIN
		INSERT INTO writes (id, score, run_at) VALUES (NEW.id, NEW.score, NEW.predicted_for); END;`

const tableNow = `strftime('%Y-%m-%d %H:%M:%f', 'now')`

func newSomebody(w *world, k kind) *somebody {
	s := &somebody{w: w, k: k, versions: map[int]version{}, rows: map[int]int{}, spools: map[string][]byte{}}
	path := filepath.Join(w.dir, "in", "items.db") // which no crash of ours touches
	var err error
	s.db, err = sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(wal)&_pragma=busy_timeout(0)&_pragma=synchronous(off)&_txlock=immediate")
	must(w.t, err)
	_, err = s.db.Exec(aTable)
	must(w.t, err)
	dsn := filepath.Join(w.dir, "in", "dsn")
	must(w.t, os.WriteFile(dsn, []byte("sqlite://"+path), 0o600))
	ref := api.SecretRef{File: dsn}
	b := w.bench
	b.job.Input = api.Input{Mode: k.mode, Key: []string{"id"}, SQL: &api.InputSQL{DSN: ref, Query: "SELECT id, a, b, at FROM items"}}
	switch k.mode {
	case api.ModePredicate:
		b.job.Input.SQL.Query += " WHERE score IS NULL"
	case api.ModeWatermark:
		b.job.Input.SQL.Watermark = &api.Watermark{Column: "at", Start: api.StartBeginning, Lag: "0s"}
	}
	table := "items"
	if k.write != api.WriteUpdate {
		table = "scores"
	}
	b.job.Predict.Outputs = map[string]string{"score": "score"}
	b.job.Output = api.Output{SQL: &api.OutputSQL{DSN: ref, Table: table, Write: k.write, RunAt: "predicted_for"}, Publish: k.publish}
	w.dying, w.removing, w.ahead = s.stopWorld, s.keepSpool, s.hasMore
	s.add(12)
	return s
}

func (s *somebody) close() {
	s.release()
	must(s.w.t, s.db.Close())
}

// do changes the table, as soon as nobody else does. Who holds it may have to
// wait for something itself: then the bubble's clock goes on a little.
func (s *somebody) do(statement string, args ...any) {
	for tries := 0; ; tries++ {
		_, err := s.db.Exec(statement, args...)
		if err == nil || !strings.Contains(err.Error(), "locked") && !strings.Contains(err.Error(), "busy") || tries > 1e6 {
			must(s.w.t, err)
			return
		}
		if tries%1000 == 999 {
			time.Sleep(time.Millisecond)
		}
	}
}

func (s *somebody) now() (text string) {
	must(s.w.t, s.db.QueryRow(`SELECT `+tableNow).Scan(&text))
	return text
}

// pass waits until the database's clock shows another millisecond.
func (s *somebody) pass() {
	for begun := s.now(); s.now() == begun; {
	}
}

// write stores a row in a new state; at is the time of its writing.
func (s *somebody) write(statement string, id int, bad bool) {
	s.w.next++
	number := s.w.next
	var a any = number
	if bad {
		a = fmt.Sprint("bad", number)
	}
	v := version{id: id, bad: bad, at: s.now()}
	s.do(statement, a, id)
	v.until = s.now()
	s.pass() // the next state is of a later millisecond
	s.versions[number], s.rows[id] = v, number
	if bad {
		s.w.model.bad[number] = true
	}
}

func (s *somebody) add(n int) {
	for range n {
		s.nextID++
		s.write(`INSERT INTO items (a, id, b, at) VALUES ($1, $2, 0.5, `+tableNow+`)`, s.nextID, rapid.IntRange(0, 14).Draw(s.w.r, "can't be read") == 1)
	}
}

// some picks rows that are there.
func (s *somebody) some(what string) (ids []int) {
	all := make([]int, 0, len(s.rows))
	for id := range s.rows {
		all = append(all, id)
	}
	slices.Sort(all)
	if len(all) == 0 {
		return nil
	}
	for range rapid.IntRange(1, 4).Draw(s.w.r, what) {
		ids = append(ids, rapid.SampledFrom(all).Draw(s.w.r, "row"))
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// change has rows change, which are to be predicted again then.
func (s *somebody) change() {
	for _, id := range s.some("changed") {
		s.write(`UPDATE items SET a = $1, at = `+tableNow+`, score = NULL, predicted_for = NULL WHERE id = $2`, id, false)
	}
}

func (s *somebody) remove() {
	for _, id := range s.some("deleted") {
		if len(s.rows) > 3 {
			s.do(`DELETE FROM items WHERE id = $1`, id)
			delete(s.rows, id)
		}
	}
}

// fill has somebody else predict rows.
func (s *somebody) fill() {
	for _, id := range s.some("filled") {
		if s.k.write == api.WriteUpdate {
			s.do(`UPDATE items SET score = -7 WHERE id = $1 AND score IS NULL`, id)
		} else {
			s.do(`INSERT INTO scores (id, score) VALUES ($1, -7) ON CONFLICT DO NOTHING`, id)
		}
	}
}

// hold keeps everybody from writing, for a while.
func (s *somebody) hold() {
	s.acquire()
	s.w.let()
	if !s.w.isDead() {
		s.release()
	}
}

func (s *somebody) acquire() {
	for tries := 0; s.lock == nil; tries++ {
		tx, err := s.db.Begin() // immediate
		if err == nil {
			s.lock = tx
			return
		}
		if tries > 1e7 {
			panic(err)
		}
	}
}

func (s *somebody) release() {
	if s.lock != nil {
		must(s.w.t, s.lock.Rollback())
		s.lock = nil
	}
}

// stopWorld keeps a process that dies from writing to the table from then on. A
// transaction under way ends: of that the process has not heard.
func (s *somebody) stopWorld() { s.acquire() }

// hasMore tells whether mini-batches were committed since it was asked last.
func (s *somebody) hasMore() bool {
	before := s.markers
	if err := s.db.QueryRow(`SELECT COUNT(*) FROM _batch_commits`).Scan(&s.markers); err != nil {
		return false // no run has begun to write
	}
	return s.markers > before
}

// keepSpool keeps what a run has read, for the model.
func (s *somebody) keepSpool(path string) {
	if filepath.Base(path) != "spool" {
		return
	}
	files, _ := filepath.Glob(filepath.Join(path, "*"))
	for _, file := range files {
		text, err := os.ReadFile(file)
		must(s.w.t, err)
		s.spools[file] = text
	}
}

// planned reads the versions of each file of a plan, by their places.
func (s *somebody) planned(plan store.Plan) (read func(m store.MiniBatch) []int) {
	var files []struct {
		Spool    string
		SpoolRun string `json:"spool_run"`
	}
	must(s.w.t, json.Unmarshal(plan.Files, &files))
	return func(m store.MiniBatch) (versions []int) {
		path := filepath.Join(s.w.dir, "data", "runs", files[m.File].SpoolRun, files[m.File].Spool)
		text, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			text, err = s.spools[path], nil
		}
		must(s.w.t, err)
		if int64(len(text)) < m.Offset+m.Length {
			s.w.r.Fatalf("the copy %s has %d bytes, and mini-batch %d of run %s lies at %d+%d", path, len(text), m.Number, plan.Run, m.Offset, m.Length)
		}
		for line := range bytes.Lines(text[m.Offset : m.Offset+m.Length]) {
			var row struct{ A any }
			must(s.w.t, json.Unmarshal(line, &row))
			var number int
			_, err := fmt.Sscan(strings.TrimPrefix(fmt.Sprint(row.A), "bad"), &number)
			must(s.w.t, err)
			versions = append(versions, number)
		}
		return versions
	}
}
