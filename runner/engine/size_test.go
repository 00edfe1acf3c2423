package engine_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
)

func TestFixedRequestsThatAreTooLargeFailTheRun(t *testing.T) {
	b := reached(t, 150)
	b.job.Predict.Requests = api.RequestsFixed
	b.server.Inject(predicttest.Fault{MoreThan: 6, Status: 413})
	run := b.run()
	if run.State != api.RunFailed || run.Reason != api.Reason(api.ClassConfig) || !strings.Contains(run.Message, "predict.rows_per_request") {
		t.Fatalf("run is %s(%s): %s", run.State, run.Reason, run.Message)
	}
}

func TestFixedRequestsStillIsolatePoison(t *testing.T) {
	b := reached(t, 150)
	b.job.Predict.Requests = api.RequestsFixed
	b.poison(predicttest.Fault{Status: 400}, 47)
	b.holds(b.run(), 150, 47)
}

// A request that fails only as a whole was too large, though the server says
// something else.
func TestASizeThatIsTheCauseIsLearnt(t *testing.T) {
	b := reached(t, 150)
	b.server.Inject(predicttest.Fault{MoreThan: 10, Status: 400})
	run := b.run()
	plan, err := b.store.Plan(run.ID)
	must(t, err)
	if run.State != api.RunSucceeded || plan.RowsPerRequest != 10 {
		t.Fatalf("run is %s with %d rows a request: %s", run.State, plan.RowsPerRequest, run.Message)
	}
	b.holds(run, 150)
}

func TestWhatAServerTakesIsRememberedForTheNextRun(t *testing.T) {
	b := reached(t, 150)
	heal := b.server.Inject(predicttest.Fault{MoreThan: 6, Status: 413})
	largest := func() (most int) {
		before := len(b.server.Sends())
		if run := b.run(); run.State != api.RunSucceeded {
			t.Fatalf("run is %s: %s", run.State, run.Message)
		}
		for _, send := range b.server.Sends()[before:] {
			most = max(most, len(send.Records))
		}
		return most
	}
	var got []int
	for i := range 6 {
		if i == 3 {
			heal()
		}
		got = append(got, largest())
	}
	// Halved from 20 to 5; then 5; then it tries 10 again, in vain; then the
	// server takes more, and it grows back to what the job says.
	if want := []int{20, 5, 10, 5, 10, 20}; !slices.Equal(got, want) {
		t.Errorf("the largest requests of each run are %v, want %v", got, want)
	}
}

// A worker that does not hear that its attempt's time is up is left behind and
// turned away.
func TestAnAttemptThatTakesTooLongIsEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := reached(t, 40)
		b.job.MiniBatch.Timeout, b.job.Retry.Attempts, b.job.MaxFailed = "30s", new(int64(2)), "100%"
		b.server.Inject(predicttest.Fault{Record: "1", Status: 429, Header: map[string]string{"Retry-After": "20"}})
		b.job.Predict.RequestTimeout = "10s"
		b.server.Inject(predicttest.Fault{Record: "1", Delay: 9 * time.Second, Status: 503})
		b.start()
		run := b.rested(b.queue(occurrence).ID)
		if run.State != api.RunIncomplete || run.Counts.GivenUp != 20 || run.Counts.Committed != 20 {
			t.Fatalf("run is %s(%s) %+v: %s", run.State, run.Reason, run.Counts, run.Message)
		}
		if said := b.said(run); !strings.Contains(said, "mini_batch.timeout") {
			t.Errorf("it does not say why:\n%s", said)
		}
	})
}
