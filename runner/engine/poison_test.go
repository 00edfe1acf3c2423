package engine_test

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/durable/durabletest"
	"github.com/batchpattern/terraform-provider-batch/runner/engine"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// reached is a bench whose server is reached without a network and whose disk
// does not sync: it may stand in a synctest bubble, where no wait takes time.
func reached(t *testing.T, n int) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir(), server: predicttest.New(predicttest.Options{}), fs: durabletest.NoSync(), slots: 2}
	b.input, b.output = filepath.Join(b.dir, "in", "iris.csv"), filepath.Join(b.dir, "out")
	b.log = slog.New(slog.DiscardHandler)
	b.url, b.reach = predicttest.MemoryURL, b.server.RoundTripper(t, 4)
	b.writeInput(records(n))
	b.job = b.baseJob()
	t.Cleanup(b.stop)
	return b
}

// poison makes the server refuse these records, in whatever request they are.
func (b *bench) poison(f predicttest.Fault, bad ...int) {
	set := map[string]bool{}
	for _, record := range bad {
		set[fmt.Sprint(record)] = true
	}
	f.When = func(s predicttest.Send) bool {
		return slices.ContainsFunc(s.Records, func(record string) bool { return set[record] })
	}
	b.server.Inject(f)
}

// holds says what is wrong with a run's outcome: every record is published once
// with its own prediction, or it is one of the bad ones and a dead letter.
func (b *bench) holds(run store.Run, n int, bad ...int) {
	b.t.Helper()
	var letters []int
	must(b.t, b.store.DeadLetters(run.ID, func(d api.DeadLetter) error {
		id, err := strconv.Atoi(d.Key["id"])
		must(b.t, err)
		if d.Source.Line != int64(id+1) || d.FirstSeen.IsZero() || d.LastSeen.Before(d.FirstSeen) {
			b.t.Errorf("the dead letter of record %d is %+v", id, d)
		}
		letters = append(letters, id)
		return nil
	}))
	if !slices.Equal(letters, bad) {
		b.t.Fatalf("dead letters are %v, want %v", letters, bad)
	}
	want, dead := 1, map[int]bool{}
	for _, record := range bad {
		dead[record] = true
	}
	for _, row := range b.published(b.folder(occurrence)) {
		for dead[want] {
			want++
		}
		if row["id"] != fmt.Sprint(want) || row["score"] != float64(want)+0.5 {
			b.t.Fatalf("the row in place of record %d is %v", want, row)
		}
		want++
	}
	for dead[want] {
		want++
	}
	if want != n+1 {
		b.t.Fatalf("the output ends before record %d of %d", want, n)
	}
	if c := run.Counts; c.Committed != int64(n-len(bad)) || c.DeadLettered != int64(len(bad)) || c.Unfinished != 0 {
		b.t.Errorf("counts are %+v", c)
	}
}

func TestPoisonRecordsAreFoundAndNothingElseIsLost(t *testing.T) {
	const n, rows, perRequest = manyRecords, manyRecords / 10, 128
	const scale = 100_000 / n
	for _, c := range []struct {
		name string
		k    int
		at   func(i int) int
	}{
		{"one", 1, func(int) int { return 54_321 / scale }},
		{"7 scattered", 7, func(i int) int { return (9_001 + 13_007*i) / scale }},
		{"7 in a row", 7, func(i int) int { return 40_060/scale + i }},
		{"100 scattered", 100, func(i int) int { return (5_001 + 947*i) / scale }},
		{"100 in a row", 100, func(i int) int { return 70_050/scale + i }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := reached(t, n)
			b.job.MiniBatch.Rows, b.job.Predict.RowsPerRequest = new(int64(rows)), new(int64(perRequest))
			var bad []int
			inRequest := map[[2]int][]int{} // mini-batch and request → places of bad records
			for i := range c.k {
				record := c.at(i)
				bad = append(bad, record)
				place := (record - 1) % rows
				request := [2]int{(record - 1) / rows, place / perRequest}
				inRequest[request] = append(inRequest[request], place%perRequest)
			}
			b.poison(predicttest.Fault{Status: 422, Body: "out of range"}, bad...)
			run := b.run()
			if run.State != api.RunIncomplete {
				t.Fatalf("run is %s(%s): %s", run.State, run.Reason, run.Message)
			}
			b.holds(run, n, bad...)
			probes := 0
			for request, places := range inRequest {
				probes += engine.IsolationProbes(min(perRequest, rows-request[1]*perRequest), places)
			}
			// Among fewer records one may fail before any has succeeded, which takes
			// a control to begin with.
			first := int64(0)
			if scale > 1 {
				first = run.Isolation.Controls - int64(2*c.k)
			}
			if i := run.Isolation; i.Probes != int64(probes) || i.Confirmations != int64(2*c.k) || i.Controls != int64(2*c.k)+first || first < 0 || first > 8 {
				t.Errorf("%d probes, %d confirmations, %d controls; want %d, %d, %[5]d", i.Probes, i.Confirmations, i.Controls, probes, 2*c.k)
			}
			sent := map[string]int64{}
			for _, send := range b.server.Sends() {
				sent[send.Purpose]++
			}
			if sent["probe"] != run.Isolation.Probes || sent["control"] != run.Isolation.Controls || sent["confirm"] != run.Isolation.Confirmations {
				t.Errorf("the server saw %v, the run counts %+v", sent, run.Isolation)
			}
		})
	}
}

