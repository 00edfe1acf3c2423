package predict_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/predict"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// inBubble runs a test against a prediction server over in-memory connections:
// time passes at once.
func inBubble(t *testing.T, test func(t *testing.T, server *predicttest.Server, client *predict.Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		server := predicttest.New(predicttest.Options{})
		test(t, server, memoryClient(t, server, predict.Config{Protocol: "oip_v2"}))
	})
}

func memoryClient(t *testing.T, server *predicttest.Server, config predict.Config) *predict.Client {
	config.BaseURL, config.Timeout = predicttest.MemoryURL, 10*time.Second
	config.Transport = server.RoundTripper(t, 8)
	return newClient(t, config)
}

func predictOne(ctx context.Context, client *predict.Client, s predict.Send, cells ...string) (*predict.Response, error) {
	r := client.NewRequest()
	defer r.Release()
	if err := r.Add(texts(cells...)); err != nil {
		return nil, err
	}
	return client.Predict(ctx, r, s)
}

func asError(t *testing.T, err error) *predict.Error {
	t.Helper()
	e, ok := errors.AsType[*predict.Error](err)
	if !ok {
		t.Fatalf("got %v, want a *predict.Error", err)
	}
	return e
}

// TestEachFailureHasItsClass holds the table of failure classes.
func TestEachFailureHasItsClass(t *testing.T) {
	for _, c := range []struct {
		fault predicttest.Fault
		class api.Class
		sends int
		text  string // after "POST /v2/models/m/infer: "
	}{
		{predicttest.Fault{Status: 301, Header: map[string]string{"Location": "http://other/"}}, api.ClassConfig, 1, "301 Moved Permanently: redirects to http://other/; set that address"},
		{predicttest.Fault{Status: 307}, api.ClassConfig, 1, "307 Temporary Redirect"},
		{predicttest.Fault{Status: 400, Body: "wrong shape\nin line 2"}, api.ClassData, 1, "400 Bad Request: wrong shape"},
		{predicttest.Fault{Status: 401}, api.ClassConfig, 1, "401 Unauthorized"},
		{predicttest.Fault{Status: 403}, api.ClassConfig, 1, "403 Forbidden"},
		{predicttest.Fault{Status: 404, Body: "{\n  \"error\": \"no m\"\n}"}, api.ClassConfig, 1, `404 Not Found: { "error": "no m" }`},
		{predicttest.Fault{Status: 405}, api.ClassConfig, 1, "405 Method Not Allowed"},
		{predicttest.Fault{Status: 408}, api.ClassTransient, 4, "408 Request Timeout"},
		{predicttest.Fault{Status: 409}, api.ClassData, 1, "409 Conflict"},
		{predicttest.Fault{Status: 413}, api.ClassTooLarge, 1, "413 Request Entity Too Large"},
		{predicttest.Fault{Status: 415}, api.ClassConfig, 1, "415 Unsupported Media Type"},
		{predicttest.Fault{Status: 422}, api.ClassData, 1, "422 Unprocessable Entity"},
		{predicttest.Fault{Status: 425}, api.ClassTransient, 4, "425 Too Early"},
		{predicttest.Fault{Status: 429}, api.ClassThrottled, 4, "429 Too Many Requests"},
		{predicttest.Fault{Status: 500, Body: "boom"}, api.ClassTransient, 4, "500 Internal Server Error: boom"},
		{predicttest.Fault{Status: 501}, api.ClassConfig, 1, "501 Not Implemented"},
		{predicttest.Fault{Status: 502}, api.ClassTransient, 4, "502 Bad Gateway"},
		{predicttest.Fault{Status: 503}, api.ClassTransient, 4, "503 Service Unavailable"},
		{predicttest.Fault{Status: 503, Header: map[string]string{"Retry-After": "1"}}, api.ClassThrottled, 4, "503 Service Unavailable"},
		{predicttest.Fault{Status: 504}, api.ClassTransient, 4, "504 Gateway Timeout"},
		{predicttest.Fault{Short: 1}, api.ClassData, 1, ""},
		{predicttest.Fault{BadJSON: true}, api.ClassData, 1, ""},
		{predicttest.Fault{Truncate: true}, api.ClassTransient, 4, "the answer was cut short"},
		{predicttest.Fault{Cut: true}, api.ClassTransient, 4, "the answer was cut short"},
		{predicttest.Fault{Reset: true}, api.ClassTransient, 4, "the connection was closed before an answer"},
		{predicttest.Fault{Hang: true}, api.ClassTransient, 3, "no answer within 10s"}, // a fourth try would begin after 30 s
	} {
		t.Run(fmt.Sprintf("%d %s", c.fault.Status, c.text), func(t *testing.T) {
			inBubble(t, func(t *testing.T, server *predicttest.Server, client *predict.Client) {
				server.Inject(c.fault)
				_, err := predictOne(t.Context(), client, predict.Send{Key: "k"}, "1", "2")
				e := asError(t, err)
				if e.Class != c.class || e.Sends != c.sends || len(server.Sends()) != c.sends {
					t.Errorf("class %s after %d sends (%d seen), want %s after %d: %v", e.Class, e.Sends, len(server.Sends()), c.class, c.sends, err)
				}
				address := "/v2/models/m/infer"
				if c.fault.Reset { // nobody may be there
					address = predicttest.MemoryURL + address
				}
				if want := "POST " + address + ": " + c.text; c.text != "" && err.Error() != want {
					t.Errorf("error reads\n%s, want\n%s", err, want)
				}
				if e.Status != c.fault.Status && c.fault.Status != 0 || e.Body != c.fault.Body && c.fault.Body != "" {
					t.Errorf("error holds status %d and body %q, want those of the answer", e.Status, e.Body)
				}
			})
		})
	}
}

