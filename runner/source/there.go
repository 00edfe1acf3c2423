package source

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// There tells whether what an input waits for is there, and if not, what is
// missing. The query is input.sql's as the run reads it.
func (in *Inputs) There(ctx context.Context, input api.Input, o api.Occasion, query Query) (there bool, why string, err error) {
	wait := input.WaitFor
	switch {
	case wait == nil:
		return true, "", nil
	case wait.URI != "":
		return in.matches(ctx, wait.URI, o)
	case wait.SQL != "":
		query.Text = wait.SQL
		value, err := in.first(ctx, input, query)
		return positive(value), fmt.Sprintf("input.wait_for.sql gives %q", value), err
	case wait.RowsAtLeast != nil:
		query.Text = "SELECT COUNT(*) FROM (" + bare(query.Text) + "\n) AS q"
		value, err := in.first(ctx, input, query)
		if err != nil {
			return false, "", err
		}
		rows, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
		if err != nil {
			return false, "", fmt.Errorf("count the rows of the query: %w", err)
		}
		return rows >= *wait.RowsAtLeast, fmt.Sprintf("input.sql.query has %s of %s", api.Counted(rows, "row"), api.Thousands(*wait.RowsAtLeast)), nil
	}
	return true, "", nil
}

// matches tells whether a file or object is there.
func (in *Inputs) matches(ctx context.Context, uri string, o api.Occasion) (there bool, why string, err error) {
	expanded, err := api.ExpandURI(uri, o)
	if err != nil {
		return false, "", unusable("", fmt.Errorf("expand input.wait_for.uri %q: %w", uri, err))
	}
	pattern := api.Path(expanded)
	found, err := in.finderOf(pattern).list(ctx, pattern)
	if err != nil {
		return false, "", err
	}
	return len(found) > 0, "nothing matches " + pattern, nil
}

// first is the first value of a query's result.
func (in *Inputs) first(ctx context.Context, input api.Input, q Query) (string, error) {
	db, err := in.Databases(ctx, input.SQL.DSN)
	if err != nil {
		return "", err
	}
	value, err := db.First(ctx, q.query())
	if err != nil {
		return "", refused(ctx, err)
	}
	return value, nil
}

// positive tells whether a database's value means yes.
func positive(value string) bool {
	value = strings.TrimSpace(value)
	if yes, err := strconv.ParseBool(value); err == nil {
		return yes
	}
	number, err := strconv.ParseFloat(value, 64)
	return err == nil && number > 0
}
