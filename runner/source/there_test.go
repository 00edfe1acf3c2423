package source_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/database"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
)

func TestATableIsThereWhenItSaysSo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "items.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.Exec(`CREATE TABLE items (id INTEGER PRIMARY KEY, loaded TEXT); INSERT INTO items VALUES (1, '2026-11-21'), (2, '2026-11-21'), (3, '2026-11-20')`); err != nil {
		t.Fatal(err)
	}
	opened, err := database.Open(t.Context(), "sqlite://"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	inputs := source.New(source.Options{Databases: func(context.Context, api.SecretRef) (*database.DB, error) { return opened, nil }})
	query := source.Query{Text: "SELECT id FROM items WHERE loaded = date(:scheduled_at) -- today's\n;", ScheduledAt: occasion.Occurrence}
	for _, test := range []struct {
		wait  api.WaitFor
		there bool
		why   string
	}{
		{api.WaitFor{SQL: "SELECT COUNT(*) FROM items"}, true, ""},
		{api.WaitFor{SQL: "SELECT COUNT(*) FROM items WHERE id > 9"}, false, `input.wait_for.sql gives "0"`},
		{api.WaitFor{SQL: "SELECT id = 2 FROM items WHERE id = 2"}, true, ""},
		{api.WaitFor{SQL: "SELECT 'false'"}, false, `input.wait_for.sql gives "false"`},
		{api.WaitFor{SQL: "SELECT NULL"}, false, `input.wait_for.sql gives ""`},
		{api.WaitFor{SQL: "SELECT id FROM items WHERE loaded > :scheduled_at"}, false, `input.wait_for.sql gives ""`},
		{api.WaitFor{RowsAtLeast: new(int64(2))}, true, ""},
		{api.WaitFor{RowsAtLeast: new(int64(3))}, false, "input.sql.query has 2 rows of 3"},
	} {
		in := api.Input{SQL: &api.InputSQL{}, WaitFor: &test.wait}
		there, why, err := inputs.There(t.Context(), in, occasion, query)
		if err != nil || there != test.there || !there && why != test.why {
			t.Errorf("%+v: %v, %q, %v", test.wait, there, why, err)
		}
	}
	_, _, err = inputs.There(t.Context(), api.Input{SQL: &api.InputSQL{}, WaitFor: &api.WaitFor{SQL: "SELECT nothing"}}, occasion, query)
	wantFailure(t, err, api.Reason(api.ClassConfig), "nothing")
}
