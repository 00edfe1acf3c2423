package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/pflag"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
)

// setupDeadLetters shows the records that a run gave up: a table for people,
// a line of JSON each for programs.
func setupDeadLetters(a *app, flags *pflag.FlagSet) action {
	c := a.connectionFlags(flags)
	limit := flags.Int("limit", 0, "how many, in input order (default 20, with --json all)")
	asJSON := flags.Bool("json", false, "print each one as a line of JSON, with its input")
	return c.asking(func(ctx context.Context, c *client.Client, args []string) (exit, error) {
		most := *limit
		switch {
		case most < 0:
			return 0, usagef("--limit %d is below zero", most)
		case *asJSON:
			return exitDone, printJSONLines(a.stdout, most, c.AllDeadLetters(ctx, args[0]))
		case most == 0:
			most = 20
		}
		run, err := c.Run(ctx, args[0])
		if err != nil {
			return 0, err
		}
		if run.Counts.DeadLettered == 0 {
			a.out().line("run %s has no dead letters", run.ID)
			return exitDone, nil
		}
		var letters []api.DeadLetter
		for letter, err := range c.AllDeadLetters(ctx, run.ID) {
			if err != nil {
				return 0, err
			}
			if letters = append(letters, letter); len(letters) == most {
				break
			}
		}
		a.out().deadLetters(letters)
		if more := run.Counts.DeadLettered - int64(len(letters)); more > 0 {
			a.out().line("and %s more: --limit %d shows all, --json with their input", api.Thousands(more), run.Counts.DeadLettered)
		}
		return exitDone, nil
	})
}

// printJSONLines prints each one on a line of its own; most 0 is all of them.
func printJSONLines[T any](w io.Writer, most int, all func(yield func(T, error) bool)) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	n := 0
	for one, err := range all {
		if err != nil {
			return err
		}
		if err := encoder.Encode(one); err != nil {
			return err
		}
		if n++; n == most {
			break
		}
	}
	return nil
}

func (p *printer) deadLetters(letters []api.DeadLetter) {
	rows := [][]string{{"KEY", "CLASS", "STATUS", "TRIED", "RECORD: ERROR"}}
	for _, d := range letters {
		status := ""
		if d.Status > 0 {
			status = strconv.Itoa(d.Status)
		}
		rows = append(rows, []string{keyed(d.Key), string(d.Class) + prefixed(" ", d.Group), status, fmt.Sprintf("%d×", d.Attempts), place(d) + ": " + short(failure(d))})
	}
	p.table(rows)
}
