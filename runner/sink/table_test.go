package sink_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/database"
	"github.com/batchpattern/terraform-provider-batch/runner/database/databasetest"
	"github.com/batchpattern/terraform-provider-batch/runner/durable/durabletest"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
)

// customers is a database with ten rows that predictions are to be written to.
type customers struct {
	t      *testing.T
	dsn    string
	staged string
	db     *database.DB
}

func newCustomers(t *testing.T, dsn string) *customers {
	t.Helper()
	c := &customers{t: t, dsn: dsn, staged: filepath.Join(t.TempDir(), "staged")}
	databasetest.Exec(t, dsn, `CREATE TABLE customers (id INTEGER PRIMARY KEY, label VARCHAR(20))`)
	for id := range 10 {
		databasetest.Exec(t, dsn, fmt.Sprintf(`INSERT INTO customers (id) VALUES (%d)`, id+1))
	}
	var err error
	if c.db, err = database.Open(t.Context(), dsn); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.db.Close)
	return c
}

func (c *customers) table(publish string) *sink.Table {
	job := api.Job{
		Name: job, Input: api.Input{Key: []string{"id"}}, Predict: api.Predict{Outputs: map[string]string{"label": "label"}},
		Output: api.Output{Publish: publish, SQL: &api.OutputSQL{Table: "customers", Write: api.WriteUpdate}},
	}
	open := func(context.Context) (*database.DB, error) { return c.db, nil }
	return sink.OpenTable(durabletest.NoSync(), c.staged, open, job, api.Occasion{Run: "run-1", Occurrence: night})
}

// part stages a mini-batch for the rows from first on.
func (c *customers) part(t *sink.Table, attempt, miniBatch int64, label string, first, n int) sink.PublishedPart {
	c.t.Helper()
	part, err := t.Stage(attempt, miniBatch, 1, columns)
	if err != nil {
		c.t.Fatal(err)
	}
	for id := first; id < first+n; id++ {
		if err := part.Write([]format.Value{{Bytes: fmt.Append(nil, id)}, {Bytes: []byte(label)}}); err != nil {
			c.t.Fatal(err)
		}
	}
	staged, err := part.Finish()
	if err != nil {
		c.t.Fatal(err)
	}
	return sink.PublishedPart{MiniBatch: miniBatch, Staged: staged}
}

// labels are those of all rows, by id.
func (c *customers) labels() string {
	c.t.Helper()
	var texts []string
	for _, row := range databasetest.Query(c.t, c.dsn, `SELECT label FROM customers WHERE label IS NOT NULL ORDER BY id`) {
		texts = append(texts, row[0])
	}
	return strings.Join(texts, " ")
}

func (c *customers) markers() string {
	c.t.Helper()
	var texts []string
	for _, row := range databasetest.Query(c.t, c.dsn, `SELECT unit FROM _batch_commits ORDER BY unit`) {
		texts = append(texts, row[0])
	}
	return strings.Join(texts, " ")
}

func TestATablePartIsCommittedOnce(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, dsn string) {
		c := newCustomers(t, dsn)
		table := c.table(api.PublishProgressive)
		if err := table.Prepare(t.Context()); err != nil {
			t.Fatal(err)
		}
		part := c.part(table, 1, 1, "yes", 9, 4) // two of them have no row
		for range 2 {
			gone, err := table.Show(t.Context(), part, columns)
			if err != nil || !maps.Equal(gone, sink.Gone{"deleted": 2}) {
				t.Fatalf("gone are %v: %v", gone, err)
			}
			databasetest.Exec(t, dsn, `UPDATE customers SET label = 'mine' WHERE id = 10`)
		}
		if got := c.labels(); got != "yes mine" {
			t.Errorf("the labels are %s", got)
		}
		// Another result of the same mini-batch and attempt is a mistake.
		_, err := table.Show(t.Context(), c.part(table, 1, 1, "no", 9, 4), columns)
		if failure, ok := errors.AsType[*api.Failure](err); !ok || failure.Reason != api.ReasonPublish || sink.Passes(err) {
			t.Errorf("another result: %v", err)
		}
	})
}

