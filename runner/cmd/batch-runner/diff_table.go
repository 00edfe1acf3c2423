package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
	"github.com/batchpattern/terraform-provider-batch/runner/compare"
)

// dsnFlag says where a DSN is. The DSN itself, which holds a password, is
// refused: command lines are seen by everybody on the host.
type dsnFlag struct{ kind, name string }

func (f *dsnFlag) String() string {
	if f.name == "" {
		return ""
	}
	return f.kind + ":" + f.name
}

func (*dsnFlag) Type() string { return "where" }

func (f *dsnFlag) Set(text string) error {
	kind, name, _ := strings.Cut(text, ":")
	if kind != "env" && kind != "file" || name == "" {
		return fmt.Errorf("takes env:NAME or file:PATH, where the DSN is, and never the DSN: it holds a password")
	}
	*f = dsnFlag{kind, name}
	return nil
}

func (f *dsnFlag) resolve(getenv func(string) string) (string, error) {
	if f.kind == "env" {
		if dsn := getenv(f.name); dsn != "" {
			return dsn, nil
		}
		return "", fmt.Errorf("environment variable %s is not set; it must hold the database's DSN", f.name)
	}
	text, err := os.ReadFile(f.name)
	if err != nil {
		return "", fmt.Errorf("read the database's DSN: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// table is what a run has written to a table: the rows of its occurrence where
// the job keeps that in a column, else all.
func (d *diff) table(ctx context.Context, c *client.Client, run api.Run) (*compare.Table, error) {
	job, err := c.Job(ctx, run.Job)
	if err != nil {
		return nil, err
	}
	out := job.Spec.Output.SQL
	if out == nil {
		return nil, api.Errorf(api.CodeConflict, "compare with --query, on both sides where need be", "run %s of %s wrote to %s, and the job writes to files by now", run.ID, run.Job, run.Output)
	}
	where := d.dsn
	if where == (dsnFlag{}) {
		switch {
		case out.DSN.Env != "":
			where = dsnFlag{"env", out.DSN.Env}
		case out.DSN.File != "":
			where = dsnFlag{"file", out.DSN.File}
		default:
			return nil, usagef("--dsn is required: the DSN of table %s is the runner's secret %q", out.Table, out.DSN.Secret)
		}
	}
	dsn, err := where.resolve(d.a.getenv)
	if err != nil {
		return nil, fmt.Errorf("%w; say where it is with --dsn", err)
	}
	return &compare.Table{DSN: dsn, Name: out.Table, RunAt: out.RunAt, Occurrence: run.Occurrence}, nil
}
