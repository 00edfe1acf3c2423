package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
)

// setupHistory tells how a job came to be what it is.
func setupHistory(a *app, flags *pflag.FlagSet) action {
	c := a.connectionFlags(flags)
	limit := flags.Int("limit", 20, "how many changes, newest first")
	asJSON := flags.Bool("json", false, "print JSON")
	return c.asking(func(ctx context.Context, c *client.Client, args []string) (exit, error) {
		if *limit < 1 {
			return 0, usagef("--limit %d is not above zero", *limit)
		}
		job, err := c.Job(ctx, args[0])
		if err != nil {
			return 0, err
		}
		page, err := c.History(ctx, args[0], client.Paging{Limit: *limit})
		if err != nil {
			return 0, err
		}
		if *asJSON {
			return exitDone, a.out().json(map[string]any{"generations": page.Items})
		}
		a.out().generations(page.Items, zoneOf(job.Spec))
		if page.Next != "" {
			a.out().line("and older ones: --limit %d", *limit*10)
		}
		return exitDone, nil
	})
}

func (p *printer) generations(all []api.Generation, zone *time.Location) {
	for _, g := range all {
		by := g.Actor
		if g.Owner != "" {
			by += fmt.Sprintf(" (owner %s)", g.Owner)
		}
		p.line("generation %d, %s%s%s", g.Generation, at(g.At, zone), prefixed(", by ", by), prefixed(": ", g.Reason))
		if len(g.Changes) == 0 && g.Generation == 1 {
			p.line("  declared")
		}
		for _, change := range g.Changes {
			p.line("  %s", changed(change))
		}
	}
}

// changed is one value that an edit changed, in words.
func changed(c api.Change) string {
	switch {
	case c.From == "":
		return fmt.Sprintf("%s = %s (new)", c.Path, short(c.To))
	case c.To == "":
		return fmt.Sprintf("%s removed, it was %s", c.Path, short(c.From))
	}
	return fmt.Sprintf("%s: %s → %s", c.Path, short(c.From), short(c.To))
}
