package store

import (
	"cmp"
	"database/sql"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// usage is how long the launches of one run and one price lived, together.
type usage struct {
	run      string
	price    string // an hour
	lived    time.Duration
	launches int64
}

// spent are the nanoseconds that a launch lived between $3 and $2, where $1 is
// now.
const spent = `MIN(CASE ended_at WHEN 0 THEN $1 ELSE ended_at END, $2) - MAX(created_at, $3)`

// addUsage fills in what the prediction servers of runs took, for all of them
// at once.
func addUsage(q querier, all []Run) error {
	var launched []string
	for _, run := range all {
		if run.Launches > 0 {
			launched = append(launched, run.ID)
		}
	}
	if launched == nil {
		return nil
	}
	now := nanos(q.clock())
	found, err := list(q, func(rows *sql.Rows) (u usage, err error) {
		err = rows.Scan(&u.run, &u.price, &u.lived)
		return u, err
	}, `SELECT run_id, price, SUM(MAX(0, `+spent+`)) FROM launches
		WHERE run_id IN (SELECT value FROM json_each($4)) GROUP BY run_id, price ORDER BY run_id, price`, now, now, 0, encode(launched))
	if err != nil {
		return err
	}
	of := map[string][]usage{}
	for _, u := range found {
		of[u.run] = append(of[u.run], u)
	}
	for i := range all {
		run := &all[i]
		costs := costOf(of[run.ID])
		for _, c := range costs {
			run.ServerSeconds += c.ServerSeconds
		}
		run.Cost = joined(costs)
	}
	return nil
}

// Costs is what the prediction servers of a job, or with an empty uid of all
// jobs, came to in the month in UTC that an instant lies in, by the job's name.
// A launch counts in each month that it lived in, for the time that it did.
// Launches in different currencies, and those without a price, make a row each.
func (s *Store) Costs(month time.Time, uid string) ([]api.Cost, error) {
	month = month.UTC()
	from := time.Date(month.Year(), month.Month(), 1, 0, 0, 0, 0, time.UTC)
	type taken struct {
		job string
		usage
	}
	to := from.AddDate(0, 1, 0)
	now := s.now()
	found, err := list(s.reader(), func(rows *sql.Rows) (t taken, err error) {
		err = rows.Scan(&t.job, &t.run, &t.price, &t.lived, &t.launches)
		return t, err
	}, `SELECT name, run_id, price, SUM(lived), COUNT(*) FROM (
			SELECT COALESCE((SELECT name FROM jobs WHERE jobs.uid = launches.uid), (SELECT job FROM runs WHERE runs.id = run_id), launches.uid) AS name,
				price, run_id, MAX(0, `+spent+`) AS lived
			FROM launches WHERE created_at < MIN($1, $2) AND CASE ended_at WHEN 0 THEN $1 ELSE ended_at END > $3 AND ($4 = '' OR uid = $4))
		GROUP BY name, run_id, price ORDER BY name, run_id`, nanos(now), nanos(to), nanos(from), uid)
	if err != nil {
		return nil, err
	}
	costs := []api.Cost{}
	for len(found) > 0 {
		name := found[0].job
		var used []usage
		for len(found) > 0 && found[0].job == name {
			used, found = append(used, found[0].usage), found[1:]
		}
		for _, c := range costOf(used) {
			c.Job, c.Month = name, from.Format("2006-01")
			costs = append(costs, c)
		}
	}
	return costs, nil
}

// costOf adds usages up, one sum for each currency and one for what has no
// price, in that order. The arithmetic is exact until it is written.
func costOf(used []usage) []api.Cost {
	type sum struct {
		api.Cost
		priced   bool
		currency string
		lived    time.Duration
		amount   *big.Rat
		runs     map[string]bool
	}
	var sums []*sum
	for _, u := range used {
		price, err := api.ParsePrice(u.price)
		priced := err == nil // what has no price is an empty text
		at := slices.IndexFunc(sums, func(s *sum) bool { return s.priced == priced && s.currency == price.Currency })
		if at < 0 {
			at = len(sums)
			sums = append(sums, &sum{priced: priced, currency: price.Currency, amount: new(big.Rat), runs: map[string]bool{}})
		}
		s := sums[at]
		s.Launches, s.lived = s.Launches+u.launches, s.lived+u.lived
		s.runs[u.run] = true
		if priced {
			hours := big.NewRat(int64(u.lived), int64(time.Hour))
			s.amount.Add(s.amount, hours.Mul(hours, price.Amount))
		}
	}
	slices.SortFunc(sums, func(a, b *sum) int {
		if a.priced != b.priced {
			return cmp.Compare(number(b.priced), number(a.priced))
		}
		return cmp.Compare(a.currency, b.currency)
	})
	costs := make([]api.Cost, len(sums))
	for i, s := range sums {
		s.Runs, s.ServerSeconds = int64(len(s.runs)), s.lived.Seconds()
		if s.priced {
			s.Cost.Cost = money(s.amount, s.currency)
		}
		costs[i] = s.Cost
	}
	return costs
}

// money writes an amount, rounded to four decimals: "0.12 EUR", "0.0375".
func money(amount *big.Rat, currency string) string {
	text := amount.FloatString(4)
	whole, decimals, _ := strings.Cut(text, ".")
	for len(decimals) > 2 && decimals[len(decimals)-1] == '0' {
		decimals = decimals[:len(decimals)-1]
	}
	return strings.TrimSpace(whole + "." + decimals + " " + currency)
}

// joined writes the costs of one run: more than one where its job's price
// changed its currency on the way.
func joined(costs []api.Cost) string {
	var texts []string
	for _, c := range costs {
		if c.Cost != "" {
			texts = append(texts, c.Cost)
		}
	}
	return strings.Join(texts, " + ")
}
