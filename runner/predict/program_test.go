package predict_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
	"github.com/batchpattern/terraform-provider-batch/runner/predict"
)

func TestAProgramGetsALineForEachRecord(t *testing.T) {
	server := &canned{answer: "1\n2\n"}
	client := newClient(t, predict.Config{Protocol: "program", Transport: server, Features: api.Features{Columns: []string{"a", "b \"c\""}}})
	r := client.NewRequest()
	for _, values := range [][]format.Value{
		{text("5.10"), text("007")}, {token(`9007199254740993`), token("null")},
	} {
		if err := r.Add(values); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := client.Predict(t.Context(), r, predict.Send{}); err != nil {
		t.Fatal(err)
	}
	want := `{"a":5.10,"b \"c\"":"007"}` + "\n" + `{"a":9007199254740993,"b \"c\"":null}` + "\n"
	if server.sent != want {
		t.Errorf("it got\n%s\nwant\n%s", server.sent, want)
	}
	part := r.Slice(1, 2)
	if _, err := client.Predict(t.Context(), part, predict.Send{}); err == nil {
		t.Error("two lines for one record were taken")
	}
	if _, last, _ := strings.Cut(want, "\n"); server.sent != last {
		t.Errorf("of the second record alone it got %q, want %q", server.sent, last)
	}
}

func TestWhatIsNoLineOfJSONForEachRecordIsOfClassData(t *testing.T) {
	for answer, want := range map[string]string{
		"1\n":          "the program's answer holds 1 lines for 2 records",
		"1\n2\n3\n":    "holds 3 lines for 2 records",
		"1\nTrue\n":    "is not JSON: unexpected 'T' at byte 2, in line 2",
		"1\n{\"a\":\n": "ends before its JSON is complete, in line 2",
		"1\n2 3\n":     "is not JSON",
		"1\n\n":        "in line 2",
	} {
		_, err := ask(t, "program", nil, answer)
		e, ok := errors.AsType[*predict.Error](err)
		if !ok || e.Class != api.ClassData || e.Sends != 1 || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q of class data after one send", answer, err, want)
		}
	}
}

// ended is how a program's process ended.
type ended int

func (ended) Error() string     { return "program p exited; its stderr ended with:\nno memory" }
func (e ended) HTTPStatus() int { return int(e) }

func TestHowAProgramEndsIsTheClassOfItsStatus(t *testing.T) {
	for status, want := range map[int]predict.Error{
		http.StatusServiceUnavailable:  {Class: api.ClassTransient, Sends: 4},
		http.StatusUnprocessableEntity: {Class: api.ClassData, Sends: 1},
		http.StatusBadRequest:          {Class: api.ClassData, Sends: 1},
		http.StatusBadGateway:          {Class: api.ClassTransient, Sends: 4},
		http.StatusInternalServerError: {Class: api.ClassTransient, Sends: 4, Repeated: true},
	} {
		e := endOf(t, status)
		if e.Class != want.Class || e.Sends != want.Sends || e.Repeated != want.Repeated || e.Status != status {
			t.Errorf("status %d: %#v, want %#v", status, e, want)
		}
		if e.Error() != ended(0).Error() {
			t.Errorf("status %d: the error is %q", status, e)
		}
	}
}

// endOf is the error of a program that ends so whenever it is asked.
func endOf(t *testing.T, status int) (e *predict.Error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		client := newClient(t, predict.Config{Protocol: "program", Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			_ = r.Body.Close()
			return nil, ended(status)
		})})
		_, err := predictOne(t.Context(), client, predict.Send{}, "1", "2")
		e = asError(t, err)
	})
	return e
}

func TestARequestThatIsAWholeMiniBatchHasNoCap(t *testing.T) {
	client := newClient(t, predict.Config{Protocol: "program", Transport: &canned{}, Unbounded: true})
	r := client.NewRequest()
	for range 3 {
		if err := r.Add(texts(strings.Repeat("x", 1<<20), "1")); err != nil {
			t.Fatal(err)
		}
	}
}