func TestATableIsPublishedWholeOrNotAtAll(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, dsn string) {
		c := newCustomers(t, dsn)
		table := c.table(api.PublishOnComplete)
		if err := table.Prepare(t.Context()); err != nil {
			t.Fatal(err)
		}
		first, second := c.part(table, 1, 1, "a", 1, 2), c.part(table, 1, 2, "b", 3, 9)
		publication := sink.Publication{Parts: []sink.PublishedPart{second, first}, Columns: columns}
		file := filepath.Join(c.staged, second.Path)
		good, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(strings.Replace(string(good), `"b"`, `"x"`, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := table.Publish(t.Context(), publication); err == nil || c.labels() != "" || c.markers() != "" {
			t.Errorf("with a part that somebody changed the table has labels %q and markers %q: %v", c.labels(), c.markers(), err)
		}
		if err := os.WriteFile(file, good, 0o600); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			gone, err := table.Publish(t.Context(), publication)
			if err != nil || len(gone) != 1 || !maps.Equal(gone[2], sink.Gone{"deleted": 1}) {
				t.Errorf("gone are %v: %v", gone, err)
			}
		}
		if c.labels() != "a a b b b b b b b b" || c.markers() != "mini_batch/1 mini_batch/2" {
			t.Errorf("the table has labels %q and markers %q", c.labels(), c.markers())
		}
	})
}

// The table tells of staged parts which it has: of those that somebody has asked
// for before, whatever became of the answer.
func TestATableTellsWhatItHasOfARun(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, dsn string) {
		c := newCustomers(t, dsn)
		table := c.table(api.PublishProgressive)
		if err := table.Prepare(t.Context()); err != nil {
			t.Fatal(err)
		}
		shown, hidden, again := c.part(table, 1, 1, "a", 1, 2), c.part(table, 1, 2, "b", 9, 2), c.part(table, 2, 1, "c", 1, 2)
		deleted := c.part(table, 1, 3, "d", 10, 2)
		for _, part := range []sink.PublishedPart{shown, deleted} {
			if _, err := table.Show(t.Context(), part, columns); err != nil {
				t.Fatal(err)
			}
		}
		has, err := table.Committed(t.Context(), []sink.PublishedPart{shown, hidden, deleted})
		if _, ok := has[1]; err != nil || len(has) != 2 || !ok || !maps.Equal(has[3], sink.Gone{"deleted": 1}) {
			t.Errorf("the table has %v: %v", has, err)
		}
		if has, err := table.Committed(t.Context(), []sink.PublishedPart{again}); err != nil || len(has) != 0 {
			t.Errorf("of another run attempt's part the table has %v: %v", has, err)
		}
	})
}

func TestATableThatCannotBeWrittenSaysWhatToDo(t *testing.T) {
	c := newCustomers(t, databasetest.New(t, "sqlite"))
	databasetest.Exec(t, c.dsn, `DROP TABLE customers`)
	err := c.table(api.PublishProgressive).Prepare(t.Context())
	if failure, ok := errors.AsType[*api.Failure](err); !ok || failure.Reason != api.Reason(api.ClassConfig) || !strings.Contains(err.Error(), "customers") || sink.Passes(err) {
		t.Errorf("a table that is not there: %v", err)
	}
	away := func(ctx context.Context) (*database.DB, error) {
		return database.Open(ctx, "postgres://nobody:secret@127.0.0.1:1/none")
	}
	table := sink.OpenTable(durabletest.NoSync(), c.staged, away, api.Job{Output: api.Output{SQL: &api.OutputSQL{Table: "customers"}}}, api.Occasion{Run: "run-1"})
	err = table.Prepare(t.Context())
	if _, failed := errors.AsType[*api.Failure](err); failed || !sink.Passes(err) || strings.Contains(err.Error(), "secret") {
		t.Errorf("a database that does not answer: %v", err)
	}
}
