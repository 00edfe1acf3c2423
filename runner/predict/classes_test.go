package predict_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/predict"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
)

// What the job says of a status goes before what it means elsewhere.
func TestAJobMayClassStatusesOtherwise(t *testing.T) {
	for _, c := range []struct {
		status int
		class  api.Class
		sends  int
	}{
		{503, api.ClassData, 1}, {429, api.ClassData, 1}, {401, api.ClassData, 1},
		{422, api.ClassTransient, 4}, {413, api.ClassTransient, 4}, {500, api.ClassTransient, 4},
		{400, api.ClassData, 1}, {502, api.ClassTransient, 4}, // not named
	} {
		synctest.Test(t, func(t *testing.T) {
			server := predicttest.New(predicttest.Options{})
			server.Inject(predicttest.Fault{Status: c.status, Header: map[string]string{"Retry-After": "7"}})
			client := memoryClient(t, server, predict.Config{
				Protocol: "oip_v2", PermanentStatuses: []int64{401, 429, 503}, TransientStatuses: []int64{413, 422, 500},
			})
			_, err := predictOne(t.Context(), client, predict.Send{}, "1", "2")
			e := asError(t, err)
			if e.Class != c.class || e.Sends != c.sends || e.RetryAfter != 0 || e.Repeated {
				t.Errorf("%d is %s after %d sends, wait %s, repeated %v", c.status, e.Class, e.Sends, e.RetryAfter, e.Repeated)
			}
		})
	}
}

// A 500 says something about the records only if every try brought it, whole.
func TestARepeated500IsTold(t *testing.T) {
	for _, c := range []struct {
		name   string
		faults []predicttest.Fault
		want   bool
	}{
		{"each time", []predicttest.Fault{{Status: 500}}, true},
		{"another 5xx between", []predicttest.Fault{{Status: 500}, {Status: 502, Skip: 1, Times: 1}}, false},
		{"a broken connection between", []predicttest.Fault{{Status: 500}, {Reset: true, Skip: 2, Times: 1}}, false},
		{"502 each time", []predicttest.Fault{{Status: 502}}, false},
		{"no time for a second try", []predicttest.Fault{{Status: 500, Delay: 31 * time.Second}}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := predicttest.New(predicttest.Options{})
				for _, f := range c.faults {
					server.Inject(f)
				}
				client := newClient(t, predict.Config{
					Protocol: "oip_v2", BaseURL: predicttest.MemoryURL, Timeout: time.Minute, Transport: server.RoundTripper(t, 1),
				})
				_, err := predictOne(t.Context(), client, predict.Send{}, "1", "2")
				if e := asError(t, err); e.Repeated != c.want {
					t.Errorf("repeated is %v after %d sends: %v", e.Repeated, e.Sends, e)
				}
			})
		})
	}
}

func TestEveryTryIsObserved(t *testing.T) {
	inBubble(t, func(t *testing.T, server *predicttest.Server, client *predict.Client) {
		server.Inject(predicttest.Fault{Status: 503, Times: 1, Header: map[string]string{"Retry-After": "3"}})
		server.Inject(predicttest.Fault{Hang: true, Times: 1})
		begun := time.Now()
		var seen []string
		_, err := predictOne(t.Context(), client, predict.Send{Observe: func(try predict.Try) {
			seen = append(seen, fmt.Sprintf("%d timeout=%v", try.Status, try.Timeout))
			if len(seen) == 3 && try.Began.Sub(begun) < 13*time.Second {
				t.Errorf("the last try began after %s", try.Began.Sub(begun))
			}
		}}, "1", "2")
		if want := "0 timeout=true, 503 timeout=false, 200 timeout=false"; err != nil || strings.Join(seen, ", ") != want {
			t.Errorf("observed %q, want %s: %v", seen, want, err)
		}
	})
}

func TestATimeoutIsTold(t *testing.T) {
	inBubble(t, func(t *testing.T, server *predicttest.Server, client *predict.Client) {
		server.Inject(predicttest.Fault{Hang: true})
		_, err := predictOne(t.Context(), client, predict.Send{}, "1", "2")
		if e := asError(t, err); !e.Timeout || e.Class != api.ClassTransient {
			t.Errorf("timeout is %v: %v", e.Timeout, e)
		}
	})
}

// A request is cut at the record that would exceed a megabyte; a record of
// more than that goes alone.
func TestARequestIsFullAtAMegabyte(t *testing.T) {
	server := predicttest.New(predicttest.Options{Inputs: []predicttest.Input{{Name: "input", Datatype: "BYTES"}}})
	client := newClient(t, predict.Config{
		Protocol: "oip_v2", BaseURL: predicttest.MemoryURL, Transport: http.RoundTripper(server.RoundTripper(t, 1)),
	})
	must(t, client.Describe(t.Context()))
	quarter := strings.Repeat("x", 250_000)
	r := client.NewRequest()
	defer r.Release()
	for range 2 { // two cells each: half a megabyte
		must(t, r.Add(texts(quarter, quarter)))
	}
	if err := r.Add(texts(quarter, quarter)); !errors.Is(err, predict.ErrFull) || r.Len() != 2 {
		t.Fatalf("the third of half a megabyte: %v, %d records", err, r.Len())
	}
	must(t, r.Add(texts("small", "enough")))
	r.Reset()
	huge := strings.Repeat("x", 2<<20)
	if err := r.Add(texts(huge, huge)); err != nil {
		t.Errorf("a record of four megabytes alone: %v", err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
