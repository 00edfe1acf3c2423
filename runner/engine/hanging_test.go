package engine_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
)

// A record that hangs the server is told from a server that is slow: its
// mini-batch runs alone after two timeouts.
func TestARecordThatHangsTheServerIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := reached(t, 150)
		b.job.Predict.RequestTimeout, b.job.Retry.Attempts = "2s", new(int64(4))
		b.poison(predicttest.Fault{Hang: true}, 47)
		b.start()
		run := b.rested(b.queue(occurrence).ID)
		if run.State != api.RunIncomplete {
			t.Fatalf("run is %s(%s): %s\n%s", run.State, run.Reason, run.Message, b.history(run))
		}
		b.holds(run, 150, 47)
		must(t, b.store.DeadLetters(run.ID, func(d api.DeadLetter) error {
			if d.Class != api.ClassTransient || !strings.Contains(d.Error, "no answer within 2s") {
				t.Errorf("the dead letter is %+v", d)
			}
			return nil
		}))
	})
}

// It is found in the first run, however few attempts a mini-batch has, and
// wherever it stands: also where its mini-batch is the whole input.
func TestARecordThatHangsTheServerCostsItselfAlone(t *testing.T) {
	for _, c := range []struct {
		policy                       string
		attempts                     int64
		rows, perRequest, inParallel int64
	}{
		{api.PolicyNextBatch, 1, 50, 50, 4},
		{api.PolicyNextBatch, 1, 50, 10, 4},
		{api.PolicyNextBatch, 1, 10, 5, 1},
		{api.PolicyPartial, 1, 50, 50, 4},
		{api.PolicyPartial, 2, 50, 50, 4},
		{api.PolicyPartial, 2, 10, 5, 2},
		{api.PolicyPartial, 3, 10, 10, 4},
	} {
		for _, bad := range []int{1, 26, 50} {
			t.Run(fmt.Sprintf("%s, %d attempts, record %d in %d by %d", c.policy, c.attempts, bad, c.rows, c.perRequest), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := reached(t, 50)
					b.job.MiniBatch.Rows, b.job.Predict.RowsPerRequest, b.job.Parallelism = &c.rows, &c.perRequest, &c.inParallel
					b.job.Predict.RequestTimeout, b.job.MaxFailed = "1s", "2%"
					b.job.Retry.Policy, b.job.Retry.Attempts = c.policy, &c.attempts
					if c.policy == api.PolicyNextBatch {
						b.job.Retry.Attempts = nil
					}
					b.poison(predicttest.Fault{Hang: true}, bad)
					b.start()
					run := b.rested(b.queue(occurrence).ID)
					if run.State != api.RunIncomplete {
						t.Fatalf("run is %s(%s) %+v: %s\n%s", run.State, run.Reason, run.Counts, run.Message, b.history(run))
					}
					b.holds(run, 50, bad)
				})
			})
		}
	}
}

// A server that answers nothing any more after such a record takes others with
// it: they are predicted by a fresh one.
func TestARecordThatJamsItsServerCostsItselfAlone(t *testing.T) {
	inMemory(t, func(b *bench) {
		b.policy(api.PolicyNextBatch)
		b.job.Predict.RequestTimeout = "1s"
		launchedInMemory(b, func(_ int, server *predicttest.Server) {
			jammed := false
			server.Inject(predicttest.Fault{Purpose: predicttest.AnyPurpose, Hang: true, When: func(s predicttest.Send) bool {
				jammed = jammed || slices.Contains(s.Records, "17")
				return jammed
			}})
		})
		run := b.day(0)
		if run.State != api.RunIncomplete {
			t.Fatalf("run is %s(%s) %+v: %s\n%s", run.State, run.Reason, run.Counts, run.Message, b.history(run))
		}
		b.holds(run, 30, 17)
	})
}

// A server that has become too slow for everything condemns nobody: what it
// did not answer is carried, or given up.
func TestAServerThatTurnsSlowCondemnsNobody(t *testing.T) {
	for _, policy := range []string{api.PolicyNextBatch, api.PolicyPartial} {
		for _, answered := range []int{1, 3} { // and 4 or 2 mini-batches time out: fewer than open the breaker
			t.Run(fmt.Sprint(policy, " after ", answered), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := reached(t, 50)
					b.job.MiniBatch.Rows, b.job.Predict.RowsPerRequest, b.job.Parallelism = new(int64(10)), new(int64(10)), new(int64(1))
					b.job.Predict.RequestTimeout, b.job.MaxFailed = "1s", "100%"
					b.job.Retry.Policy, b.job.Retry.Attempts = policy, nil
					if policy == api.PolicyPartial {
						b.job.Retry.Attempts = new(int64(2))
					}
					b.server.Inject(predicttest.Fault{Skip: answered + 1, Purpose: predicttest.AnyPurpose, Hang: true}) // and the warm-up
					b.start()
					run := b.rested(b.queue(occurrence).ID)
					c, late := run.Counts, int64(50-10*answered)
					if run.State != api.RunIncomplete || c.DeadLettered != 0 || c.Committed != 50-late || c.Carried+c.GivenUp != late {
						t.Fatalf("run is %s(%s) %+v: %s\n%s", run.State, run.Reason, c, run.Message, b.history(run))
					}
					if (c.Carried == late) != (policy == api.PolicyNextBatch) {
						t.Errorf("%d are carried", c.Carried)
					}
				})
			})
		}
	}
}

// One that answers nothing but the warm-up is found out soon: it is not asked
// for each record.
func TestAServerThatHangsAtEverythingFailsTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := reached(t, 500)
		b.job.MiniBatch.Rows, b.job.Predict.RowsPerRequest, b.job.MaxFailed = new(int64(500)), new(int64(500)), "100%"
		b.job.Retry.Policy, b.job.Retry.Attempts = api.PolicyNextBatch, nil
		b.server.Inject(predicttest.Fault{Hang: true})
		b.start()
		run := b.rested(b.queue(occurrence).ID)
		if run.State != api.RunFailed || run.Reason != api.ReasonNothingSucceeded || run.Counts.Unfinished != 500 {
			t.Fatalf("run is %s(%s) %+v: %s", run.State, run.Reason, run.Counts, run.Message)
		}
		if sent := len(b.server.Sends()); sent > 30 {
			t.Errorf("%d requests were sent to find that out", sent)
		}
		if said := b.said(run); !strings.Contains(said, "predict.request_timeout") {
			t.Errorf("it does not name the remedy:\n%s", said)
		}
	})
}

// A request may hold both a record that is refused and one that hangs the
// server or ends it.
func TestARecordThatFellsTheServerIsFoundBesideOneThatIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := reached(t, 150)
		b.job.Predict.RequestTimeout, b.job.Retry.Attempts = "2s", new(int64(4))
		b.poison(predicttest.Fault{Hang: true}, 47)
		b.poison(predicttest.Fault{Purpose: predicttest.AnyPurpose, Status: 422, Body: "no"}, 43)
		b.start()
		run := b.rested(b.queue(occurrence).ID)
		if run.State != api.RunIncomplete {
			t.Fatalf("run is %s(%s): %s\n%s", run.State, run.Reason, run.Message, b.history(run))
		}
		b.holds(run, 150, 43, 47)
	})
}