func TestASecondTryIsTheSameRequest(t *testing.T) {
	for _, fault := range []predicttest.Fault{
		{Status: 500}, {Status: 429}, {Truncate: true}, {Cut: true}, {Reset: true}, {Hang: true},
	} {
		inBubble(t, func(t *testing.T, server *predicttest.Server, client *predict.Client) {
			fault.Times = 2
			server.Inject(fault)
			response, err := predictOne(t.Context(), client, predict.Send{Key: "run/1/7/0", Attempt: "3"}, "1.5", "2")
			if err != nil {
				t.Fatal(err)
			}
			response.Release()
			sends := server.Sends()
			if len(sends) != 3 || !sends[2].Predicted || sends[1].Predicted {
				t.Fatalf("server saw %+v, want the third of three to succeed", sends)
			}
			for _, s := range sends {
				if s.Key != "run/1/7/0" || s.Attempt != "3" || s.Purpose != "" || s.Records[0] != "1.5" {
					t.Errorf("server saw %+v", s)
				}
			}
		})
	}
}

func TestRetryAfter2MeansTheNextSendAt2Seconds(t *testing.T) {
	for _, status := range []int{429, 503} {
		inBubble(t, func(t *testing.T, server *predicttest.Server, client *predict.Client) {
			server.Inject(predicttest.Fault{Status: status, Header: map[string]string{"Retry-After": "2"}, Times: 1})
			if _, err := predictOne(t.Context(), client, predict.Send{}, "1", "2"); err != nil {
				t.Fatal(err)
			}
			sends := server.Sends()
			if len(sends) != 2 || sends[1].At.Sub(sends[0].At) != 2*time.Second {
				t.Errorf("%d: sent at %v, want two sends 2 s apart", status, sends)
			}
		})
	}
}

func TestALongRetryAfterIsLeftToTheCaller(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"45": 45 * time.Second, "86401": 24 * time.Hour, "99999999999999999999": 24 * time.Hour, "Sat, 01 Jan 2000 00:05:00 GMT": 5 * time.Minute,
	} {
		inBubble(t, func(t *testing.T, server *predicttest.Server, client *predict.Client) {
			server.Inject(predicttest.Fault{Status: 429, Header: map[string]string{"Retry-After": header}})
			_, err := predictOne(t.Context(), client, predict.Send{}, "1", "2")
			if e := asError(t, err); e.RetryAfter != want || e.Class != api.ClassThrottled || e.Sends != 1 {
				t.Errorf("Retry-After %s: got %v, %s after %d sends; want %v after one", header, e.RetryAfter, e.Class, e.Sends, want)
			}
		})
	}
}

// TestFailuresCostNoConnections: with one answer in a hundred a 500, the
// requests in flight still share one connection each.
func TestFailuresCostNoConnections(t *testing.T) {
	const workers, each = 8, 250
	inBubble(t, func(t *testing.T, server *predicttest.Server, client *predict.Client) {
		server.Inject(predicttest.Fault{Status: 500, Every: 100})
		server.Inject(predicttest.Fault{Status: 500, Record: "3.5"}) // one in 250 never succeeds
		var group sync.WaitGroup
		for worker := range workers {
			group.Go(func() {
				for i := range each {
					response, err := predictOne(t.Context(), client, predict.Send{}, fmt.Sprintf("%d.5", i), fmt.Sprint(worker))
					switch {
					case i == 3 && err == nil, i != 3 && err != nil:
						t.Errorf("record %d: %v", i, err)
					case err == nil:
						response.Release()
					}
				}
			})
		}
		group.Wait()
		if dials := server.Dials(); dials > workers {
			t.Errorf("%d connections for %d workers", dials, workers)
		}
	})
}

