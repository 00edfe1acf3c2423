package server

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/database"
	"github.com/batchpattern/terraform-provider-batch/runner/sink"
)

// withDatabase opens a database for one check.
func (s *Server) withDatabase(ctx context.Context, ref api.SecretRef, work func(db *database.DB) (string, error)) (string, error) {
	dsn, err := s.Secrets.Resolve(ref)
	if err != nil {
		return "", err
	}
	db, err := database.Open(ctx, dsn)
	if err != nil {
		return "", err
	}
	defer db.Close()
	return work(db)
}

// checkQuery has the database understand the query, and looks for the columns
// that a run needs. No row is read.
func (s *Server) checkQuery(ctx context.Context, spec api.Job, o api.Occasion, wanted []string) api.Check {
	sql := spec.Input.SQL
	if w := sql.Watermark; w != nil {
		wanted = slices.Concat(wanted, []string{w.Column})
	}
	found, err := s.withDatabase(ctx, sql.DSN, func(db *database.DB) (string, error) {
		columns, err := db.Describe(ctx, database.Query{Text: sql.Query, Params: map[string]any{"scheduled_at": o.Occurrence.UTC(), "previous_success_at": nil}})
		if err != nil {
			return "", err
		}
		var names, missing []string
		for _, c := range columns {
			names = append(names, c.Name)
		}
		for _, name := range wanted {
			if !slices.Contains(names, name) {
				missing = append(missing, name)
			}
		}
		if len(missing) > 0 {
			return "", fmt.Errorf("the query's result lacks %s; it has %s", strings.Join(missing, ", "), strings.Join(names, ", "))
		}
		clock, err := db.Now(ctx)
		return fmt.Sprintf("the database (%s) takes the query, with the columns %s; its clock is at %s", db.Kind(), strings.Join(names, ", "), clock.UTC().Format(time.RFC3339)), err
	})
	if err != nil {
		return bad("input", err, "correct input.sql, or what it names; try the query by hand, as the user of input.sql.dsn")
	}
	return good("input", "%s", found)
}

// checkTable looks whether a run could write: the table, its columns, its key,
// the rights, and the runner's own table beside it.
func (s *Server) checkTable(ctx context.Context, spec api.Job) api.Check {
	table := sink.TableOf(spec)
	kind, err := s.withDatabase(ctx, spec.Output.SQL.DSN, func(db *database.DB) (string, error) {
		return db.Kind(), db.Look(ctx, table)
	})
	if err != nil {
		return bad("output", err, "")
	}
	return good("output", "table %s (%s) is as a run needs it, with the rights to write to it and to the runner's _batch_commits beside it", table.Name, kind)
}