// Spring Batch, in its scan mode, has lost the healthy items of a chunk when
// the skip policy refused one more skip in the middle of the scan.
func TestItemsAreNotLostWhenTheSkipPolicySaysNo(t *testing.T) {
	b := reached(t, 60)
	b.job.MiniBatch.Rows, b.job.Parallelism, b.job.MaxFailed = new(int64(20)), new(int64(1)), "2"
	bad := []int{22, 27, 31, 38}
	b.poison(predicttest.Fault{Status: 400}, bad...)
	run := b.run()
	if run.State != api.RunFailed || run.Reason != api.ReasonMaxFailed || run.Counts.DeadLettered != 4 || run.Counts.Unfinished != 56 {
		t.Fatalf("run is %s(%s) %+v", run.State, run.Reason, run.Counts)
	}
	b.job.MaxFailed = "10%"
	b.put()
	_, err := b.engine.Retry(t.Context(), run.ID, api.RetryRun{}, "test")
	must(t, err)
	if run = b.wait(run.ID); run.State != api.RunIncomplete {
		t.Fatalf("the retry is %s(%s): %s", run.State, run.Reason, run.Message)
	}
	b.holds(run, 60, bad...)
}

// The other scan bug: items that were written before the scan began are
// written again by it.
func TestHealthyItemsAreNotWrittenTwice(t *testing.T) {
	b := reached(t, 64)
	b.job.MiniBatch.Rows, b.job.Predict.RowsPerRequest, b.job.MaxFailed = new(int64(64)), new(int64(16)), "10%"
	bad := []int{33, 47, 48}
	b.poison(predicttest.Fault{Status: 400}, bad...)
	run := b.run()
	b.holds(run, 64, bad...)
	for record, n := range b.server.Predicted() {
		if n != 1 {
			t.Errorf("record %s was predicted %d times for use", record, n)
		}
	}
}

func TestAServerThatTurnsSickDeadLettersNothing(t *testing.T) {
	// The server is well again after so many controls: some more where each is
	// sent up to four times.
	for status, until := range map[int]int{400: 6, 422: 6, 500: 20, 503: 20} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := reached(t, 400)
				b.job.MiniBatch.Rows, b.job.Predict.RowsPerRequest = new(int64(20)), new(int64(10))
				sick, controls := false, 0
				b.server.Inject(predicttest.Fault{Purpose: predicttest.AnyPurpose, Status: status, When: func(s predicttest.Send) bool {
					sick = sick || slices.Contains(s.Records, "150")
					if sick && s.Purpose == "control" {
						controls++
					}
					return sick && controls < until
				}})
				b.start()
				run := b.rested(b.queue(occurrence).ID)
				if run.State != api.RunSucceeded {
					t.Fatalf("run is %s(%s): %s", run.State, run.Reason, run.Message)
				}
				b.holds(run, 400)
				if said := b.history(run); !strings.Contains(said, "breaker nothing is sent but controls") || !strings.Contains(said, "answers again") {
					t.Errorf("the history tells nothing of the breaker:\n%s", said)
				}
			})
		})
	}
}

// A server that answers the controls and nothing else closes the breaker again
// and again: its mini-batches are turned back for free only so often.
func TestAServerThatAnswersOnlyControlsIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := reached(t, 200)
		b.job.MiniBatch.Rows, b.job.MaxFailed = new(int64(10)), "100%"
		sick := false
		b.server.Inject(predicttest.Fault{Reset: true, When: func(s predicttest.Send) bool {
			sick = sick || slices.Contains(s.Records, "50")
			return sick && s.Purpose != "control"
		}})
		b.start()
		run := b.rested(b.queue(occurrence).ID)
		if run.State != api.RunIncomplete || run.Counts.DeadLettered != 0 || run.Counts.Committed+run.Counts.GivenUp != 200 {
			t.Fatalf("run is %s(%s) %+v: %s", run.State, run.Reason, run.Counts, run.Message)
		}
	})
}

