package server

import (
	"bufio"
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// dial connects to the bench's socket.
func (b *bench) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, "unix", strings.TrimPrefix(b.server.Endpoint(), "unix://"))
}

// listening lets the bench answer on its socket, and makes a client for it.
func (b *bench) listening() *client.Client {
	b.t.Helper()
	b.server.Start()
	c, err := client.New(client.Options{Endpoint: b.server.Endpoint()})
	must(b.t, err)
	b.t.Cleanup(c.Close)
	return c
}

// hold has the model wait with a record's prediction until it is released.
func (b *bench) hold(record string) (release func()) {
	gate := make(chan struct{})
	release = sync.OnceFunc(func() { close(gate) })
	b.t.Cleanup(release)
	b.model.Inject(predicttest.Fault{Record: record, Do: func() { <-gate }})
	return release
}

func TestAStreamTellsAllOfARunAndItsEnd(t *testing.T) {
	b := newBench(t)
	release := b.hold("41")
	c := b.listening()
	b.declare(b.job("iris", 1, 150))
	id := b.trigger("iris")

	var told []api.Event
	run, err := c.Follow(t.Context(), id, 0, func(u client.Update) error {
		if u.Event != nil {
			told = append(told, *u.Event)
		} else if u.Run.State == api.RunRunning {
			release() // who hears of a run only when it is over waits forever
		}
		return nil
	})
	must(t, err)
	if run.State != api.RunSucceeded || run.Counts.Committed != 150 {
		t.Errorf("the run ended as %+v", run)
	}
	var all eventList
	b.get("/v1/runs/"+id+"/events", &all)
	if encoded(t, told) != encoded(t, all.Events) {
		t.Errorf("told\n%+v\nof\n%+v", told, all.Events)
	}
}

func TestAStreamGoesOnBehindWhatWasHeard(t *testing.T) {
	b := newBench(t)
	c := b.listening()
	b.declare(b.job("iris", 1, 20))
	run := b.until(b.trigger("iris"), ended)
	all, err := c.Events(t.Context(), run.ID, client.Paging{})
	must(t, err)
	var told []api.Event
	_, err = c.Follow(t.Context(), run.ID, all.Items[2].ID, func(u client.Update) error {
		if u.Event != nil {
			told = append(told, *u.Event)
		}
		return nil
	})
	must(t, err)
	if encoded(t, told) != encoded(t, all.Items[3:]) {
		t.Errorf("told\n%+v\nwant\n%+v", told, all.Items[3:])
	}
}

// A stream is open for hours, whatever the times of ordinary requests are, and
// says now and then that it is there.
func TestAStreamOutlivesTheTimesOfRequests(t *testing.T) {
	b := newBench(t)
	release := b.hold("1")
	const short = 20 * time.Millisecond
	b.server.http.ReadTimeout, b.server.http.WriteTimeout, b.server.heartbeat = short, short, short
	b.server.Start()
	b.declare(b.job("iris", 1, 20))
	id := b.trigger("iris")

	connection := &http.Transport{DialContext: b.dial}
	defer connection.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), "GET", "http://runner/v1/runs/"+id+"/events", nil)
	must(t, err)
	request.Header.Set("Accept", "text/event-stream")
	answer, err := connection.RoundTrip(request)
	must(t, err)
	defer func() { _ = answer.Body.Close() }()
	beats, last := 0, ""
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), ":") {
			if beats++; beats == 10 {
				release()
			}
		}
		if event, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			last = event
		}
	}
	if beats < 10 || last != "end" {
		t.Errorf("%d signs of life, the last message is %q", beats, last)
	}
}

