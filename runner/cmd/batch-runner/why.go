package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
)

// How much of a long history a person is shown: how it began, and how it ended.
const (
	firstEvents = 5
	lastEvents  = 25
)

// setupWhy explains a run.
func setupWhy(a *app, flags *pflag.FlagSet) action {
	c := a.connectionFlags(flags)
	asJSON := flags.Bool("json", false, "print JSON")
	return c.asking(func(ctx context.Context, c *client.Client, args []string) (exit, error) {
		why, err := c.Why(ctx, args[0])
		if err != nil {
			return 0, err
		}
		if *asJSON {
			return exitDone, a.out().json(why)
		}
		a.out().why(why, zoneOfRun(ctx, c, why.Run))
		return exitDone, nil
	})
}

func (p *printer) why(why api.Why, zone *time.Location) {
	p.line("%s", indented(headline(why.Run, zone), "  "))
	p.line("cause: %s", indented(why.Cause, "  "))
	p.notes(why)
	p.errors(why)
	if why.Run.Withheld {
		p.line("withheld until %s: retry goes on with what is staged, accept publishes it, then it is thrown away", at(why.Run.WithheldUntil, zone))
	}
	p.line("history, in %s:", zone)
	p.history(why.Events, zone)
	p.next(why.Next)
}

func (p *printer) notes(why api.Why) {
	for _, note := range why.Notes {
		p.line("note: %s", indented(note, "  "))
	}
}

// history shows events; of many, the first and the last ones.
func (p *printer) history(events []api.Event, zone *time.Location) {
	left := len(events) - firstEvents - lastEvents
	var rows [][]string
	for i, e := range events {
		if left > 1 && i == firstEvents {
			rows = append(rows, []string{fmt.Sprintf("  … %s more, see --json", api.Thousands(int64(left))), " ", " ", " ", " "})
		}
		if left > 1 && i >= firstEvents && i < firstEvents+left {
			continue
		}
		rows = append(rows, []string{"  " + e.At.In(zone).Format(time.DateTime), e.Actor, happened(e), e.Reason, e.Detail})
	}
	p.table(rows)
}

// happened is an event in a word, or from which state to which.
func happened(e api.Event) string {
	switch {
	case e.From != "":
		return e.From + " → " + e.To
	case e.To != "":
		return e.To
	}
	return e.Kind
}
