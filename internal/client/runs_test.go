package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
)

func TestWhatIsAskedOfRuns(t *testing.T) {
	night := time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)
	some := client.Paging{Limit: 7, After: "x y"}
	tests := map[string]struct {
		ask    func(context.Context, *client.Client) (any, error)
		want   string // method, path and query
		body   string
		answer string
		got    string // what the client makes of the answer
	}{
		"runs": {
			func(ctx context.Context, c *client.Client) (any, error) {
				return c.Runs(ctx, client.RunFilter{Job: "churn", States: []api.RunState{api.RunFailed, api.RunIncomplete},
					Origins: []api.Origin{api.OriginManual}, Since: night, Until: night.Add(time.Hour)}, some)
			},
			"GET /v1/runs?after=x+y&job=churn&limit=7&origin=manual&since=2026-11-21T02%3A00%3A00Z&state=failed%2Cincomplete&until=2026-11-21T03%3A00%3A00Z",
			"", `{"runs":[{"id":"r1"}],"next":"n"}`, `"Next":"n"`,
		},
		"all runs": {
			func(ctx context.Context, c *client.Client) (any, error) {
				return c.Runs(ctx, client.RunFilter{}, client.Paging{})
			},
			"GET /v1/runs", "", `{"runs":[]}`, `{"Items":[],"Next":""}`,
		},
		"mini-batches": {
			func(ctx context.Context, c *client.Client) (any, error) { return c.MiniBatches(ctx, "r1", some) },
			"GET /v1/runs/r1/mini-batches?after=x+y&limit=7", "", `{"mini_batches":[{"number":3}],"next":"3"}`, `"number":3`,
		},
		"dead letters": {
			func(ctx context.Context, c *client.Client) (any, error) { return c.DeadLetters(ctx, "r1", some) },
			"GET /v1/runs/r1/dead-letters?after=x+y&limit=7", "", `{"dead_letters":[{"class":"data"}],"next":"1.2"}`, `"Next":"1.2"`,
		},
		"events": {
			func(ctx context.Context, c *client.Client) (any, error) { return c.Events(ctx, "r1", some) },
			"GET /v1/runs/r1/events?after=x+y&limit=7", "", `{"events":[{"kind":"state"}]}`, `"kind":"state"`,
		},
		"run attempts": {
			func(ctx context.Context, c *client.Client) (any, error) { return c.RunAttempts(ctx, "r1") },
			"GET /v1/runs/r1/attempts", "", `{"attempts":[{"number":1}]}`, `"number":1`,
		},
		"attempts at a mini-batch": {
			func(ctx context.Context, c *client.Client) (any, error) { return c.MiniBatchAttempts(ctx, "r1", 3) },
			"GET /v1/runs/r1/mini-batches/3/attempts", "", `{"attempts":[{"fence":2}]}`, `"fence":2`,
		},
		"ledger": {
			func(ctx context.Context, c *client.Client) (any, error) { return c.Ledger(ctx, "churn", some) },
			"GET /v1/jobs/churn/ledger?after=x+y&limit=7", "", `{"owed":[{"carries":2}],"next":"9"}`, `"carries":2`,
		},
		"history": {
			func(ctx context.Context, c *client.Client) (any, error) {
				return c.History(ctx, "churn", client.Paging{})
			},
			"GET /v1/jobs/churn/history", "", `{"generations":[{"generation":4}]}`, `"generation":4`,
		},
		"cost": {
			func(ctx context.Context, c *client.Client) (any, error) { return c.Costs(ctx, "2026-11", "churn") },
			"GET /v1/cost?job=churn&month=2026-11", "", `{"costs":[{"cost":"1.20 EUR"}]}`, `"cost":"1.20 EUR"`,
		},
		"retry": {
			func(ctx context.Context, c *client.Client) (any, error) {
				return c.Retry(ctx, "r1", api.RetryRun{DeadLetters: true})
			},
			"POST /v1/runs/r1/retry", `{"dead_letters":true}`, `{"id":"r1","state":"queued"}`, `"state":"queued"`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFake()
			path, _, _ := strings.Cut(test.want, "?")
			f.answer[path] = func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if asked := r.Method + " " + r.URL.RequestURI(); asked != test.want || string(body) != test.body {
					t.Errorf("asked %s with %q", asked, body)
				}
				_, _ = io.WriteString(w, test.answer)
			}
			got, err := test.ask(t.Context(), serve(t, f, client.Options{}))
			text, _ := json.Marshal(got)
			if err != nil || !strings.Contains(string(text), test.got) {
				t.Errorf("got %s, %v; want %s", text, err, test.got)
			}
		})
	}
}

// A whole list is asked for page by page, and no further than it is read.
func TestAListIsWalkedPageByPage(t *testing.T) {
	f := newFake()
	var asked []string
	f.answer["GET /v1/runs/r1/dead-letters"] = func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Query().Get("after"))
		_, _ = fmt.Fprintf(w, `{"dead_letters":[{"mini_batch":%d},{"mini_batch":%d}],"next":"%d"}`, 2*len(asked)-1, 2*len(asked), len(asked))
		if len(asked) == 4 {
			t.Error("a page was asked for that nobody reads")
		}
	}
	var read []int64
	for letter, err := range serve(t, f, client.Options{}).AllDeadLetters(t.Context(), "r1") {
		if err != nil {
			t.Fatal(err)
		}
		if read = append(read, letter.MiniBatch); len(read) == 5 {
			break
		}
	}
	if !slices.Equal(read, []int64{1, 2, 3, 4, 5}) || !slices.Equal(asked, []string{"", "1", "2"}) {
		t.Errorf("read %v by asking behind %q", read, asked)
	}
}

