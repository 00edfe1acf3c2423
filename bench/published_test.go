//go:build bench

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/database/databasetest"
)

// The pattern's published job against the same declared, with the same model
// behind the same server, over the same table of a database that syncs.
func BenchmarkAgainstThePublishedJob(b *testing.B) {
	peer("scikit-learn", python, "-c", "import sklearn; print(sklearn.__version__)")
	peer("SQLAlchemy", python, "-c", "import sqlalchemy; print(sqlalchemy.__version__)")
	url := start(b, exec.Command(python, "peers/model_server.py"))
	for _, kind := range []string{"mariadb", "postgres"} {
		b.Run(kind, func(b *testing.B) {
			rows := scaled(4_000)
			half, few, many := newItems(b, kind, rows/2), newItems(b, kind, rows), newItems(b, kind, 10*rows)
			against := func(id string, t items, n int) pair {
				return turns(b, id, n, func() cost { return t.ours(url) }, func() cost { return t.theirs(url) })
			}
			for b.Loop() {
				against("sample-half-"+kind, half, 3)
				least := against("sample-"+kind, few, 2).Ours.least(few.ours(url)) // theirs takes minutes
				record(b, "growth-"+kind, 10*many.ours(url).least(many.ours(url)).Wall/least.Wall)
			}
		})
	}
}

var databaseNames = map[string]string{"mariadb": "MariaDB", "postgres": "PostgreSQL"}

// items is a table items(id, values JSON, prediction JSON), as the published
// sample has it.
type items struct {
	b    *testing.B
	kind string
	dsn  string
	rows int
}

func newItems(b *testing.B, kind string, rows int) items {
	b.Helper()
	t := items{b, kind, databasetest.New(b, kind), rows}
	measured.Peers[databaseNames[kind]] = version.FindString(databasetest.Query(b, t.dsn, "SELECT version()")[0][0])
	t.exec(`CREATE TABLE items (id INTEGER PRIMARY KEY, "values" JSON NOT NULL, prediction JSON NULL)`)
	for first := 1; first <= rows; first += 1000 {
		var values []string
		for id := first; id < min(first+1000, rows+1); id++ {
			values = append(values, fmt.Sprintf(`(%d, '{"sepal_length": %d.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}', NULL)`, id, 4+id%4))
		}
		t.exec("INSERT INTO items VALUES " + strings.Join(values, ", "))
	}
	return t
}

// exec takes a statement with names quoted as PostgreSQL has it.
func (t items) exec(statement string) {
	t.b.Helper()
	if t.kind == "mariadb" && !strings.HasPrefix(statement, "INSERT") {
		statement = strings.ReplaceAll(statement, `"`, "`")
	}
	databasetest.Exec(t.b, t.dsn, statement)
}

// check has every item predicted, and forgets it for the next turn.
func (t items) check() {
	t.b.Helper()
	if left := databasetest.Query(t.b, t.dsn, "SELECT COUNT(*) FROM items WHERE prediction IS NULL")[0][0]; left != "0" {
		t.b.Fatalf("%s items have no prediction", left)
	}
	t.exec("UPDATE items SET prediction = NULL")
}

// ours is the job of examples/iris-sql.
func (t items) ours(url string) cost {
	t.b.Helper()
	features := []string{"sepal_length", "sepal_width", "petal_length", "petal_width"}
	member := map[string]string{"postgres": `"values" -> '%[1]s' AS %[1]s`, "mariadb": "json_extract(`values`, '$.%[1]s') AS %[1]s"}[t.kind]
	var columns []string
	for _, name := range features {
		columns = append(columns, fmt.Sprintf(member, name))
	}
	dsn := secret(t.b, t.dsn)
	job := at(url, benchJob(""))
	job.Predict.Model.Name, job.Predict.Features.Columns = "iris", features
	job.Input = api.Input{SQL: &api.InputSQL{DSN: dsn, Query: "SELECT id, " + strings.Join(columns, ", ") + " FROM items WHERE prediction IS NULL"},
		Mode: api.ModePredicate, Key: []string{"id"}}
	job.MiniBatch, job.Parallelism = &api.MiniBatchSpec{Rows: new(int64(1000))}, new(int64(4))
	job.Output = api.Output{SQL: &api.OutputSQL{DSN: dsn, Table: "items", Write: api.WriteUpdate, JSONColumn: "prediction"}}
	o := predictJob(t.b, job)
	t.check()
	return o.cost()
}

func (t items) theirs(url string) cost {
	t.b.Helper()
	dsn, _, _ := strings.Cut(t.dsn, "?")
	c := run(t.b, t.rows, exec.Command(python, "peers/published_job.py", dsn, url+"/v2/models/iris/infer"))
	t.check()
	return c
}

// secret keeps a text in a file of its own, as jobs want it.
func secret(b *testing.B, text string) api.SecretRef {
	b.Helper()
	path := filepath.Join(b.TempDir(), "secret")
	must(b, os.WriteFile(path, []byte(text+"\n"), 0o600))
	return api.SecretRef{File: path}
}
