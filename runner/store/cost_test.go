package store

import (
	"reflect"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

func TestCostIsExactUntilItIsWritten(t *testing.T) {
	for name, c := range map[string]struct {
		used []usage
		want []api.Cost
	}{
		"nothing": {nil, []api.Cost{}},
		"no price": {[]usage{{"a", "", 90 * time.Second, 1}},
			[]api.Cost{{Runs: 1, Launches: 1, ServerSeconds: 90}}},
		"an hour": {[]usage{{"a", "0.35 EUR", time.Hour, 1}},
			[]api.Cost{{Runs: 1, Launches: 1, ServerSeconds: 3600, Cost: "0.35 EUR"}}},
		"without a currency": {[]usage{{"a", "1", 90 * time.Minute, 2}},
			[]api.Cost{{Runs: 1, Launches: 2, ServerSeconds: 5400, Cost: "1.50"}}},
		"thirds add up": {[]usage{{"a", "0.1 EUR", 20 * time.Minute, 1}, {"b", "0.1 EUR", 20 * time.Minute, 1}, {"c", "0.1 EUR", 20 * time.Minute, 1}},
			[]api.Cost{{Runs: 3, Launches: 3, ServerSeconds: 3600, Cost: "0.10 EUR"}}},
		"four decimals": {[]usage{{"a", "0.35 EUR", 37 * time.Second, 1}}, // 0.003597…
			[]api.Cost{{Runs: 1, Launches: 1, ServerSeconds: 37, Cost: "0.0036 EUR"}}},
		"less than can be written": {[]usage{{"a", "0.01 EUR", time.Second, 1}},
			[]api.Cost{{Runs: 1, Launches: 1, ServerSeconds: 1, Cost: "0.00 EUR"}}},
		"a year of many": {[]usage{{"a", "999999999.999999999 EUR", 8760 * time.Hour, 1}},
			[]api.Cost{{Runs: 1, Launches: 1, ServerSeconds: 8760 * 3600, Cost: "8760000000000.00 EUR"}}},
		"currencies, and none, apart": {[]usage{{"a", "1 USD", time.Hour, 1}, {"a", "2 EUR", time.Hour, 1}, {"b", "", time.Hour, 1}, {"b", "3 USD", time.Hour, 1}},
			[]api.Cost{{Runs: 1, Launches: 1, ServerSeconds: 3600, Cost: "2.00 EUR"}, {Runs: 2, Launches: 2, ServerSeconds: 7200, Cost: "4.00 USD"}, {Runs: 1, Launches: 1, ServerSeconds: 3600}}},
		"a price that changed within a run": {[]usage{{"a", "1 EUR", time.Hour, 1}, {"a", "2 EUR", time.Hour, 1}},
			[]api.Cost{{Runs: 1, Launches: 2, ServerSeconds: 7200, Cost: "3.00 EUR"}}},
	} {
		if got := costOf(c.used); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %+v\nwant %+v", name, got, c.want)
		}
	}
}

// launched is a launch that begins now and ends after lived; 0: it goes on.
func launched(t *testing.T, s *Store, c *clock, run Run, id, price string, lived time.Duration) {
	t.Helper()
	do(t, s, func(tx *Tx) error { return tx.InsertLaunch(Launch{ID: id, Run: run.ID, UID: run.JobUID, Price: price}) })
	if lived > 0 {
		c.advance(lived)
		do(t, s, func(tx *Tx) error { return tx.EndLaunch(id, "stopped") })
	}
}