func TestABackupIsCopiedWhole(t *testing.T) {
	f := newFake()
	whole := strings.Repeat("row ", 1<<20) // more than other answers may have
	f.answer["GET /v1/backup"] = func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, whole) }
	var copied strings.Builder
	if err := serve(t, f, client.Options{}).Backup(t.Context(), &copied); err != nil || copied.String() != whole {
		t.Errorf("%d of %d bytes, %v", copied.Len(), len(whole), err)
	}
	f.answer["GET /v1/backup"] = func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, whole)
		panic(http.ErrAbortHandler)
	}
	if err := serve(t, f, client.Options{}).Backup(t.Context(), io.Discard); err == nil {
		t.Error("a cut copy passes for a whole one")
	}
}

// told is an event stream that a fake runner gives.
func told(w http.ResponseWriter, messages ...string) {
	w.Header().Set("Content-Type", "text/event-stream")
	for _, m := range messages {
		_, _ = io.WriteString(w, m+"\n\n")
	}
	_ = http.NewResponseController(w).Flush()
}

const (
	firstEvent  = "id: 0\nevent: event\ndata: {\"kind\":\"state\",\"to\":\"queued\"}"
	secondEvent = "id: 7\nevent: event\ndata: {\"id\":7,\"kind\":\"planned\"}"
	running     = ": still here\n\nevent: progress\ndata: {\"state\":\"running\"}"
	unknown     = "event: rumour\ndata: of a newer runner"
	end         = "event: end\ndata: {\"state\":\"succeeded\",\"counts\":{\"committed\":5}}"
)

func TestARunIsFollowedThroughARestartOfItsRunner(t *testing.T) {
	f := newFake()
	var seen []string
	streams := []func(http.ResponseWriter){
		func(w http.ResponseWriter) { told(w, firstEvent, running); panic(http.ErrAbortHandler) },
		func(w http.ResponseWriter) { problem(w, 503, `{"code":"unavailable","detail":"starting"}`) },
		func(w http.ResponseWriter) {
			told(w, secondEvent, unknown)
			_, _ = io.WriteString(w, "event: event\ndata: {\"kin")
		},
		func(w http.ResponseWriter) { told(w, running, end) },
	}
	f.answer["GET /v1/runs/r1/events"] = func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Header.Get("Accept")+" behind "+r.Header.Get("Last-Event-ID"))
		streams[len(seen)-1](w)
	}
	var heard []string
	run, err := serve(t, f, client.Options{}).Follow(t.Context(), "r1", 0, func(u client.Update) error {
		if u.Event != nil {
			heard = append(heard, u.Event.Kind)
		} else {
			heard = append(heard, string(u.Run.State))
		}
		return nil
	})
	if err != nil || run.State != api.RunSucceeded || run.Counts.Committed != 5 {
		t.Errorf("the run ended as %+v, %v", run, err)
	}
	if want := "state running planned running succeeded"; strings.Join(heard, " ") != want {
		t.Errorf("heard %q, want %q", heard, want)
	}
	stream := "text/event-stream behind "
	if want := []string{stream, stream + "0", stream + "0", stream + "7"}; !slices.Equal(seen, want) {
		t.Errorf("asked %q, want %q", seen, want)
	}
}

// Terraform follows many runs with one client, and asks other things meanwhile.
func TestRunsThatAreFollowedKeepNobodyElseWaiting(t *testing.T) {
	f := newFake()
	over := make(chan struct{})
	f.answer["GET /v1/runs/r1/events"] = func(w http.ResponseWriter, _ *http.Request) {
		told(w, running)
		<-over
		told(w, end)
	}
	f.answer["GET /v1/runs/r1"] = func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, api.Run{ID: "r1"}) }
	c := serve(t, f, client.Options{})
	const many = 30
	begun, ended := make(chan struct{}, 2*many), make(chan error, many)
	for range many {
		go func() {
			_, err := c.Follow(t.Context(), "r1", 0, func(client.Update) error { begun <- struct{}{}; return nil })
			ended <- err
		}()
	}
	for range many {
		<-begun
	}
	if _, err := c.Run(t.Context(), "r1"); err != nil {
		t.Errorf("another request: %v", err)
	}
	close(over)
	for range many {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func TestFollowingARunEndsWith(t *testing.T) {
	f := newFake()
	c := serve(t, f, client.Options{})
	follow := func(ctx context.Context, tell func(client.Update) error) error {
		_, err := c.Follow(ctx, "r1", 3, tell)
		return err
	}
	quiet := func(client.Update) error { return nil }

	f.answer["GET /v1/runs/r1/events"] = func(w http.ResponseWriter, _ *http.Request) {
		problem(w, 404, `{"code":"not_found","detail":"there is no run r1"}`)
	}
	if err := follow(t.Context(), quiet); api.CodeOf(err) != api.CodeNotFound {
		t.Errorf("a run that is not there: %v", err)
	}
	f.answer["GET /v1/runs/r1/events"] = func(w http.ResponseWriter, _ *http.Request) { told(w, "event: progress\ndata: {") }
	if err := follow(t.Context(), quiet); err == nil || !strings.Contains(err.Error(), "decode") {
		t.Errorf("figures that are no JSON: %v", err)
	}
	f.answer["GET /v1/runs/r1/events"] = func(w http.ResponseWriter, r *http.Request) { told(w, running); <-r.Context().Done() }
	if err := follow(t.Context(), func(client.Update) error { return io.ErrClosedPipe }); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("a listener that has enough: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	if err := follow(ctx, func(client.Update) error { cancel(io.ErrNoProgress); return nil }); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("a context that ends: %v", err)
	}
}
