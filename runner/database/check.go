package database

import (
	"context"
	"fmt"
	"strings"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// Check tells whether Commit can write to the table: that it and its columns
// exist, its key is unique and this user may write; and it creates
// _batch_commits beside the table where that is missing. What a person has to
// mend is an *api.Failure of class config with the DDL or GRANT to run.
func (d *DB) Check(ctx context.Context, t Table) error {
	d.forget(t)
	found, err := d.target(ctx, t)
	if err != nil {
		return err
	}
	if err := d.createMarkers(ctx, found); err != nil {
		return err
	}
	return d.within(ctx, true, func(s session) error { return d.tryRows(ctx, s, found, true) })
}

// Look is Check that changes nothing: where _batch_commits is missing, it tells
// whether it could be made.
func (d *DB) Look(ctx context.Context, t Table) error {
	d.forget(t)
	found, err := d.target(ctx, t)
	if err != nil {
		return err
	}
	there, err := d.hasMarkers(ctx, found)
	if err != nil {
		return err
	}
	if !there {
		if err := d.tryCreate(ctx, found); err != nil {
			return err
		}
	}
	return d.within(ctx, true, func(s session) error { return d.tryRows(ctx, s, found, there) })
}

// tryCreate makes the table of markers and takes it back.
func (d *DB) tryCreate(ctx context.Context, t *target) error {
	err := d.within(ctx, true, func(s session) error {
		_, err := s.exec(ctx, call{text: d.server.tryMarkers(t.markers)})
		return err
	})
	if d.server.tried(err) {
		return nil
	}
	if err == nil || Transient(err) {
		return err
	}
	return d.notCreated(ctx, t, err)
}

// Describe gives the columns of a query's result, none of whose rows is read.
func (d *DB) Describe(ctx context.Context, q Query) ([]api.Column, error) {
	q.Text = "SELECT * FROM (" + strings.TrimRight(q.Text, "; \t\r\n") + "\n) AS q WHERE 1 = 0" // behind what may be a comment
	rows, err := d.Read(ctx, q)
	if err != nil {
		return nil, err
	}
	return rows.Columns(), rows.Close()
}

const markerRights = "SELECT, INSERT, UPDATE"

// createMarkers makes _batch_commits, unless it is there.
func (d *DB) createMarkers(ctx context.Context, t *target) error {
	if there, err := d.hasMarkers(ctx, t); there || err != nil {
		return err
	}
	ddl := d.server.createMarkers(t.markers)
	err := d.within(ctx, true, func(s session) error {
		if _, err := s.exec(ctx, call{text: ddl}); err != nil {
			return err
		}
		return s.commit(ctx)
	})
	if err == nil || Transient(err) {
		return err
	}
	// Two runs may do this at the same time.
	if there, checked := d.hasMarkers(ctx, t); there || checked != nil {
		return checked
	}
	return d.notCreated(ctx, t, err)
}

// notCreated says how the table of markers can be made otherwise.
func (d *DB) notCreated(ctx context.Context, t *target, err error) error {
	hint := "run as a user who may: " + d.server.createMarkers(t.markers)
	if user := d.userName(ctx); user != "" {
		hint += fmt.Sprintf("; GRANT %s ON %s TO %s", markerRights, t.markers, user)
	}
	return fail(hint, fmt.Errorf("create table %s, which makes each commit happen once: %w", t.markers, err))
}

func (d *DB) hasMarkers(ctx context.Context, t *target) (there bool, err error) {
	err = d.within(ctx, false, func(s session) error {
		_, columns, err := d.server.columns(ctx, s, t.schema, markerTable)
		there = len(columns) > 0
		return explain(err)
	})
	return there, err
}

// tryRows runs every statement of Commit without rows: it shows missing rights
// and what the catalog does not tell. Nothing of it is committed.
func (d *DB) tryRows(ctx context.Context, s session, t *target, markers bool) error {
	w := &writer{server: d.server, session: s, target: t}
	none := newChunk(t)
	var err error
	step := func(table, rights string, run func() error) {
		if err != nil {
			return
		}
		if failed := run(); failed != nil {
			err = d.explainTry(ctx, failed, table, rights)
		}
	}
	rights := "SELECT, UPDATE" // locking a row wants the right to update it
	if t.Write != api.WriteUpdate {
		rights = "SELECT, INSERT, UPDATE"
	}
	if markers {
		step(t.markers, markerRights, func() error { return w.tryMarker(ctx) })
	}
	step(t.quoted, rights, func() error { _, err := w.find(ctx, none); return err })
	if t.Write != api.WriteInsert && len(t.written()) > len(t.Key) { // the results may not be known yet
		step(t.quoted, rights, func() error { _, err := w.session.exec(ctx, w.update(none, nil)); return err })
	}
	if t.Write != api.WriteUpdate {
		step(t.quoted, rights, func() error { _, err := w.session.exec(ctx, w.insert(none, nil)); return err })
	}
	return err
}

func (d *DB) explainTry(ctx context.Context, err error, table, rights string) error {
	if !d.server.denied(err) {
		return explain(fmt.Errorf("try to write to table %s: %w", table, err))
	}
	return fail(fmt.Sprintf("run: GRANT %s ON %s TO %s", rights, table, d.userName(ctx)), fmt.Errorf("write to table %s: %w", table, err))
}

// userName is who we are, as GRANT names it; empty where nobody has a name.
func (d *DB) userName(ctx context.Context) string {
	name, err := d.First(ctx, Query{Text: d.server.user()})
	if err != nil {
		return "<the user of output.sql.dsn>"
	}
	return name
}