func TestARunTellsWhatItsServersTook(t *testing.T) {
	s, c := open(t)
	job := newJob(t, s, "iris")
	priced, free := newRun(t, s, job, api.Run{}), newRun(t, s, job, api.Run{})
	launched(t, s, c, priced, "one", "1.20 EUR", 30*time.Minute)
	launched(t, s, c, priced, "two", "1.20 EUR", 0)
	launched(t, s, c, free, "three", "", time.Minute)
	c.advance(9 * time.Minute)
	got := map[string]Run{}
	for _, run := range must(s.Runs(job.UID, 10))(t) {
		got[run.ID] = run
	}
	if run := got[priced.ID]; run.ServerSeconds != 40*60 || run.Cost != "0.80 EUR" {
		t.Errorf("with one that lives: %v seconds, %q", run.ServerSeconds, run.Cost)
	}
	if run := got[free.ID]; run.ServerSeconds != 60 || run.Cost != "" {
		t.Errorf("without a price: %v seconds, %q", run.ServerSeconds, run.Cost)
	}
	c.advance(time.Hour)
	do(t, s, func(tx *Tx) error { return tx.EndLaunch("two", "stopped") })
	c.advance(time.Hour)
	if run := must(s.Run(priced.ID))(t); run.ServerSeconds != 100*60 || run.Cost != "2.00 EUR" {
		t.Errorf("when all have ended: %v seconds, %q", run.ServerSeconds, run.Cost)
	}
}

func TestCostsOfAMonthTakeTheTimeWithinIt(t *testing.T) {
	s, c := open(t)
	iris, wine := newJob(t, s, "iris"), newJob(t, s, "wine")
	of := map[string]Run{"iris": newRun(t, s, iris, api.Run{}), "wine": newRun(t, s, wine, api.Run{})}
	// begin is 2026-11-21 02:00; December begins 238 hours later.
	launched(t, s, c, of["iris"], "november", "1 EUR", time.Hour)
	launched(t, s, c, of["wine"], "dollars", "2 USD", time.Hour)
	c.advance(235 * time.Hour)
	launched(t, s, c, of["iris"], "across", "1 EUR", 4*time.Hour) // one in November, three in December
	launched(t, s, c, of["wine"], "alive", "2 USD", 0)
	c.advance(30 * time.Minute)

	november, december := begin, begin.AddDate(0, 1, 0)
	for _, want := range []struct {
		month time.Time
		uid   string
		costs []api.Cost
	}{
		{november, "", []api.Cost{{Job: "iris", Month: "2026-11", Runs: 1, Launches: 2, ServerSeconds: 7200, Cost: "2.00 EUR"},
			{Job: "wine", Month: "2026-11", Runs: 1, Launches: 1, ServerSeconds: 3600, Cost: "2.00 USD"}}},
		{december, "", []api.Cost{{Job: "iris", Month: "2026-12", Runs: 1, Launches: 1, ServerSeconds: 3 * 3600, Cost: "3.00 EUR"},
			{Job: "wine", Month: "2026-12", Runs: 1, Launches: 1, ServerSeconds: 1800, Cost: "1.00 USD"}}},
		{december, wine.UID, []api.Cost{{Job: "wine", Month: "2026-12", Runs: 1, Launches: 1, ServerSeconds: 1800, Cost: "1.00 USD"}}},
		{begin.AddDate(0, -1, 0), "", []api.Cost{}},
		{begin.AddDate(0, 2, 0), "", []api.Cost{}},
	} {
		if got := must(s.Costs(want.month, want.uid))(t); !reflect.DeepEqual(got, want.costs) {
			t.Errorf("%s %s: got %+v\nwant %+v", want.month.Format("2006-01"), want.uid, got, want.costs)
		}
	}
}

// Servers end with their runner: nobody pays for the time until it is back.
func TestAnOutageCostsNothing(t *testing.T) {
	s, c := open(t)
	run := runningRun(t, s, newJob(t, s, "iris"), begin, 10, 10)
	launched(t, s, c, run, "one", "1 EUR", 0)
	c.advance(time.Hour)
	stage(t, s, run, claim(t, s, run, 1)[0], 0) // the last that was heard of it
	c.advance(time.Minute)
	closeStore(t, s)
	c.advance(72 * time.Hour)
	s = openAt(t, s.Dir(), c)
	c.advance(time.Hour)
	if run := must(s.Run(run.ID))(t); run.ServerSeconds != 3600 || run.Cost != "1.00 EUR" {
		t.Errorf("%v seconds, %q", run.ServerSeconds, run.Cost)
	}
}
