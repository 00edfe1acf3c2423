package trigger

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// TestAVirtualYear lets a started trigger live through a year of a host that
// is suspended, restarted and set right, while people hold, edit and run
// three jobs. In the end each occurrence of the rules that were in force is
// decided, and decided once.
//
// A suspended host is one whose clock has gone on and whose alarms have not;
// most of the year passes that way, so that the test takes seconds.
func TestAVirtualYear(t *testing.T) {
	for _, seed := range []uint64{1} {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { liveThroughAYear(t, rand.New(rand.NewPCG(seed, 2026))) })
		})
	}
}

func liveThroughAYear(t *testing.T, chance *rand.Rand) {
	r := newRoom(t, "2026-01-01T00:00:00Z")
	r.windUp()
	end := r.clock.now().AddDate(1, 0, 0)
	upTo := func(most time.Duration) time.Duration {
		return time.Duration(chance.Int64N(int64(most/time.Second))) * time.Second
	}
	one := func(rules ...*api.Schedule) *api.Schedule { return rules[chance.IntN(len(rules))] }

	rules := [][]*api.Schedule{
		{cron("0 2 * * *", "Europe/Berlin"), cron("30 2 * * *", "America/New_York"), cron("0 2 * * MON-FRI", "Europe/Berlin")},
		{every("1h"), cron("0 * * * *", "Europe/Berlin"), {Every: "1h", Jitter: "40m"}},
		{every("5m"), cron("*/5 * * * *", "America/New_York"), {Every: "6m", Jitter: "5m"}},
	}
	var jobs []*ledger
	for i, name := range []string{"nightly", "hourly", "frequent"} {
		spec := validJob(name, rules[i][0])
		spec.Overlap = []string{"", api.OverlapQueueOne, api.OverlapCancelRunning}[i]
		jobs = append(jobs, newLedger(r, spec))
	}
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	restart := func() {
		if err := r.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.add(upTo(8 * time.Hour))
		r.watch = &watchdog{store: r.store} // as a new process has
		if err := r.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}

	steps := 0
	for ; r.clock.now().Before(end); steps++ {
		r.add(upTo(72 * time.Hour)) // suspended
		time.Sleep(tick + time.Second)
		reach(jobs)
		time.Sleep(upTo(6 * time.Minute)) // awake
		reach(jobs)

		l := jobs[chance.IntN(len(jobs))]
		switch chance.IntN(12) {
		case 0:
			restart()
		case 1:
			r.add(-upTo(2 * time.Hour)) // the clock is set right, or wrong
		case 2:
			r.add(upTo(2 * time.Hour))
		case 3, 4:
			l.hold()
		case 5:
			yes := l.spec.Paused == nil || !*l.spec.Paused
			l.word(func(spec *api.Job) { spec.Paused = &yes })
		case 6:
			l.edit(one(rules[chance.IntN(3)]...))
		case 7:
			modes := []string{"latest", "all", "none"}
			l.word(func(spec *api.Job) { spec.CatchUp = &api.CatchUp{Mode: modes[chance.IntN(3)]} })
		case 8:
			l.start()
		case 9:
			l.move(r.clock.now().Add(-upTo(time.Hour)).Truncate(time.Second))
		default:
			l.finish(api.RunSucceeded)
		}
	}
	time.Sleep(tick + time.Second)
	reach(jobs)
	if err := r.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}

	var decided, rows, runs int64
	for _, l := range jobs {
		l.audit(t.Fatalf)
		for i := range l.eras {
			decided += l.eras[i].count()
		}
		rows += int64(len(r.decisions(l.uid)))
		runs += int64(len(r.runs(l.uid)))
	}
	t.Logf("%d steps: %d occurrences decided in %d rows, %d runs", steps, decided, rows, runs)
	if decided < 10_000 || rows < 500 || runs < 300 {
		t.Error("too little happened to prove anything")
	}
}

// reach waits for what the alarms cause, and notes what is decided by then.
func reach(jobs []*ledger) {
	synctest.Wait()
	for _, l := range jobs {
		l.current().wake(l.r.clock.now())
	}
}
