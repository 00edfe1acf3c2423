package runner_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
	"github.com/batchpattern/terraform-provider-batch/runner"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// hand is a clock that is set by hand.
type hand struct{ atomic.Int64 }

func (h *hand) now() time.Time { return time.Unix(0, h.Load()).UTC() }

func (h *hand) set(hour, minute int) time.Time {
	at := time.Date(2026, 11, 21, hour, minute, 5, 0, time.UTC)
	h.Store(at.UnixNano())
	return at
}

// The runner is backed up, goes on to publish, and is restored: what it
// published since is neither decided nor published again, and it works on.
func TestARestoredRunnerPublishesNothingTwice(t *testing.T) {
	dir, model, clock := folder(t), predicttest.New(predicttest.Options{}), &hand{}
	data := filepath.Join(dir, "data")
	o := runner.Options{DataDir: data, Now: clock.now}
	clock.set(0, 30)
	r := start(t, o)
	c := connect(t, client.Options{Endpoint: r.Addr()})
	spec := job(t, dir, model.Listen(t))
	spec.Schedule = &api.Schedule{Every: "1h"}
	spec.Output.Files.URI = filepath.Join(dir, "out") + "/{scheduled_at}/"
	_, _, err := c.PutJob(t.Context(), "iris", api.PutJob{Spec: spec}, client.Condition{})
	must(t, err)
	// due has the occurrence of an hour decided and carried out.
	due := func(c *client.Client, hour int) {
		t.Helper()
		clock.set(hour, 0)
		nudge(t, c, spec)
		awaitOccurrence(t, c, clock.now().Truncate(time.Hour))
	}
	due(c, 1)
	var copied bytes.Buffer
	must(t, c.Backup(t.Context(), &copied))
	backup := filepath.Join(dir, "monday.backup")
	must(t, os.WriteFile(backup, copied.Bytes(), 0o600))
	due(c, 2)
	stop(t, r)
	manifest := filepath.Join(dir, "out", "20261121T020000Z", "_MANIFEST.json")
	before, said := published(t, filepath.Join(dir, "out")), read(t, manifest)

	_, err = store.Restore(t.Context(), backup, data, true, clock.set(2, 10))
	must(t, err)
	r = start(t, o)
	c = connect(t, client.Options{Endpoint: r.Addr()})
	due(c, 3)
	decisions, err := c.Decisions(t.Context(), "iris", 10)
	must(t, err)
	var told []string
	for _, d := range decisions {
		told = append(told, fmt.Sprintf("%s %s %s x%d", d.Verdict, d.Reason, d.First.Format("15:04"), d.Count))
	}
	if got, want := fmt.Sprint(told), "[run due 03:00 x1 missed restored 02:00 x1 run due 01:00 x1]"; got != want {
		t.Errorf("decided %s, want %s", got, want)
	}
	after := published(t, filepath.Join(dir, "out"))
	for path, text := range before {
		if after[path] != text {
			t.Errorf("%s is published again", path)
		}
	}
	if read(t, manifest) != said {
		t.Errorf("%s is written again", manifest)
	}
	for record, times := range model.Predicted() {
		if times != 3 {
			t.Errorf("record %s was predicted %d times for three occurrences", record, times)
		}
	}
}

// nudge has a runner look at its calendar, whose alarms go by real time.
func nudge(t *testing.T, c *client.Client, spec api.Job) {
	t.Helper()
	spec.Name, spec.Schedule = "nudge", nil
	spec.Output.Files = &api.OutputFiles{URI: filepath.Join(t.TempDir(), "{date}")}
	_, _, err := c.PutJob(t.Context(), "nudge", api.PutJob{Spec: spec}, client.Condition{})
	must(t, err)
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	return string(text)
}

func awaitOccurrence(t *testing.T, c *client.Client, at time.Time) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(30 * time.Second); ; {
		page, err := c.Runs(t.Context(), client.RunFilter{Job: "iris", Since: at, Until: at}, client.Paging{})
		must(t, err)
		if len(page.Items) > 0 && page.Items[0].State == api.RunSucceeded {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("the occurrence of %s did not succeed: %+v", at, page.Items)
		}
	}
}
