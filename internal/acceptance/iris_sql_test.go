package acceptance

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/database/databasetest"
)

// TestTheExampleIrisSQL is what its README goes through, with each database.
func TestTheExampleIrisSQL(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, dsn string) {
		w := newWorkspace(t)
		w.dataDir = filepath.Join(w.dir, "runner")
		kind := strings.Replace(databasetest.Kind(dsn), "mariadb", "mysql", 1)
		for _, file := range []string{kind + ".sql", "items.sql"} {
			databasetest.Exec(t, dsn, statements(t, file)...)
		}
		w.example("iris-sql/main.tf")
		w.writeTo("terraform.tfvars", `database = "`+kind+`"`+"\n"+`folder = "`+w.dir+`"`)
		if err := os.Symlink(installed.irisServer, filepath.Join(w.dir, "iris-server")); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(filepath.Join(w.dir, "secrets"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(w.dir, "secrets", "items_dsn"), []byte(dsn+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		w.apply()
		w.nothingToDo()

		// The broken item does not keep the others from their predictions.
		run := w.run("iris-items", 1)
		want := api.Counts{Planned: 151, Committed: 150, DeadLettered: 1}
		if run.State != api.RunIncomplete || run.Counts != want {
			t.Fatalf("the first run is %s, %+v: %s", run.State, run.Counts, run.Message)
		}
		if left := databasetest.Query(t, dsn, "SELECT id FROM items WHERE prediction IS NULL"); len(left) != 1 || left[0][0] != "151" {
			t.Errorf("without a prediction are %v", left)
		}
		first := databasetest.Query(t, dsn, "SELECT prediction FROM items WHERE id = 1")
		if text := flatten(first[0][0]); !strings.Contains(text, `"label"`) || !strings.Contains(text, `"setosa"`) || !strings.Contains(text, "0.98469555871564") {
			t.Errorf("item 1 has %s", text)
		}

		// It is left out as long as it stays as it is.
		if run := w.run("iris-items", 2); run.State != api.RunSucceeded || run.Counts != (api.Counts{}) {
			t.Errorf("the second run is %s, %+v: %s", run.State, run.Counts, run.Message)
		}

		// Repaired, it comes back by itself.
		repaired := `{"sepal_length": 5.9, "sepal_width": 3.0, "petal_length": 5.1, "petal_width": 1.8}`
		column := map[string]string{"mysql": "`values`"}[kind]
		if column == "" {
			column = `"values"`
		}
		databasetest.Exec(t, dsn, "UPDATE items SET "+column+" = '"+repaired+"' WHERE id = 151")
		if run := w.run("iris-items", 3); run.State != api.RunSucceeded || run.Counts != (api.Counts{Planned: 1, Committed: 1}) {
			t.Errorf("the third run is %s, %+v: %s", run.State, run.Counts, run.Message)
		}
		if left := databasetest.Query(t, dsn, "SELECT id FROM items WHERE prediction IS NULL"); len(left) > 0 {
			t.Errorf("without a prediction are %v", left)
		}
		// Four mini-batches had something to write, each in one transaction.
		if commits := databasetest.Query(t, dsn, "SELECT count(*) FROM _batch_commits"); commits[0][0] != "4" {
			t.Errorf("%s mini-batches were committed", commits[0][0])
		}
		w.nothingToDo()
		w.terraform("destroy", "-auto-approve")
	})
}

// statements are those of a file of the example.
func statements(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "examples", "iris-sql", file))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, statement := range strings.Split(string(text), ";\n") {
		if strings.TrimSpace(statement) != "" {
			all = append(all, statement)
		}
	}
	return all
}
