//go:build e2e

package e2e

import (
	"maps"
	"net/url"
	"slices"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/e2e/accountant"
	"github.com/batchpattern/terraform-provider-batch/runner/e2e/faultynet"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
)

// Over a network that delays, resets, cuts and forgets connections every record
// is committed, once, with the prediction that is its own.
func TestARunOverAFaultyNetworkCommitsEverythingOnce(t *testing.T) {
	reference := newWorld(t, "")
	reference.predicts(0)

	server := predicttest.New(predicttest.Options{})
	target, err := url.Parse(server.Listen(t))
	if err != nil {
		t.Fatal(err)
	}
	proxy, err := faultynet.Listen(target.Host, faultynet.Draw(7))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := proxy.Close(); err != nil {
			t.Error(err)
		}
	}()
	w := newWorld(t, reference.input)
	w.job.Predict.Server, w.job.Predict.Endpoint = nil, &api.Endpoint{URL: "http://" + proxy.Addr()}
	w.job.Predict.RequestTimeout, w.job.Predict.RowsPerRequest = "500ms", new(int64(1))
	w.job.Retry.Attempts = new(int64(20))
	w.predicts(0)

	struck := proxy.Struck()
	t.Logf("faults of connections: %v; records sent: %d of 150", struck, total(server.Seen("")))
	for _, fault := range []faultynet.Fault{faultynet.Latency, faultynet.Reset, faultynet.Cut, faultynet.HalfOpen} {
		if struck[fault] == 0 {
			t.Errorf("no connection had the fault %s", fault)
		}
	}
	assertSameTree(t, reference.tree(), w.tree(), "")
	for _, run := range w.audit().Runs {
		if n := run.Count(accountant.Published); n != 150 {
			t.Errorf("%d records are published, want 150", n)
		}
	}
}

func total(counts map[string]int) (n int) {
	for _, count := range slices.Collect(maps.Values(counts)) {
		n += count
	}
	return n
}