func TestBothProtocolsAndShapesPredictTheSame(t *testing.T) {
	want, err := predicttest.Predict([]string{"1.5", "2"})
	if err != nil {
		t.Fatal(err)
	}
	for _, protocol := range []string{"oip_v2", "tf_v1"} {
		for _, as := range []string{"matrix", "columns"} {
			synctest.Test(t, func(t *testing.T) {
				server := predicttest.New(predicttest.Options{NoMetadata: true})
				client := memoryClient(t, server, predict.Config{
					Protocol: protocol, Features: api.Features{Columns: []string{"a", "b"}, As: as},
					Outputs: map[string]string{"p": "proba[0]", "score": "score", "what": "label"},
				})
				if _, err := client.Ready(t.Context()); err != nil {
					t.Fatal(err)
				}
				if err := client.Describe(t.Context()); err != nil {
					t.Fatal(err)
				}
				response, err := predictOne(t.Context(), client, predict.Send{Purpose: "warm-up"}, "1.5", "2")
				if err != nil {
					t.Fatal(err)
				}
				defer response.Release()
				var got []string
				for _, v := range response.Values(0, nil) {
					got = append(got, string(v.Bytes))
				}
				if want := fmt.Sprintf("%v %v %q", want.Proba[0], want.Score, want.Label); strings.Join(got, " ") != want {
					t.Errorf("%s %s: got %s, want %s", protocol, as, got, want)
				}
				if server.Seen("")["1.5"] != 0 || server.Seen("warm-up")["1.5"] != 1 {
					t.Errorf("%s %s: seen as main %v, as warm-up %v", protocol, as, server.Seen(""), server.Seen("warm-up"))
				}
			})
		}
	}
}

func TestTheContextEndsARequest(t *testing.T) {
	inBubble(t, func(t *testing.T, server *predicttest.Server, client *predict.Client) {
		server.Inject(predicttest.Fault{Hang: true})
		why := errors.New("the run was cancelled")
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() {
			_ = server.WaitSent(t.Context(), 1)
			cancel(why)
		}()
		if _, err := predictOne(ctx, client, predict.Send{}, "1", "2"); !errors.Is(err, why) {
			t.Errorf("got %v, want the context's cause", err)
		}
	})
}

func TestNobodyListening(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := "http://user:secret@" + listener.Addr().String()
	_ = listener.Close()
	client := newClient(t, predict.Config{Protocol: "tf_v1", BaseURL: address})
	_, err = predictOne(t.Context(), client, predict.Send{}, "1", "2")
	want := "POST " + strings.Replace(address, "secret", "xxxxx", 1) + "/v1/models/m:predict: connection refused"
	if e := asError(t, err); e.Class != api.ClassTransient || e.Sends != 4 || err.Error() != want {
		t.Errorf("got %s after %d sends: %v, want %s", e.Class, e.Sends, err, want)
	}
}

// TestOverLoopback: the client's own transport, real sockets, a reset.
func TestOverLoopback(t *testing.T) {
	server := predicttest.New(predicttest.Options{})
	client := newClient(t, predict.Config{Protocol: "oip_v2", BaseURL: server.Listen(t) + "/", Parallelism: 2})
	server.Inject(predicttest.Fault{Reset: true, Times: 1})
	response, err := predictOne(t.Context(), client, predict.Send{}, "1", "2")
	if err != nil {
		t.Fatal(err)
	}
	response.Release()
	if got := server.Predicted()["1"]; got != 1 || len(server.Sends()) != 2 {
		t.Errorf("predicted %d times in %d sends, want once in 2", got, len(server.Sends()))
	}
}

// TestAnAnswerOfUnknownLengthThatEndsEarly counts as cut short: nothing but
// the end of the connection ended it.
func TestAnAnswerOfUnknownLengthThatEndsEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for body, want := range map[string]api.Class{
			`{"predictions":[[1`: api.ClassTransient,
			`<html>`:             api.ClassData,
		} {
			client := newClient(t, predict.Config{Protocol: "tf_v1", Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				_ = r.Body.Close()
				return &http.Response{StatusCode: 200, ProtoMajor: 1, ContentLength: -1, Body: io.NopCloser(strings.NewReader(body))}, nil
			})})
			if e := asError(t, second(predictOne(t.Context(), client, predict.Send{}, "1", "2"))); e.Class != want {
				t.Errorf("%s: class %s, want %s", body, e.Class, want)
			}
		}
	})
}

// TestAnEarlyAnswerLeavesTheRequestAlone: a server that refuses a request
// before it has read it all must not see what the buffer holds next.
func TestAnEarlyAnswerLeavesTheRequestAlone(t *testing.T) {
	var bodies []*http.Request
	early := roundTripper(func(r *http.Request) (*http.Response, error) {
		bodies = append(bodies, r)
		return &http.Response{StatusCode: 413, Header: http.Header{}, Body: http.NoBody}, nil
	})
	client := newClient(t, predict.Config{Protocol: "tf_v1", Transport: early})
	for _, cell := range []string{"1", "2"} {
		if e := asError(t, second(predictOne(t.Context(), client, predict.Send{}, cell, cell))); e.Class != api.ClassTooLarge {
			t.Fatal(e)
		}
	}
	content := make([]byte, 100)
	n, _ := bodies[0].Body.Read(content)
	if got := string(content[:n]); got != `{"instances":[[1,1]]}` {
		t.Errorf("the first request's body has become %s", got)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func second[T any](_ T, err error) error { return err }