// A launched server that turns sick gives way to a fresh one.
func TestASickServerIsReplaced(t *testing.T) {
	inMemory(t, func(b *bench) {
		servers := launchedInMemory(b, func(n int, server *predicttest.Server) {
			if n == 1 {
				server.Inject(predicttest.Fault{Skip: 2, Status: 400})
			}
		})
		b.start()
		run := b.rested(b.queue(occurrence).ID)
		if run.State != api.RunSucceeded || run.Launches != 2 || run.Counts.DeadLettered != 0 {
			t.Fatalf("run is %s(%s) after %d launches, %v: %s", run.State, run.Reason, run.Launches, servers.sent(), run.Message)
		}
		b.holds(run, 30)
	})
}

// Where every launch turns sick the run's budget of losses bounds it.
func TestServersThatAllTurnSickFailTheRun(t *testing.T) {
	inMemory(t, func(b *bench) {
		launchedInMemory(b, func(n int, server *predicttest.Server) {
			skip := 2
			if n > 1 {
				skip = 0
			}
			server.Inject(predicttest.Fault{Skip: skip, Status: 422})
		})
		b.start()
		run := b.rested(b.queue(occurrence).ID)
		if run.State != api.RunFailed || run.Reason != api.ReasonServerLost || run.Launches > 4 || run.Counts.DeadLettered != 0 {
			t.Fatalf("run is %s(%s) after %d launches %+v: %s", run.State, run.Reason, run.Launches, run.Counts, run.Message)
		}
	})
}

// After a restart nothing is in memory: a record that was predicted before is
// the control.
func TestTheControlIsFoundAgainAfterARestart(t *testing.T) {
	b := reached(t, 60)
	b.job.MaxFailed, b.job.Parallelism = "50%", new(int64(1))
	var bad []int
	for record := 41; record <= 60; record++ {
		bad = append(bad, record)
	}
	b.poison(predicttest.Fault{Status: 400}, bad...)
	arrived, release := b.halt("41")
	b.start()
	id := b.queue(occurrence).ID
	<-arrived
	b.stopWithin(0)
	release()
	b.start()
	b.holds(b.wait(id), 60, bad...)
}

// Dead letters that are sent again and refused again are still dead letters,
// though nothing else is sent.
func TestARedriveOfARunOfOneMiniBatch(t *testing.T) {
	b := reached(t, 20)
	b.job.MaxFailed = "50%"
	b.poison(predicttest.Fault{Status: 400}, 7, 8)
	run := b.run()
	b.holds(run, 20, 7, 8)
	_, err := b.engine.Retry(t.Context(), run.ID, api.RetryRun{DeadLetters: true}, "test")
	must(t, err)
	run = b.until(run.ID, func(run store.Run) bool { return run.State.Ended() && run.Attempt == 2 })
	if run.State != api.RunIncomplete {
		t.Fatalf("run is %s(%s): %s", run.State, run.Reason, run.Message)
	}
	b.holds(run, 20, 7, 8)
}

// An endpoint that stays sick is not asked for ever: what is left is given up,
// and the run ends.
func TestAnEndpointThatStaysSickIsGivenUp(t *testing.T) {
	for _, attempts := range []int64{1, 3} {
		t.Run(fmt.Sprint(attempts, " attempts"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := reached(t, 400)
				b.job.MiniBatch.Rows, b.job.Predict.RowsPerRequest, b.job.MaxFailed = new(int64(20)), new(int64(10)), "100%"
				b.job.Retry.Attempts = new(attempts)
				b.server.Inject(predicttest.Fault{Purpose: predicttest.AnyPurpose, Skip: 15, Reset: true})
				begun := time.Now()
				b.start()
				run := b.rested(b.queue(occurrence).ID)
				if run.State != api.RunIncomplete || run.Counts.DeadLettered != 0 || run.Counts.GivenUp == 0 || run.Counts.Committed+run.Counts.GivenUp != 400 {
					t.Fatalf("run is %s(%s) %+v: %s", run.State, run.Reason, run.Counts, run.Message)
				}
				if took := time.Since(begun); took > 15*time.Minute {
					t.Errorf("it took %s", took)
				}
				if sent := len(b.server.Sends()); sent > 400 {
					t.Errorf("%d requests were sent", sent)
				}
			})
		})
	}
}