func TestAServerThatStopsEndsItsStreams(t *testing.T) {
	b := newBench(t)
	b.model.Inject(predicttest.Fault{Record: "1", Hang: true})
	c := b.listening()
	b.declare(b.job("iris", 1, 20))
	id := b.trigger("iris")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	open := make(chan struct{}, 100)
	gone := make(chan error, 1)
	go func() {
		_, err := c.Follow(ctx, id, 0, func(client.Update) error { open <- struct{}{}; return nil })
		gone <- err
	}()
	<-open
	stopping, done := context.WithTimeout(t.Context(), closeTimeout/2) // it must not take as long as it may
	defer done()
	stopped := make(chan error, 1)
	go func() { stopped <- b.server.Stop(t.Context()) }()
	select {
	case err := <-stopped:
		must(t, err)
	case <-stopping.Done():
		t.Fatal("the stream keeps the server from stopping")
	}
	cancel() // else it would wait for the runner to come back
	if err := <-gone; err == nil {
		t.Error("a cut stream passes for a run's end")
	}
}

// What a thousand commits a second would tell is told once a second, the
// change of a state at once; and who leaves is not written to any more.
func TestFiguresAreToldOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := store.Open(t.Context(), t.TempDir(), time.Now)
		must(t, err)
		defer func() { must(t, s.Close()) }()
		server := &Server{Options: Options{Store: s, Log: slog.New(slog.DiscardHandler)}, heartbeat: heartbeat}
		server.base = t.Context()
		run := newRun(t, s)

		ctx, leave := context.WithCancel(t.Context())
		request := httptest.NewRequestWithContext(ctx, "GET", "/", nil)
		request.Header.Set("Accept", "text/event-stream")
		request.SetPathValue("id", run.ID)
		w, over := &transcript{header: http.Header{}}, make(chan error, 1)
		go func() { over <- server.getEvents(w, request) }()
		synctest.Wait()
		count := func(what string) int { return strings.Count(w.String(), what) }
		if count("event: progress\n") != 1 || count("event: event\n") != 1 {
			t.Fatalf("at first:\n%s", w)
		}
		for range 100 { // three seconds
			must(t, s.Write(ctx, func(tx *store.Tx) error {
				return tx.Event(store.Event{UID: run.JobUID, Run: run.ID, Event: api.Event{Kind: "warning", Detail: "again"}})
			}))
			run.Launches++
			must(t, s.Write(ctx, func(tx *store.Tx) error {
				return tx.InsertLaunch(store.Launch{ID: run.ID + strconv.FormatInt(run.Launches, 10), Run: run.ID, UID: run.JobUID})
			}))
			time.Sleep(30 * time.Millisecond)
		}
		synctest.Wait()
		if n := count("event: progress\n"); n < 3 || n > 4 {
			t.Errorf("the figures were told %d times in three seconds", n)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if count("event: event\n") != 101 || count(`"launches":100,`) != 1 {
			t.Errorf("%d events were told, and the last figures %d times", count("event: event\n"), count(`"launches":100,`))
		}
		told := count("event: progress\n")
		must(t, s.Write(ctx, func(tx *store.Tx) (err error) {
			run, err = tx.MoveRun(run, store.RunChange{To: api.RunPlanning, Actor: "test"})
			return err
		}))
		time.Sleep(breath)
		synctest.Wait()
		if count("event: progress\n") != told+1 || count(`"state":"planning"`) != 1 {
			t.Errorf("the new state is not told at once")
		}
		leave()
		must(t, <-over)
	})
}

// transcript is an answer that can be read while it is written.
type transcript struct {
	header http.Header
	mu     sync.Mutex
	text   strings.Builder
}

func (t *transcript) Header() http.Header { return t.header }
func (t *transcript) WriteHeader(int)     {}
func (t *transcript) Flush()              {}

func (t *transcript) Write(text []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.Write(text)
}

func (t *transcript) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.String()
}

// newRun queues a run that nobody carries out.
func newRun(t *testing.T, s *store.Store) (run store.Run) {
	t.Helper()
	must(t, s.Write(t.Context(), func(tx *store.Tx) error {
		job, err := tx.InsertJob(store.Job{StoredJob: api.StoredJob{Spec: api.Job{Name: "iris"}}, Cursor: tx.Now})
		if err != nil {
			return err
		}
		run, err = tx.InsertRun(store.Run{Run: api.Run{Job: "iris", JobUID: job.UID, Generation: 1, Origin: api.OriginManual, Occurrence: tx.Now}}, "", "test")
		return err
	}))
	return run
}
