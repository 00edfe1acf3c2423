package compare

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/database"
	"github.com/batchpattern/terraform-provider-batch/runner/database/databasetest"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

// old fills a table of what a script has predicted: as published below, but for
// one label that differs and one that is missing.
func old(t *testing.T, dsn string) {
	t.Helper()
	databasetest.Exec(t, dsn,
		`CREATE TABLE old (id INTEGER PRIMARY KEY, label VARCHAR(10), p DECIMAL(12, 6), n DOUBLE PRECISION)`,
		`INSERT INTO old VALUES (1, 'a', 0.5, NULL), (2, 'B', 0.25, 2e10), (3, NULL, 0.125000, -0.5), (9, 'z', 1, 1)`)
}

const publishedLines = `{"id":1,"label":"a","p":0.5,"n":null}
{"id":2,"label":"b","p":0.25,"n":20000000000}
{"id":3,"label":null,"p":0.1250001,"n":-0.5}
`

func TestATableIsComparedAsFilesAre(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, dsn string) {
		old(t, dsn)
		folder := publish(t, map[string]string{"part-000001.jsonl": publishedLines})
		o := Options{
			Folder: folder, AgainstTable: &Table{DSN: dsn, Query: "SELECT id, label, p, n FROM old ORDER BY p"},
			Key: []string{"id"}, Tolerance: 1e-6, Examples: 1,
		}
		got := run(t, o)
		if got.Equal != 2 || got.Differ != 1 || got.Missing != 1 || got.Extra != 0 || len(got.Examples) != 2 || got.Examples[0].Key != "id=2" || got.Examples[0].Against != `"B"` {
			t.Errorf("%+v", got)
		}
		if o.Tolerance = 0; run(t, o).Differ != 2 {
			t.Error("0.125 and 0.1250001 are equal without a tolerance")
		}
		o.AgainstTable.Query = "SELECT id, label FROM old WHERE id < 0" // no row: the columns are known all the same
		if got := run(t, o); got.Extra != 3 || !slices.Equal(got.Left, []string{"n", "p"}) && !slices.Equal(got.Left, []string{"p", "n"}) {
			t.Errorf("%+v", got)
		}
	})
}

// The table that a run has written is the published side, its rows being those
// of the occurrence.
func TestARunsOwnTableIsTheRowsOfItsOccurrence(t *testing.T) {
	at := time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)
	for _, kind := range databasetest.Kinds {
		t.Run(kind, func(t *testing.T) {
			dsn := databasetest.New(t, kind)
			instant := map[string]string{"sqlite": "TEXT", "postgres": "TIMESTAMPTZ", "mariadb": "DATETIME(6)", "mysql": "DATETIME(6)"}[kind]
			databasetest.Exec(t, dsn, `CREATE TABLE items (id INTEGER PRIMARY KEY, label VARCHAR(10), scored_for `+instant+`)`)
			write(t, dsn, at, "1", "2")
			write(t, dsn, at.Add(-24*time.Hour), "7")
			against := put(t, filepath.Join(t.TempDir(), "old.csv"), "id,label\n1,a\n2,b\n3,c\n")
			o := Options{Table: &Table{DSN: dsn, Name: "items", RunAt: "scored_for", Occurrence: at}, Against: api.InputFiles{URI: against}, Key: []string{"id"}}
			if got := run(t, o); got.Equal != 1 || got.Differ != 1 || got.Missing != 1 || got.Extra != 0 || !slices.Equal(got.Left, []string{"scored_for"}) {
				t.Errorf("%+v", got)
			}
			o.Table.RunAt = ""
			if got := run(t, o); got.Extra != 1 {
				t.Errorf("all rows: %+v", got)
			}
			o.Table, o.AgainstTable = &Table{DSN: dsn, Query: "SELECT id, label FROM items"}, &Table{DSN: dsn, Name: "items"}
			if got := run(t, o); got.Equal != 3 {
				t.Errorf("a table against itself: %+v", got)
			}
		})
	}
}

// write has the runner's own way to write rows of an occurrence.
func write(t *testing.T, dsn string, at time.Time, ids ...string) {
	t.Helper()
	db, err := database.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	table := database.Table{Name: "items", Key: []string{"id"}, Results: []string{"label"}, Write: api.WriteInsert, RunAt: "scored_for"}
	if err := db.Check(t.Context(), table); err != nil {
		t.Fatal(err)
	}
	rows := func(yield func([]format.Value, error) bool) {
		for _, id := range ids {
			if !yield([]format.Value{jsonCell(id), jsonCell(`"a"`)}, nil) {
				return
			}
		}
	}
	_, err = db.Commit(t.Context(), database.Commit{
		Run: at.Format(time.RFC3339), RunAttempt: 1, Unit: "publish", Fence: 1, Hash: "h", Table: table, At: at, Rows: rows, Records: int64(len(ids)),
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestATableThatCannotBeReadSaysWhy(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, dsn string) {
		old(t, dsn)
		folder := publish(t, map[string]string{"part-000001.jsonl": publishedLines})
		for text, table := range map[string]*Table{
			"read the query: the database refuses the query": {DSN: dsn, Query: "SELECT nothing FROM old"},
			"table nosuch":                   {DSN: dsn, Name: "nosuch"},
			`has no column "id"`:             {DSN: dsn, Query: "SELECT label FROM old"},
			"id=1 stands twice in the query": {DSN: dsn, Query: "SELECT 1 AS id, label FROM old"},
			"open the database":              {DSN: "oracle://x"},
		} {
			_, err := Run(t.Context(), Options{Folder: folder, AgainstTable: table, Key: []string{"id"}})
			if err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("want %q, got %v", text, err)
			} else if strings.Contains(err.Error(), "input.sql") {
				t.Errorf("it speaks of a job's input: %v", err)
			}
		}
	})
}
