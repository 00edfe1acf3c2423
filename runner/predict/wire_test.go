package predict

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

const oneScore = `{"outputs":[{"name":"s","datatype":"FP64","shape":[1],"data":[1.5]}]}`

// served is a client of a server over a real connection, and the number of
// connections that were made.
func served(t *testing.T, timeout time.Duration, handle http.HandlerFunc) (*Client, *atomic.Int64) {
	t.Helper()
	connections := &atomic.Int64{}
	server := httptest.NewUnstartedServer(handle)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	client, err := New(Config{Protocol: api.ProtocolOIPv2, BaseURL: server.URL, Model: api.Model{Name: "m"},
		Features: api.Features{Columns: []string{"a"}}, Parallelism: 1, Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	if client.direct == nil {
		t.Fatal("the server is not reached directly")
	}
	t.Cleanup(client.Close)
	return client, connections
}

func predictScore(ctx context.Context, client *Client, cell string) (string, error) {
	request := client.NewRequest()
	defer request.Release()
	if err := request.Add([]format.Value{{Bytes: []byte(cell), JSON: true}}); err != nil {
		return "", err
	}
	response, err := client.Predict(ctx, request, Send{Key: "run/1", Purpose: WarmUp})
	if err != nil {
		return "", err
	}
	defer response.Release()
	return string(response.Values(0, nil)[0].Bytes), nil
}

func TestAnswersInEveryFramingComeOverAKeptConnection(t *testing.T) {
	answers := map[string]http.HandlerFunc{
		"with a length": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, oneScore) },
		"in chunks": func(w http.ResponseWriter, _ *http.Request) {
			for _, piece := range []string{oneScore[:10], oneScore[10:]} {
				_, _ = io.WriteString(w, piece)
				_ = http.NewResponseController(w).Flush()
			}
		},
		"after a word before": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			_, _ = io.WriteString(w, oneScore)
		},
		"longer than a buffer": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, oneScore+strings.Repeat(" ", 3*readAhead))
		},
	}
	for name, answer := range answers {
		client, connections := served(t, time.Minute, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			if want := `{"id":"run/1","inputs":[{"name":"input-0","shape":[1,1],"datatype":"FP64","data":[2]}]}`; string(body) != want ||
				r.URL.Path != "/v2/models/m/infer" || r.Header.Get("Idempotency-Key") != "run/1" || r.Header.Get("Batch-Purpose") != WarmUp || r.Host == "" {
				t.Errorf("%s: the request is %s %s %v %s", name, r.Method, r.URL, r.Header, body)
			}
			answer(w, r)
		})
		for range 3 {
			if score, err := predictScore(t.Context(), client, "2"); err != nil || score != "1.5" {
				t.Errorf("%s: %s, %v", name, score, err)
			}
		}
		if got := connections.Load(); got != 1 {
			t.Errorf("%s: %d connections were made", name, got)
		}
	}
}

// Each request has its own answer, though connections and what reads them are
// handed on as soon as an answer is read; the race detector sees more of it.
func TestConnectionsAreHandedOnBetweenRequestsAtOnce(t *testing.T) {
	client, _ := served(t, time.Minute, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, oneScore)
	})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				if _, err := predictScore(t.Context(), client, "1"); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

func TestAConnectionThatTheServerClosesIsNotUsedAgain(t *testing.T) {
	client, connections := served(t, time.Minute, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		_, _ = io.WriteString(w, oneScore)
	})
	for range 2 {
		if _, err := predictScore(t.Context(), client, "2"); err != nil {
			t.Error(err)
		}
	}
	if got := connections.Load(); got != 2 {
		t.Errorf("%d connections were made", got)
	}
}

func TestAConnectionThatWasClosedWhileIdleIsNotUsed(t *testing.T) {
	var sends atomic.Int64
	client, _ := served(t, time.Minute, func(w http.ResponseWriter, _ *http.Request) {
		sends.Add(1)
		_, _ = io.WriteString(w, oneScore)
	})
	if _, err := predictScore(t.Context(), client, "2"); err != nil {
		t.Fatal(err)
	}
	idle := client.direct.idle[0]
	idle.since = time.Now().Add(-time.Second)
	if !idle.stands() {
		t.Error("a connection that stands is said to be closed")
	}
	tcp := idle.Conn.(*net.TCPConn)
	if err := errors.Join(tcp.CloseWrite(), tcp.SetReadDeadline(time.Now().Add(10*time.Second))); err != nil {
		t.Fatal(err) // the server hears the end, and closes, too
	}
	if n, err := tcp.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Fatalf("the server does not close: %d, %v", n, err)
	}
	if _, err := predictScore(t.Context(), client, "2"); err != nil || sends.Load() != 2 {
		t.Errorf("%v after %d sends", err, sends.Load())
	}
}

func TestWhatGoesWrongOnTheWire(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	for name, c := range map[string]struct {
		answer  http.HandlerFunc
		timeout bool
		want    string
	}{
		"no answer in time": {func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-hang
		}, true, "no answer within 50ms"},
		"half an answer in time": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(oneScore)))
			_, _ = io.WriteString(w, oneScore[:9])
			_ = http.NewResponseController(w).Flush()
			<-hang
		}, true, "the answer did not end within 50ms"},
		"half an answer": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(oneScore)))
			_, _ = io.WriteString(w, oneScore[:9])
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, false, "the answer was cut short"},
		"no answer": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, false, "the connection was closed before an answer"},
	} {
		timeout := time.Minute
		if c.timeout {
			timeout = 50 * time.Millisecond
		}
		client, _ := served(t, timeout, c.answer)
		_, err := predictScore(t.Context(), client, "2")
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Class != api.ClassTransient || e.Timeout != c.timeout || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v (%+v)", name, err, e)
		}
	}
}

func TestTheContextEndsWhatIsOnTheWire(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("the run was cancelled")
	client, _ := served(t, time.Minute, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		cancel(why)
		<-r.Context().Done()
	})
	if _, err := predictScore(ctx, client, "2"); !errors.Is(err, why) {
		t.Errorf("the error is %v", err)
	}
}

func TestARefusalBeforeTheRequestIsReadIsHeard(t *testing.T) {
	client, _ := served(t, 10*time.Second, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	})
	_, err := predictScore(t.Context(), client, strings.Repeat("1", 8<<20))
	if e, ok := errors.AsType[*Error](err); !ok || e.Class != api.ClassTooLarge {
		t.Errorf("the error is %v", err)
	}
}
