package retryhttp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/batchpattern/terraform-provider-batch/internal/retryhttp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errRefused = errors.New("refused")

// transport answers from a function, and records when it was asked what.
type transport struct {
	answer func(try int, r *http.Request) (*http.Response, error)
	at     []time.Duration
	bodies []string
	start  time.Time
	idle   int
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	t.at = append(t.at, time.Since(t.start))
	if r.Body != nil {
		content, _ := io.ReadAll(r.Body)
		_ = r.Body.Close()
		t.bodies = append(t.bodies, string(content))
	}
	return t.answer(len(t.at), r)
}

func (t *transport) CloseIdleConnections() { t.idle++ }

func answer(status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status, ProtoMajor: 1, Header: http.Header{},
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
}

// retryAll sends anything but 200 again.
func retryAll(a *retryhttp.Answer) retryhttp.Verdict {
	if a.Err != nil {
		return retryhttp.Verdict{Err: a.Err, Retry: true}
	}
	if a.Status != http.StatusOK {
		after, _ := retryhttp.RetryAfter(a.Header, time.Now())
		return retryhttp.Verdict{Err: fmt.Errorf("status %d: %s", a.Status, a.Body), Retry: true, After: after}
	}
	return retryhttp.Verdict{}
}

func send(t *testing.T, tr *transport, o retryhttp.Options, check retryhttp.Check) (retryhttp.Result, error) {
	t.Helper()
	tr.start, o.Transport = time.Now(), tr
	return retryhttp.New(o).Do(t.Context(), &retryhttp.Request{
		Method: "POST", URL: "http://server/infer", Body: []byte("records"), Check: check,
	})
}

func TestTheSameBodyIsSentUntilAnAnswerIsAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &transport{answer: func(try int, _ *http.Request) (*http.Response, error) {
			if try < 3 {
				return nil, errRefused
			}
			return answer(200, "fine"), nil
		}}
		var got string
		result, err := send(t, tr, retryhttp.Options{}, func(a *retryhttp.Answer) retryhttp.Verdict {
			got = string(a.Body)
			return retryAll(a)
		})
		if err != nil || got != "fine" {
			t.Fatalf("got %q, %v", got, err)
		}
		if want := []string{"records", "records", "records"}; !slices.Equal(tr.bodies, want) {
			t.Errorf("bodies sent: %q, want %q", tr.bodies, want)
		}
		if result.Sends != 3 || result.BodyInUse {
			t.Errorf("result is %+v, want 3 sends and a free body", result)
		}
	})
}

func TestTheLastErrorIsReturnedAfterFourTriesAndNoConnectionIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &transport{answer: func(try int, _ *http.Request) (*http.Response, error) {
			return answer(500, fmt.Sprintf("try %d", try)), nil
		}}
		result, err := send(t, tr, retryhttp.Options{}, retryAll)
		if err == nil || err.Error() != "status 500: try 4" || result.Sends != 4 {
			t.Errorf("got %v after %d sends, want the fourth answer", err, result.Sends)
		}
		if tr.idle != 0 {
			t.Errorf("the transport's idle connections were closed %d times", tr.idle)
		}
	})
}

func TestWaitsAreFullJitter(t *testing.T) {
	bounds := []time.Duration{250 * time.Millisecond, 500 * time.Millisecond, time.Second}
	var shortest, longest [3]time.Duration
	synctest.Test(t, func(t *testing.T) {
		for round := range 200 {
			tr := &transport{answer: func(int, *http.Request) (*http.Response, error) { return nil, errRefused }}
			_, _ = send(t, tr, retryhttp.Options{}, retryAll)
			for i, bound := range bounds {
				wait := tr.at[i+1] - tr.at[i]
				if wait > bound {
					t.Fatalf("wait %d is %v, at most %v is allowed", i+1, wait, bound)
				}
				longest[i] = max(longest[i], wait)
				if shortest[i] = min(shortest[i], wait); round == 0 {
					shortest[i] = wait
				}
			}
		}
	})
	for i, bound := range bounds {
		if shortest[i] > bound/10 || longest[i] < bound*9/10 {
			t.Errorf("wait %d spans %v to %v, want most of 0 to %v", i+1, shortest[i], longest[i], bound)
		}
	}
}

func TestRetryAfterIsWaitedForToTheSecondWithinTheBudget(t *testing.T) {
	for name, c := range map[string]struct {
		header string
		want   []time.Duration
	}{
		"said seconds":         {"2", []time.Duration{0, 2 * time.Second, 4 * time.Second, 6 * time.Second}},
		"until the budget":     {"14", []time.Duration{0, 14 * time.Second, 28 * time.Second}},
		"as long as budget":    {"30", []time.Duration{0, 30 * time.Second}},
		"longer than budget":   {"31", []time.Duration{0}},
		"a day":                {"86400", []time.Duration{0}},
		"overflowing":          {"99999999999999999999", []time.Duration{0}},
		"a date in 5 seconds":  {"Sat, 01 Jan 2000 00:00:05 GMT", []time.Duration{0, 5 * time.Second}},
		"a date in next month": {"Tue, 01 Feb 2000 00:00:00 GMT", []time.Duration{0}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr := &transport{answer: func(int, *http.Request) (*http.Response, error) {
					a := answer(429, "slow down")
					a.Header.Set("Retry-After", c.header)
					return a, nil
				}}
				_, err := send(t, tr, retryhttp.Options{}, retryAll)
				if err == nil {
					t.Fatal("want an error")
				}
				if len(tr.at) < len(c.want) || !slices.Equal(tr.at[:len(c.want)], c.want) {
					t.Errorf("sent at %v, want %v", tr.at, c.want)
				}
				if !strings.Contains(c.header, "GMT") && len(tr.at) != len(c.want) {
					t.Errorf("sent at %v, want only %v", tr.at, c.want)
				}
			})
		})
	}
}

