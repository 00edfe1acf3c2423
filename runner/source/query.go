package source

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/database"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

// QueryName is the Path of what a query found: where its rows are said to come
// from.
const QueryName = "query"

// Query is a query as one run reads it.
type Query struct {
	Text        string
	ScheduledAt time.Time
	// PreviousSuccess is the occurrence of the last run that succeeded; zero
	// where there is none.
	PreviousSuccess time.Time
	// Columns are those that the run needs, told those that the result has.
	Columns func(have []api.Column) ([]string, error)
	// Watermark takes the rows of a stretch of a column alone.
	Watermark *database.Range
	// Keep chooses among rows that are read, in order, projected to Columns. Nil
	// keeps all.
	Keep func(rows format.Reader) ([]bool, error)
}

// Query reads what a query finds, in one snapshot of the database, into the
// run's spool: one line of JSON for each row.
//
// Errors about the query and its result are *api.Failure config.
func (in *Inputs) Query(ctx context.Context, db *database.DB, q Query) (File, error) {
	rows, err := db.Read(ctx, q.query())
	if err != nil {
		return File{}, refused(ctx, err)
	}
	file, err := in.spoolRows(ctx, rows, q)
	return file, errors.Join(err, rows.Close())
}

func (q Query) query() database.Query {
	params := map[string]any{"scheduled_at": q.ScheduledAt, "previous_success_at": nil}
	if !q.PreviousSuccess.IsZero() {
		params["previous_success_at"] = q.PreviousSuccess
	}
	return database.Query{Text: q.Text, Params: params, Watermark: q.Watermark}
}

// WatermarkTop is the highest instant of a column of the query's result, its
// watermark, that no row will get any more: the database's clock, but for the
// lag. Rows that are still to come within the column's unit, as of one second,
// have the same instant as those that are there: the unit is left to the next
// run.
func (q Query) WatermarkTop(ctx context.Context, db *database.DB, column string, lag time.Duration) (string, error) {
	unit, err := q.watermarkUnit(ctx, db, column)
	if err != nil {
		return "", err
	}
	now, err := db.Now(ctx)
	if err != nil {
		return "", err
	}
	return top(now.Add(-lag), unit).Format(time.RFC3339Nano), nil
}

// top is the last instant before the unit that at is in.
func top(at time.Time, unit time.Duration) time.Time {
	if unit <= time.Microsecond { // as fine as the clock
		return at.UTC()
	}
	return at.UTC().Truncate(unit).Add(-unit)
}

// watermarkUnit is how far two instants of a column are apart. The database's
// clock is a bound of instants and dates only.
func (q Query) watermarkUnit(ctx context.Context, db *database.DB, column string) (time.Duration, error) {
	nothing := q
	nothing.Watermark = nil
	nothing.Text = "SELECT * FROM (" + bare(q.Text) + "\n) AS q WHERE 1 = 0" // behind what may be a comment
	rows, err := db.Read(ctx, nothing.query())
	if err != nil {
		return 0, refused(ctx, err)
	}
	defer rows.Close() //nolint:errcheck // nothing is read
	columns := rows.Columns()
	at := slices.IndexFunc(columns, func(c api.Column) bool { return c.Name == column })
	if at < 0 {
		return 0, unusable("name one of them in input.sql.watermark.column, or select it",
			fmt.Errorf("the query's result has no column %q; it has %s", column, listedNames(names(columns))))
	}
	is := columns[at].Type
	if is == api.TypeTimestamp || is == api.TypeDate || db.Kind() == "sqlite" && (is == api.TypeString || is == "") { // where text may be an instant
		return rows.Unit(at), nil
	}
	return 0, unusable("name a column of instants or dates in input.sql.watermark.column, as updated_at",
		fmt.Errorf("column %q of the query's result is of type %s, which the database's clock is no bound of", column, is))
}

// bare is a query without the semicolon that may end it.
func bare(text string) string { return strings.TrimRight(text, "; \t\r\n") }

// refused is what a database says to a query that it does not take. What says
// its remedy itself, or may pass, such as a lost connection, stays as it is.
func refused(ctx context.Context, err error) error {
	if failure, ok := errors.AsType[*api.Failure](err); ok && failure.Hint != "" || ctx.Err() != nil || database.Transient(err) {
		return err
	} else if ok {
		err = failure.Err
	}
	return unusable("try input.sql.query by hand, as the user of input.sql.dsn", fmt.Errorf("the database refuses the query: %w", err))
}

func names(columns []api.Column) []string {
	all := make([]string, len(columns))
	for i, c := range columns {
		all[i] = c.Name
	}
	return all
}
