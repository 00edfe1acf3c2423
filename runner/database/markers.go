package database

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Marker says that a unit of a run is committed.
type Marker struct {
	RunAttempt int64
	Unit, Hash string
	Result     Result
}

// Markers are those of a run beside a table. Where the table of markers is
// missing there are none.
func (d *DB) Markers(ctx context.Context, t Table, run string) ([]Marker, error) {
	var markers []Marker
	err := d.besideTable(ctx, t, false, func(w *writer) error {
		s := &statement{dialect: d.server}
		rows, err := w.session.query(ctx, fmt.Sprintf("SELECT %s FROM %s WHERE %s = %s", w.quoted("run_attempt", "unit", "hash", "rows", "gone"),
			w.target.markers, d.server.quote("run"), s.arg(run)), s.args...)
		if err != nil {
			return fmt.Errorf("read %s: %w", w.target.markers, err)
		}
		for _, row := range rows {
			m := Marker{Unit: row[1], Hash: row[2]}
			if m.RunAttempt, err = strconv.ParseInt(row[0], 10, 64); err == nil {
				m.Result, err = markedResult(row[3], row[4])
			}
			if err != nil {
				return fmt.Errorf("read %s: %w", w.target.markers, err)
			}
			markers = append(markers, m)
		}
		return nil
	})
	return markers, explain(err)
}

// AwaitMarkers is Markers once nobody can commit one of these units any more whose
// marker is missing: a session whose answer was lost may still be about to.
func (d *DB) AwaitMarkers(ctx context.Context, t Table, run string, units []Commit) ([]Marker, error) {
	for {
		markers, err := d.Markers(ctx, t, run)
		if err != nil {
			return nil, err
		}
		missing := slices.DeleteFunc(slices.Clone(units), func(c Commit) bool {
			return slices.ContainsFunc(markers, func(m Marker) bool { return m.RunAttempt == c.RunAttempt && m.Unit == c.Unit })
		})
		if len(missing) == 0 {
			return markers, nil
		}
		switch err := d.wouldMark(ctx, t, missing); {
		case err == nil:
			return markers, nil
		case !d.server.duplicate(err): // else one of them is there by now
			return nil, explain(err)
		}
	}
}

// wouldMark writes markers and takes them back. Where a session has written one
// of them already, it waits for its end.
func (d *DB) wouldMark(ctx context.Context, t Table, units []Commit) error {
	return d.besideTable(ctx, t, true, func(w *writer) error {
		for _, c := range units {
			if _, err := w.session.exec(ctx, w.marker(c, 0)); err != nil {
				return fmt.Errorf("wait for %s of run %s: %w", c.Unit, c.Run, err)
			}
		}
		return nil // nothing is committed
	})
}

// markedResult reads what a marker says of its unit.
func markedResult(rows, gone string) (Result, error) {
	result := Result{Already: true}
	var err error
	if result.Written, err = strconv.ParseInt(rows, 10, 64); err == nil {
		err = json.Unmarshal([]byte(gone), &result.Gone)
	}
	return result, err
}

// prunedRuns bounds what one call of PruneMarkers removes; pruneEvery is how often
// it looks through a table, which has no index for that.
const (
	prunedRuns = 100
	pruneEvery = 24 * time.Hour
)

// PruneMarkers removes markers that are older than they are kept, of some runs at
// a time and once a day, but for those of one run. A user without the right to delete them
// leaves them to others.
func (d *DB) PruneMarkers(ctx context.Context, t Table, except string, keep time.Duration) error {
	now, err := d.Now(ctx)
	if err != nil {
		return err
	}
	before := now.Add(-keep).Format(time.DateTime)
	err = d.besideTable(ctx, t, true, func(w *writer) error {
		if last, ok := d.pruned.Load(w.target.markers); ok && now.Sub(last.(time.Time)) < pruneEvery {
			return nil
		}
		d.pruned.Store(w.target.markers, now)
		// Looked for without locks: others are writing theirs.
		s := &statement{dialect: d.server}
		run, at := d.server.quote("run"), d.server.quote("at")
		old, err := w.session.query(ctx, fmt.Sprintf("SELECT DISTINCT %[1]s FROM %[2]s WHERE %[3]s < %[4]s AND %[1]s <> %[5]s ORDER BY %[1]s LIMIT %[6]d",
			run, w.target.markers, at, s.arg(before), s.arg(except), prunedRuns), s.args...)
		if err != nil || len(old) == 0 {
			return err
		}
		for _, row := range old {
			s := &statement{dialect: d.server}
			_, err := w.session.exec(ctx, s.call(fmt.Sprintf("DELETE FROM %s WHERE %s = %s AND %s < %s", w.target.markers, run, s.arg(row[0]), at, s.arg(before))))
			if err != nil {
				return err
			}
		}
		return w.session.commit(ctx)
	})
	if d.server.denied(err) || err == nil {
		return nil
	}
	return fmt.Errorf("remove old markers: %w", explain(err))
}

// besideTable works on the markers beside a table, if there are some, whatever
// has become of the table.
func (d *DB) besideTable(ctx context.Context, t Table, writes bool, work func(*writer) error) error {
	schema, name, err := splitName(t.Name)
	if err != nil {
		return err
	}
	return d.within(ctx, writes, func(s session) error {
		schema, _, err := d.server.columns(ctx, s, schema, name)
		if err != nil {
			return err
		}
		_, columns, err := d.server.columns(ctx, s, schema, markerTable)
		if err != nil || len(columns) == 0 {
			return err
		}
		return work(&writer{server: d.server, session: s, target: &target{Table: t, markers: qualified(d.server, schema, markerTable)}})
	})
}
