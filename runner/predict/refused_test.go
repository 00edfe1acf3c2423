package predict

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

// byRecord is the codec of a protocol that refuses records one by one: the
// answer is a letter for each, "x" for one that is refused.
type byRecord struct{}

func (byRecord) parts() int { return 1 }

func (byRecord) add(r *Request, _ int, values []value) error {
	r.parts[0] = append(r.parts[0], values[0].Bytes...)
	return nil
}

func (byRecord) assemble(to []byte, r *Request, _ string) []byte { return append(to, r.parts[0]...) }

func (byRecord) wellFormed([]byte) error { return nil }

func (byRecord) parse(r *Response, n int, _ string) error {
	r.columns = []string{"label"}
	r.shape()
	for i := range n {
		if err := r.cells[i].place(i, i+1, false); err != nil {
			return err
		}
		if r.body[i] == 'x' {
			r.refuse(i, errors.New("out of range"))
		}
	}
	return nil
}

type echo struct{}

func (echo) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: r.Body, ContentLength: r.ContentLength, Request: r}, nil
}

func TestAProtocolMayRefuseRecordsOneByOne(t *testing.T) {
	client, err := New(Config{Protocol: api.ProtocolTFv1, BaseURL: "http://model", Features: api.Features{Columns: []string{"a"}}, Transport: echo{}})
	if err != nil {
		t.Fatal(err)
	}
	client.codec = byRecord{}
	for _, cells := range []string{"axbx", "abcd"} { // the second reuses what the first left
		request := client.NewRequest()
		for _, cell := range strings.Split(cells, "") {
			if err := request.Add([]format.Value{{Bytes: []byte(cell)}}); err != nil {
				t.Fatal(err)
			}
		}
		response, err := client.Predict(t.Context(), request, Send{})
		if err != nil {
			t.Fatal(err)
		}
		for i, cell := range strings.Split(cells, "") {
			if refused := response.Refused(i) != nil; refused != (cell == "x") {
				t.Errorf("record %d of %q: refused is %v", i, cells, refused)
			}
		}
		response.Release()
		request.Release()
	}
}
