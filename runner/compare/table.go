package compare

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/database"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
)

// Table is what a query finds, or what a run has written to its table.
type Table struct {
	DSN   string
	Query string
	// Name is the table whose rows are read where there is no query; where RunAt
	// names its column for the occurrence, those of this one.
	Name, RunAt string
	Occurrence  time.Time
}

// read copies the rows, in one snapshot, to where files of the comparison lie.
func (t *Table) read(ctx context.Context, inputs *source.Inputs) (*side, error) {
	db, err := database.Open(ctx, t.DSN)
	if err != nil {
		return nil, fmt.Errorf("open the database of %s: %w", t.name(), plain(err))
	}
	defer db.Close()
	text := t.Query
	if text == "" {
		text = t.rows(db.Kind())
	}
	file, err := inputs.Query(ctx, db, source.Query{
		Text: text, ScheduledAt: t.Occurrence, Columns: func([]api.Column) ([]string, error) { return nil, nil },
	})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", t.name(), plain(err))
	}
	return &side{name: t.name(), inputs: inputs, files: []source.File{file}, columns: file.Columns()}, nil
}

// plain is an error without its remedy, which speaks of a job's input.
func plain(err error) error {
	if failure, ok := errors.AsType[*api.Failure](err); ok {
		return failure.Err
	}
	return err
}

// rows is the query for a table.
func (t *Table) rows(kind string) string {
	text := "SELECT * FROM " + quotedName(kind, t.Name)
	if t.RunAt == "" {
		return text
	}
	column, at := quotedName(kind, t.RunAt), ":scheduled_at"
	if kind == "sqlite" { // where instants are texts of several forms
		const instant = "strftime('%%Y-%%m-%%d %%H:%%M:%%f', %s)"
		column, at = fmt.Sprintf(instant, column), fmt.Sprintf(instant, at)
	}
	return text + " WHERE " + column + " = " + at
}

func (t *Table) name() string {
	if t.Name == "" {
		return "the query"
	}
	return "table " + t.Name
}

// quotedName quotes a name, also one with its schema. What stands in double
// quotes is one name, dots and all.
func quotedName(kind, name string) string {
	quote := `"`
	if kind == "mysql" {
		quote = "`"
	}
	var quoted []string
	for _, part := range nameParts.FindAllString(name, -1) {
		if strings.HasPrefix(part, `"`) {
			part = strings.ReplaceAll(part[1:len(part)-1], `""`, `"`)
		}
		quoted = append(quoted, quote+strings.ReplaceAll(part, quote, quote+quote)+quote)
	}
	return strings.Join(quoted, ".")
}

var nameParts = regexp.MustCompile(`"(?:[^"]|"")*"|[^."]+`)
