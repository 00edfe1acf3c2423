package main

import (
	"context"
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
)

// setupCost tells what prediction servers came to.
func setupCost(a *app, flags *pflag.FlagSet) action {
	c := a.connectionFlags(flags)
	month := flags.String("month", "", "which month, in UTC, as in 2026-11 (default the current one)")
	asJSON := flags.Bool("json", false, "print JSON")
	return c.asking(func(ctx context.Context, c *client.Client, args []string) (exit, error) {
		if _, err := time.Parse("2006-01", *month); *month != "" && err != nil {
			return 0, usagef("--month %q is not a month like 2026-11", *month)
		}
		job := ""
		if len(args) == 1 {
			job = args[0]
		}
		costs, err := c.Costs(ctx, *month, job)
		switch {
		case err != nil:
			return 0, err
		case *asJSON:
			return exitDone, a.out().json(map[string]any{"costs": costs})
		case len(costs) == 0:
			a.out().line("no prediction server was started%s", prefixed(" in ", *month))
		default:
			a.out().costs(costs)
		}
		return exitDone, nil
	})
}

func (p *printer) costs(costs []api.Cost) {
	rows := [][]string{{"JOB", "MONTH", "RUNS", "SERVERS", "SERVER TIME", "COST"}}
	var total api.Cost
	for _, c := range costs {
		rows = append(rows, []string{c.Job, c.Month, api.Thousands(c.Runs), api.Thousands(c.Launches), lasted(c.ServerSeconds), c.Cost})
		total.Runs, total.Launches, total.ServerSeconds = total.Runs+c.Runs, total.Launches+c.Launches, total.ServerSeconds+c.ServerSeconds
	}
	if len(costs) > 1 {
		rows = append(rows, []string{"all", costs[0].Month, api.Thousands(total.Runs), api.Thousands(total.Launches), lasted(total.ServerSeconds), summed(costs)})
	}
	p.table(rows)
}

// summed adds costs up, each currency for itself.
func summed(costs []api.Cost) string {
	sums := map[string]*big.Rat{}
	for _, c := range costs {
		price, err := api.ParsePrice(c.Cost)
		if err != nil {
			continue // it has none
		}
		if sums[price.Currency] == nil {
			sums[price.Currency] = new(big.Rat)
		}
		sums[price.Currency].Add(sums[price.Currency], price.Amount)
	}
	var texts []string
	for _, currency := range slices.Sorted(maps.Keys(sums)) {
		amount := strings.TrimSuffix(strings.TrimSuffix(sums[currency].FloatString(4), "0"), "0")
		texts = append(texts, strings.TrimSpace(amount+" "+currency))
	}
	return strings.Join(texts, " + ")
}

// lasted is a number of seconds as people say it.
func lasted(seconds float64) string { return took(time.Duration(seconds * float64(time.Second))) }