func TestRetryAfterHeader(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for header, want := range map[string]struct {
		wait time.Duration
		ok   bool
	}{
		"":                                 {0, false},
		"soon":                             {0, false},
		"-5":                               {0, false},
		"1.5":                              {0, false},
		"0":                                {0, true},
		" 7 ":                              {7 * time.Second, true},
		"86400":                            {24 * time.Hour, true},
		"86401":                            {24 * time.Hour, true},
		"9223372036":                       {24 * time.Hour, true},
		"18446744073709551616":             {24 * time.Hour, true},
		"Thu, 01 Jan 2026 12:00:09 GMT":    {9 * time.Second, true},
		"Thursday, 01-Jan-26 12:01:00 GMT": {time.Minute, true},
		"Thu, 01 Jan 2026 11:00:00 GMT":    {0, true},
		"Thu, 01 Jan 9999 00:00:00 GMT":    {24 * time.Hour, true},
	} {
		wait, ok := retryhttp.RetryAfter(http.Header{"Retry-After": {header}}, now)
		if wait != want.wait || ok != want.ok {
			t.Errorf("Retry-After %q is %v, %v; want %v, %v", header, wait, ok, want.wait, want.ok)
		}
	}
}

// TestATryThatHangsIsEndedByItsTimeout: each try has the whole timeout, also
// where it is the body that hangs; and no try starts after the budget.
func TestATryThatHangsIsEndedByItsTimeout(t *testing.T) {
	for name, hang := range map[string]func(*http.Request) (*http.Response, error){
		"no header": func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		},
		"half a body": func(r *http.Request) (*http.Response, error) {
			a := answer(200, "")
			a.Body = io.NopCloser(io.MultiReader(strings.NewReader("ha"), readerFunc(func([]byte) (int, error) {
				<-r.Context().Done()
				return 0, r.Context().Err()
			})))
			return a, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr := &transport{answer: func(_ int, r *http.Request) (*http.Response, error) { return hang(r) }}
				var timeouts int
				result, err := send(t, tr, retryhttp.Options{Timeout: 12 * time.Second}, func(a *retryhttp.Answer) retryhttp.Verdict {
					if retryhttp.IsTimeout(a.Err) {
						timeouts++
					}
					return retryAll(a)
				})
				if err == nil || timeouts != 3 || result.Sends != 3 {
					t.Errorf("got %v, %d timeouts in %d sends; want 3 of 3: the fourth would start after 36 s", err, timeouts, result.Sends)
				}
			})
		})
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestTheContextEndsAWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		why := errors.New("the run was cancelled")
		ctx, cancel := context.WithCancelCause(t.Context())
		tr := &transport{start: time.Now(), answer: func(int, *http.Request) (*http.Response, error) {
			a := answer(429, "")
			a.Header.Set("Retry-After", "20")
			return a, nil
		}}
		time.AfterFunc(3*time.Second, func() { cancel(why) })
		_, err := retryhttp.New(retryhttp.Options{Transport: tr}).Do(ctx, &retryhttp.Request{Method: "GET", URL: "http://server/", Check: retryAll})
		if !errors.Is(err, why) || time.Since(tr.start) != 3*time.Second {
			t.Errorf("got %v after %v, want the context's cause after 3 s", err, time.Since(tr.start))
		}
	})
}

func TestAnswersAreReadWithinTheirCap(t *testing.T) {
	for name, c := range map[string]struct {
		answer *http.Response
		want   string
		isErr  error
	}{
		"at the cap":         {answer(200, "12345678"), "12345678", nil},
		"announced too long": {answer(200, "123456789"), "", retryhttp.ErrTooLong},
		"grows too long": {&http.Response{StatusCode: 200, ContentLength: -1,
			Body: io.NopCloser(strings.NewReader("123456789"))}, "", retryhttp.ErrTooLong},
		"an error keeps 4 KiB": {answer(400, strings.Repeat("x", 1<<20)), strings.Repeat("x", 4<<10), nil},
	} {
		t.Run(name, func(t *testing.T) {
			tr := &transport{answer: func(int, *http.Request) (*http.Response, error) { return c.answer, nil }}
			var got string
			_, _ = send(t, tr, retryhttp.Options{MaxAnswer: 8}, func(a *retryhttp.Answer) retryhttp.Verdict {
				got = string(a.Body)
				if !errors.Is(a.Err, c.isErr) {
					t.Errorf("error is %v, want %v", a.Err, c.isErr)
				}
				return retryhttp.Verdict{Err: a.Err}
			})
			if got != c.want {
				t.Errorf("body is %d bytes, want %d", len(got), len(c.want))
			}
		})
	}
}

func TestABodyStillReadIsReported(t *testing.T) {
	tr := roundTripper(func(*http.Request) (*http.Response, error) { return answer(413, "enough"), nil })
	result, _ := retryhttp.New(retryhttp.Options{Transport: tr}).Do(t.Context(), &retryhttp.Request{
		Method: "POST", URL: "http://server/", Body: bytes.Repeat([]byte("x"), 100),
		Check: func(a *retryhttp.Answer) retryhttp.Verdict { return retryhttp.Verdict{Err: errRefused} },
	})
	if !result.BodyInUse {
		t.Error("the transport never closed the body, yet it counts as free")
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
