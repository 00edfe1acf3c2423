package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
	"github.com/batchpattern/terraform-provider-batch/runner/compare"
	"github.com/batchpattern/terraform-provider-batch/runner/object"
)

// diff is one call of the command. What a run has published is read here, not
// by the runner: here must be its host, or its files must be in a store.
type diff struct {
	a      *app
	runner *connection

	against, format string
	query           string
	againstDSN, dsn dsnFlag
	key, columns    []string
	tolerance       float64
	failOn          []string
	examples        int
	asJSON          bool
}

// failWords are what --fail-on takes.
var failWords = []string{"any", compare.Differ, compare.Missing, compare.Extra}

// setupDiff compares what a run has published with other files, or a table.
func setupDiff(a *app, flags *pflag.FlagSet) action {
	d := &diff{a: a}
	flags.StringVar(&d.against, "against", "", "the other files, with globs, or a folder that a run has published")
	flags.StringVar(&d.query, "query", "", "instead: what a SELECT finds in that database")
	flags.Var(&d.againstDSN, "against-dsn", "where its DSN is: env:NAME or file:PATH")
	flags.Var(&d.dsn, "dsn", "the same for the run's own table (default: the job's)")
	flags.StringVar(&d.format, "format", "", "their format: csv, jsonl or parquet (default by extension)")
	flags.StringSliceVar(&d.key, "key", nil, "the columns that tell records apart")
	flags.StringSliceVar(&d.columns, "columns", nil, "the columns to compare (default those of both sides)")
	flags.Float64Var(&d.tolerance, "tolerance", 0, "how far numbers may lie apart; of those above 1, as a share")
	flags.StringSliceVar(&d.failOn, "fail-on", nil, "exit code 3 where any are: differ, missing (only there), extra, or any")
	flags.IntVar(&d.examples, "examples", 3, "how many of each kind to show")
	flags.BoolVar(&d.asJSON, "json", false, "print JSON")
	d.runner = a.connectionFlags(flags)
	return d.run
}

func (d *diff) run(ctx context.Context, args []string) (exit, error) {
	switch {
	case (d.against == "") == (d.query == "") || len(d.key) == 0:
		return 0, usagef("--key and one of --against and --query are required")
	case (d.query == "") != (d.againstDSN == dsnFlag{}):
		return 0, usagef("--query and --against-dsn belong together")
	case d.tolerance < 0:
		return 0, usagef("--tolerance %v is below zero", d.tolerance)
	case d.examples < 0:
		return 0, usagef("--examples %d is below zero", d.examples)
	}
	for _, word := range d.failOn {
		if !slices.Contains(failWords, word) {
			return 0, usagef("--fail-on %q is not known; it takes %s", word, strings.Join(failWords, ", "))
		}
	}
	o, err := d.options()
	if err != nil {
		return 0, err
	}
	if isFolder(args[0]) {
		o.Folder = args[0]
		return d.compare(ctx, o)
	}
	return d.runner.asking(func(ctx context.Context, c *client.Client, args []string) (exit, error) {
		run, err := c.Run(ctx, args[0])
		if err != nil {
			return 0, err
		}
		if o.Folder = run.Output; run.Output != "" && !isFolder(run.Output) {
			if o.Table, err = d.table(ctx, c, run); err != nil {
				return 0, err
			}
		} else if err := comparable(run); err != nil {
			return 0, err
		}
		return d.compare(ctx, o)
	})(ctx, args)
}

// options are those of the comparison, but for the published side.
func (d *diff) options() (compare.Options, error) {
	o := compare.Options{Key: d.key, Columns: d.columns, Tolerance: d.tolerance, Examples: d.examples, Objects: object.NewStores(d.a.getenv)}
	if d.query != "" {
		dsn, err := d.againstDSN.resolve(d.a.getenv)
		o.AgainstTable = &compare.Table{DSN: dsn, Query: d.query}
		return o, err
	}
	uri, err := d.uri()
	o.Against = api.InputFiles{URI: uri, Format: d.format}
	return o, err
}

// other is what the other side is called.
func (d *diff) other() string { return cmp.Or(d.against, "the query") }

// isFolder tells a published folder from a run's id.
func isFolder(name string) bool { return strings.ContainsRune(name, '/') }

// comparable tells why what a run has published can't be read here.
func comparable(run api.Run) error {
	switch {
	case run.Output == "":
		return api.Errorf(api.CodeConflict, "", "run %s of %s has published nothing: it is %s", run.ID, run.Job, state(run))
	case api.IsObject(run.Output):
		return nil
	}
	if _, err := os.Stat(run.Output); err != nil {
		return fmt.Errorf("read what run %s has published: %w; call diff on the runner's host, where its files are", run.ID, err)
	}
	return nil
}

// uri is where the other files are; a relative path counts from here.
func (d *diff) uri() (string, error) {
	path := strings.NewReplacer("{", "{{", "}", "}}").Replace(d.against)
	if strings.Contains(path, "://") {
		return path, nil
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("find %s: %w", d.against, err)
	}
	return path, nil
}

func (d *diff) compare(ctx context.Context, o compare.Options) (exit, error) {
	result, err := compare.Run(ctx, o)
	if err != nil {
		return 0, err
	}
	if d.asJSON {
		return d.outcome(result), d.a.out().json(result)
	}
	d.a.out().diff(result, d.other())
	return d.outcome(result), nil
}

func (d *diff) outcome(r compare.Result) exit {
	for kind, n := range map[string]int64{compare.Differ: r.Differ, compare.Missing: r.Missing, compare.Extra: r.Extra} {
		if n > 0 && (slices.Contains(d.failOn, kind) || slices.Contains(d.failOn, "any")) {
			return exitFailed
		}
	}
	return exitDone
}

func (p *printer) diff(r compare.Result, against string) {
	p.table([][]string{
		{"equal", api.Thousands(r.Equal)},
		{compare.Differ, api.Thousands(r.Differ)},
		{compare.Missing, api.Thousands(r.Missing) + prefixed(" ", only(r.Missing, "in "+against))},
		{compare.Extra, api.Thousands(r.Extra) + prefixed(" ", only(r.Extra, "in what the run published"))},
	})
	p.line("compared: %s%s", strings.Join(r.Columns, ", "), prefixed("; of one side only: ", strings.Join(r.Left, ", ")))
	for _, e := range r.Examples {
		switch e.Kind {
		case compare.Differ:
			p.line("%s %s: %s is %s, and %s in %s", e.Kind, e.Key, e.Column, short(e.Published), short(e.Against), against)
		default:
			p.line("%s %s", e.Kind, e.Key)
		}
	}
}

// only says where records are that are in one place only.
func only(n int64, where string) string {
	if n == 0 {
		return ""
	}
	return "(only " + where + ")"
}
