package predicttest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// infer sends records of two features each, 1,0 and so on, by oip_v2.
func infer(t *testing.T, client *http.Client, purpose string, records ...int) (int, string) {
	t.Helper()
	var cells []string
	for _, r := range records {
		cells = append(cells, fmt.Sprintf("%d,0", r))
	}
	body := fmt.Sprintf(`{"inputs":[{"name":"x","shape":[%d,2],"datatype":"FP64","data":[%s]}]}`, len(records), strings.Join(cells, ","))
	req, err := http.NewRequestWithContext(t.Context(), "POST", predicttest.MemoryURL+"/v2/models/m/infer", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Batch-Purpose", purpose)
	resp, err := client.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		return resp.StatusCode, err.Error()
	}
	return resp.StatusCode, string(content)
}

func inBubble(t *testing.T, o predicttest.Options, test func(t *testing.T, s *predicttest.Server, client *http.Client)) {
	synctest.Test(t, func(t *testing.T) {
		s := predicttest.New(o)
		test(t, s, &http.Client{Transport: s.RoundTripper(t, 2)})
	})
}

func TestPredictIsAPureFunctionOfTheFeatures(t *testing.T) {
	p, err := predicttest.Predict([]string{"1.5", `"abc"`, "true"})
	if err != nil {
		t.Fatal(err)
	}
	if p.Score != 5.5 || p.Label != "class-2" || math.Abs(p.Proba[0]+p.Proba[1]+p.Proba[2]-1) > 1e-12 {
		t.Errorf("got %+v", p)
	}
	if again, _ := predicttest.Predict([]string{"1.5", `"abc"`, "true"}); again != p {
		t.Errorf("got %+v, then %+v", p, again)
	}
}

func TestAFaultStrikesTheRequestsItNames(t *testing.T) {
	for name, c := range map[string]struct {
		fault predicttest.Fault
		want  []int // statuses of the requests below
	}{
		"all main requests":  {predicttest.Fault{}, []int{500, 500, 500, 500, 200}},
		"every purpose":      {predicttest.Fault{Purpose: predicttest.AnyPurpose}, []int{500, 500, 500, 500, 500}},
		"warm-up only":       {predicttest.Fault{Purpose: "warm-up"}, []int{200, 200, 200, 200, 500}},
		"a record":           {predicttest.Fault{Record: "2"}, []int{200, 500, 500, 200, 200}},
		"many records":       {predicttest.Fault{MoreThan: 1}, []int{200, 500, 200, 200, 200}},
		"not the first":      {predicttest.Fault{Skip: 1}, []int{200, 500, 500, 500, 200}},
		"each second":        {predicttest.Fault{Every: 2}, []int{200, 500, 200, 500, 200}},
		"twice":              {predicttest.Fault{Times: 2}, []int{500, 500, 200, 200, 200}},
		"the second with it": {predicttest.Fault{Record: "2", Skip: 1, Times: 1}, []int{200, 200, 500, 200, 200}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, predicttest.Options{}, func(t *testing.T, s *predicttest.Server, client *http.Client) {
				c.fault.Status = 500
				remove := s.Inject(c.fault)
				var got []int
				for _, records := range [][]int{{1}, {2, 3}, {2}, {4}} {
					status, _ := infer(t, client, "", records...)
					got = append(got, status)
				}
				status, _ := infer(t, client, "warm-up", 9)
				if got = append(got, status); !slices.Equal(got, c.want) {
					t.Errorf("answered %v, want %v", got, c.want)
				}
				remove()
				if status, body := infer(t, client, "", 2, 3); status != 200 {
					t.Errorf("answered %d %s after the fault was removed", status, body)
				}
			})
		})
	}
}

func TestItRemembersWhatItWasSent(t *testing.T) {
	var log bytes.Buffer
	inBubble(t, predicttest.Options{Log: &log}, func(t *testing.T, s *predicttest.Server, client *http.Client) {
		s.Inject(predicttest.Fault{Record: "2", Status: 500, Times: 1})
		infer(t, client, "", 1, 2)
		infer(t, client, "", 1, 2)
		infer(t, client, "warm-up", 1)
		if got := s.Seen(""); got["1"] != 2 || got["2"] != 2 {
			t.Errorf("seen %v", got)
		}
		if got := s.Seen("warm-up"); got["1"] != 1 || len(got) != 1 {
			t.Errorf("seen %v in warm-ups", got)
		}
		if got := s.Predicted(); got["1"] != 1 || got["2"] != 1 {
			t.Errorf("predicted %v", got)
		}
		var logged []predicttest.Send
		for line := range strings.Lines(log.String()) {
			var send predicttest.Send
			if err := json.Unmarshal([]byte(line), &send); err != nil {
				t.Fatal(err)
			}
			logged = append(logged, send)
		}
		if len(logged) != 3 || !slices.Equal(logged[1].Records, []string{"1", "2"}) || logged[2].Purpose != "warm-up" {
			t.Errorf("logged %+v", logged)
		}
		if s.Dials() != 1 {
			t.Errorf("%d connections, want one", s.Dials())
		}
	})
}

func TestAHungRequestGoesOnWhenReleased(t *testing.T) {
	inBubble(t, predicttest.Options{}, func(t *testing.T, s *predicttest.Server, client *http.Client) {
		s.Inject(predicttest.Fault{Hang: true, Times: 1})
		status := make(chan int)
		go func() {
			got, _ := infer(t, client, "", 1)
			status <- got
		}()
		if err := s.WaitSent(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		select {
		case got := <-status:
			t.Fatalf("answered %d before it was released", got)
		default:
		}
		s.Release()
		if got := <-status; got != 200 {
			t.Errorf("answered %d", got)
		}
	})
}

func TestADelayPassesInTheBubble(t *testing.T) {
	inBubble(t, predicttest.Options{}, func(t *testing.T, s *predicttest.Server, client *http.Client) {
		s.Inject(predicttest.Fault{Delay: time.Hour})
		start := time.Now()
		if status, _ := infer(t, client, "", 1); status != 200 || time.Since(start) != time.Hour {
			t.Errorf("answered %d after %v", status, time.Since(start))
		}
	})
}

func TestWaitingEndsWithItsContext(t *testing.T) {
	inBubble(t, predicttest.Options{}, func(t *testing.T, s *predicttest.Server, client *http.Client) {
		infer(t, client, "", 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := s.WaitSent(ctx, 2)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "saw 1") {
			t.Errorf("got %v", err)
		}
	})
}
