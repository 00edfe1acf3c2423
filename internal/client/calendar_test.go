package client_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
)

func TestWhatIsAskedOfAJobsCalendar(t *testing.T) {
	const job = "/v1/jobs/churn"
	tests := map[string]struct {
		ask    func(context.Context, *client.Client) (any, error)
		method string
		path   string // and query
		body   string
		key    string
		status int
		answer string
		want   string // what the client makes of the answer
	}{
		"hold": {
			func(ctx context.Context, c *client.Client) (any, error) { return c.Hold(ctx, "churn", "looking") },
			"POST", job + "/hold", `{"reason":"looking"}`, "", 200, `{"job":"churn","held":{"by":"cli:alice","reason":"looking"}}`, `"by":"cli:alice"`,
		},
		"release": {
			func(ctx context.Context, c *client.Client) (any, error) { return c.Release(ctx, "churn") },
			"POST", job + "/release", "", "", 200, `{"job":"churn"}`, `"job":"churn"`,
		},
		"cursor": {
			func(ctx context.Context, c *client.Client) (any, error) { return c.SetCursor(ctx, "churn", "now") },
			"POST", job + "/cursor", `{"to":"now"}`, "", 200, `{"cursor":"2026-11-21T01:00:00Z"}`, `"cursor":"2026-11-21T01:00:00Z"`,
		},
		"rerun": {
			func(ctx context.Context, c *client.Client) (any, error) {
				run, created, err := c.Rerun(ctx, "churn", api.Rerun{Occurrence: "2026-11-21", IfIdle: true}, "k")
				return []any{run.ID, created}, err
			},
			"POST", job + "/reruns", `{"occurrence":"2026-11-21","if_idle":true}`, "k", 201, `{"id":"r1"}`, `["r1",true]`,
		},
		"backfill": {
			func(ctx context.Context, c *client.Client) (any, error) {
				b, created, err := c.Backfill(ctx, "churn", api.AskBackfill{From: "2026-11-01", To: "2026-11-20", Only: "failed"}, "k")
				return []any{b.ID, created}, err
			},
			"POST", job + "/backfills", `{"from":"2026-11-01","to":"2026-11-20","only":"failed"}`, "k", 201, `{"id":"b1"}`, `["b1",true]`,
		},
		"the same backfill again": {
			func(ctx context.Context, c *client.Client) (any, error) {
				b, created, err := c.Backfill(ctx, "churn", api.AskBackfill{From: "a", To: "b"}, "k")
				return []any{b.ID, created}, err
			},
			"POST", job + "/backfills", `{"from":"a","to":"b"}`, "k", 200, `{"id":"b1"}`, `["b1",false]`,
		},
		"backfills": {
			func(ctx context.Context, c *client.Client) (any, error) {
				all, err := c.Backfills(ctx, "churn", 7)
				return len(all), err
			},
			"GET", job + "/backfills?limit=7", "", "", 200, `{"backfills":[{"id":"b2"},{"id":"b1"}]}`, `2`,
		},
		"cancel a backfill": {
			func(ctx context.Context, c *client.Client) (any, error) { return c.CancelBackfill(ctx, "churn", "b1") },
			"POST", job + "/backfills/b1/cancel", "", "", 200, `{"id":"b1","waiting":3}`, `"waiting":3`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFake()
			path, _, _ := strings.Cut(test.path, "?")
			f.answer[test.method+" "+path] = func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if r.URL.RequestURI() != test.path || string(body) != test.body || r.Header.Get("Idempotency-Key") != test.key {
					t.Errorf("asked %s with %q and the key %q", r.URL.RequestURI(), body, r.Header.Get("Idempotency-Key"))
				}
				problem(w, test.status, test.answer)
			}
			got, err := test.ask(t.Context(), serve(t, f, client.Options{}))
			text, _ := json.Marshal(got)
			if err != nil || !strings.Contains(string(text), test.want) {
				t.Errorf("got %s, %v; want %s", text, err, test.want)
			}
		})
	}
}

// A refusal reaches the caller with its remedy, and only once: a hold that is
// sent again could undo a release that came between.
func TestARefusedWordToAJobIsNotSentAgain(t *testing.T) {
	f := newFake()
	for _, verb := range []string{"hold", "release", "cursor", "backfills/b1/cancel"} {
		f.answer["POST /v1/jobs/churn/"+verb] = func(w http.ResponseWriter, _ *http.Request) {
			problem(w, 503, `{"code":"unavailable","detail":"the clock jumped","hint":"set the clock"}`)
		}
	}
	c := serve(t, f, client.Options{})
	for name, ask := range map[string]func() error{
		"hold":    func() error { _, err := c.Hold(t.Context(), "churn", "r"); return err },
		"release": func() error { _, err := c.Release(t.Context(), "churn"); return err },
		"cursor":  func() error { _, err := c.SetCursor(t.Context(), "churn", "now"); return err },
		"cancel":  func() error { _, err := c.CancelBackfill(t.Context(), "churn", "b1"); return err },
	} {
		if err := ask(); api.CodeOf(err) != api.CodeUnavailable || !strings.Contains(err.Error(), "set the clock") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if f.seen.Load() != 4 {
		t.Errorf("%d requests for 4 words", f.seen.Load())
	}
}

func TestAHoldIsSeenInTheNextSnapshot(t *testing.T) {
	f := newFake()
	held := api.StoredJob{Spec: api.Job{Name: "churn"}}
	f.answer["GET /v1/jobs"] = func(w http.ResponseWriter, _ *http.Request) {
		reply(w, 200, map[string]any{"jobs": []api.StoredJob{held}})
	}
	f.answer["POST /v1/jobs/churn/hold"] = func(w http.ResponseWriter, _ *http.Request) {
		held.Held = &api.Hold{By: "cli:alice"}
		reply(w, 200, api.JobStatus{})
	}
	c := serve(t, f, client.Options{})
	if job, err := c.Snapshot(t.Context(), "churn"); err != nil || job.Held != nil {
		t.Fatalf("before: %+v, %v", job, err)
	}
	if _, err := c.Hold(t.Context(), "churn", "r"); err != nil {
		t.Fatal(err)
	}
	if job, err := c.Snapshot(t.Context(), "churn"); err != nil || job.Held == nil {
		t.Errorf("after: %+v, %v", job, err)
	}
}
