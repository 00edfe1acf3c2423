package main

import (
	"context"

	"github.com/spf13/pflag"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
)

// setupDoctor shows what the runner finds around itself.
func setupDoctor(a *app, flags *pflag.FlagSet) action {
	c := a.connectionFlags(flags)
	try := flags.Bool("try", false, "try to write where the job's predictions go; what is written is removed at once")
	asJSON := flags.Bool("json", false, "print JSON")
	return c.asking(func(ctx context.Context, c *client.Client, args []string) (exit, error) {
		job := ""
		if len(args) == 1 {
			job = args[0]
		}
		if *try && job == "" {
			return 0, usagef("--try is for the output of one job: name it")
		}
		checks, err := c.Doctor(ctx, job, *try)
		if err != nil {
			return 0, err
		}
		code := exitDone
		for _, check := range checks {
			if !check.OK {
				code = exitFailed
			}
		}
		if *asJSON {
			return code, a.out().json(map[string]any{"checks": checks})
		}
		a.out().checks(checks)
		return code, nil
	})
}

func (p *printer) checks(checks []api.Check) {
	rows := make([][]string, len(checks))
	for i, check := range checks {
		mark := "ok"
		if !check.OK {
			mark = "PROBLEM"
		}
		rows[i] = []string{mark, check.Name, check.Detail + prefixed("; ", check.Hint)}
	}
	p.table(rows)
}