func TestARenamedColumnFailsAtOnce(t *testing.T) {
	for _, parallelism := range []int64{1, 4} {
		t.Run(fmt.Sprint("parallelism ", parallelism), func(t *testing.T) {
			b := reached(t, 1000)
			b.job.Parallelism, b.job.MaxFailed = new(parallelism), "100%"
			b.server.Inject(predicttest.Fault{Purpose: predicttest.AnyPurpose, Status: 400, Body: "no feature named petal_length"})
			run := b.run()
			if run.State != api.RunFailed || run.Reason != api.ReasonNothingSucceeded || run.Counts.DeadLettered != 0 {
				t.Fatalf("run is %s(%s) %+v: %s", run.State, run.Reason, run.Counts, run.Message)
			}
			said := b.said(run)
			for _, text := range []string{"petal_length", "4 mini-batches", "data 400", "iris.csv:"} {
				if !strings.Contains(said, text) {
					t.Errorf("%q does not appear in:\n%s", text, said)
				}
			}
			if sent := len(b.server.Sends()); sent > 100 {
				t.Errorf("%d requests were sent to find that out", sent)
			}
		})
	}
}

func TestNothingSucceedsInASmallInputEither(t *testing.T) {
	b := reached(t, 7)
	b.job.MaxFailed = "100%"
	b.server.Inject(predicttest.Fault{Purpose: predicttest.AnyPurpose, Status: 400})
	if run := b.run(); run.Reason != api.ReasonNothingSucceeded || run.Counts.DeadLettered != 0 {
		t.Fatalf("run is %s(%s) %+v: %s", run.State, run.Reason, run.Counts, run.Message)
	}
}

// The first requests hold bad records, each of them: that is not a server
// which refuses everything.
func TestBadRecordsAtTheVeryBeginningAreFoundToo(t *testing.T) {
	b := reached(t, 100)
	b.job.MaxFailed = "100%"
	bad := []int{1, 2, 3, 20, 21, 41, 61, 81}
	b.poison(predicttest.Fault{Status: 400}, bad...)
	b.holds(b.run(), 100, bad...)
}

func TestRandom500sDeadLetterNothingGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := reached(t, 2000)
		b.job.MiniBatch.Rows, b.job.Predict.RowsPerRequest = new(int64(100)), new(int64(2))
		b.server.Inject(predicttest.Fault{Status: 500, When: func(predicttest.Send) bool { return rand.Float64() < 0.3 }})
		b.start()
		run := b.rested(b.queue(occurrence).ID)
		if run.State != api.RunSucceeded {
			t.Fatalf("run is %s(%s): %s", run.State, run.Reason, run.Message)
		}
		b.holds(run, 2000)
		if run.Isolation.Probes == 0 {
			t.Error("no request failed for good: the test shows nothing")
		}
	})
}

func TestPolicyCompleteStopsAtTheFirstBadRecord(t *testing.T) {
	for _, c := range []struct {
		name   string
		spoil  func(b *bench)
		reason api.Reason
		text   []string
	}{
		{"refused by the server", func(b *bench) { b.poison(predicttest.Fault{Status: 400, Body: "too old"}, 47, 52) }, "data",
			[]string{"iris.csv:48", "id=47", "400 Bad Request: too old"}},
		{"not a number", line(48, "47,many,0.5"), "bad_record", []string{"iris.csv:48", "id=47", `"many"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := reached(t, 150)
			b.job.Retry, b.job.Parallelism = &api.Retry{Policy: api.PolicyComplete, Backoff: []api.Duration{"1ms"}}, new(int64(1))
			c.spoil(b)
			run := b.run()
			if run.State != api.RunFailed || run.Reason != c.reason || run.Counts.DeadLettered != 0 || run.Attempt != 1 {
				t.Fatalf("run is %s(%s), attempt %d, %+v: %s", run.State, run.Reason, run.Attempt, run.Counts, run.Message)
			}
			for _, text := range c.text {
				if !strings.Contains(run.Message, text) {
					t.Errorf("%q does not appear in: %s", text, run.Message)
				}
			}
			for _, send := range b.server.Sends() {
				if slices.Contains(send.Records, "61") {
					t.Errorf("%s was sent after the bad record had been found", send.Key)
				}
			}
		})
	}
}

func TestADeadLetterTellsAllAndKeepsASecret(t *testing.T) {
	for input, want := range map[string]string{api.DeadInputFull: "47,47,0.5", api.DeadInputKeyOnly: ""} {
		b := reached(t, 150)
		b.job.DeadLetters = &api.DeadLetters{Input: input}
		b.poison(predicttest.Fault{Status: 422, Body: "too old"}, 47)
		run := b.run()
		must(t, b.store.DeadLetters(run.ID, func(d api.DeadLetter) error {
			if d.Input != want || d.Status != 422 || d.Class != api.ClassData || d.Attempts != 3 || d.MiniBatch != 3 || !strings.Contains(d.Error, "too old") {
				t.Errorf("with %s the dead letter is %+v", input, d)
			}
			return nil
		}))
		b.holds(run, 150, 47)
	}
}
