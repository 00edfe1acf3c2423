package database

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// mark inserts the unit's marker, and tells whether it is new. While another
// session has an uncommitted one, the database lets us wait for its end.
func (w *writer) mark(ctx context.Context, c Commit) (bool, error) {
	marker := w.marker(c, 0)
	marker.text = w.server.insertIgnoring(marker.text)
	rows, err := w.session.exec(ctx, marker)
	if err != nil {
		if w.server.duplicate(err) {
			return false, nil
		}
		return false, fmt.Errorf("write the marker to %s: %w", w.target.markers, err)
	}
	return rows[0] == 1, nil
}

// marker says that a unit is committed with so many rows written, and none
// gone.
func (w *writer) marker(c Commit, rows int64) call {
	s := &statement{dialect: w.server}
	return s.call(fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s, %s, %s, %s, %s, '{}', %s, CURRENT_TIMESTAMP)", w.target.markers,
		w.quoted("run", "run_attempt", "unit", "fence", "rows", "gone", "hash", "at"),
		s.arg(c.Run), s.arg(c.RunAttempt), s.arg(c.Unit), s.arg(c.Fence), s.arg(rows), s.arg(c.Hash)))
}

// marked reads what an earlier commit of the unit has written.
func (w *writer) marked(ctx context.Context, c Commit) (Result, error) {
	s := &statement{dialect: w.server}
	rows, err := w.session.query(ctx, fmt.Sprintf("SELECT %s FROM %s WHERE %s", w.quoted("hash", "rows", "gone"), w.target.markers, w.unit(s, c)), s.args...)
	switch {
	case err != nil:
		return Result{}, fmt.Errorf("read the marker in %s: %w", w.target.markers, err)
	case len(rows) == 0: // taken back since
		return Result{}, errRaced
	case rows[0][0] != c.Hash:
		return Result{}, api.Fail(api.ReasonPublish, "", fmt.Errorf("%w (run %s, run attempt %d): its hash in %s is %s, this one's is %s",
			ErrOther, c.Run, c.RunAttempt, w.target.markers, rows[0][0], c.Hash))
	}
	result, err := markedResult(rows[0][1], rows[0][2])
	if err != nil {
		return Result{}, fmt.Errorf("read the marker in %s: %w", w.target.markers, err)
	}
	return result, nil
}

// note writes the counts into the marker.
func (w *writer) note(ctx context.Context, c Commit, r Result) error {
	gone, err := json.Marshal(r.Gone)
	if err != nil {
		return err
	}
	s := &statement{dialect: w.server}
	text := fmt.Sprintf("UPDATE %s SET %s = %s, %s = %s WHERE %s", w.target.markers,
		w.server.quote("rows"), s.arg(r.Written), w.server.quote("gone"), s.arg(string(gone)), w.unit(s, c))
	rows, err := w.session.exec(ctx, s.call(text))
	if err == nil && rows[0] != 1 {
		err = fmt.Errorf("%d rows hold it", rows[0])
	}
	if err != nil {
		return fmt.Errorf("complete the marker in %s: %w", w.target.markers, err)
	}
	return nil
}

func (w *writer) unit(s *statement, c Commit) string {
	return fmt.Sprintf("%s = %s AND %s = %s AND %s = %s", w.server.quote("run"), s.arg(c.Run),
		w.server.quote("run_attempt"), s.arg(c.RunAttempt), w.server.quote("unit"), s.arg(c.Unit))
}

// tryMarker runs the marker's statements in a transaction that is taken back.
func (w *writer) tryMarker(ctx context.Context) error {
	probe := Commit{Run: "_probe", Unit: "_probe"}
	if _, err := w.mark(ctx, probe); err != nil {
		return err
	}
	if _, err := w.marked(ctx, probe); err != nil {
		return err
	}
	return w.note(ctx, probe, Result{Gone: map[string]int64{}})
}
