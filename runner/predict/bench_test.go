package predict_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
	"github.com/batchpattern/terraform-provider-batch/runner/predict"
)

// BenchmarkPredict is the data path without a server: 128 records of 4 numeric
// columns per request, two outputs back.
func BenchmarkPredict(b *testing.B) {
	const records = 128
	for _, protocol := range []string{"oip_v2", "tf_v1"} {
		b.Run(protocol, func(b *testing.B) {
			client := newClient(b, predict.Config{
				Protocol: protocol, Transport: instant(benchAnswer(b, protocol, records)),
				Features: api.Features{Columns: []string{"a", "b", "c", "d"}},
				Outputs:  map[string]string{"score": "score", "p": "proba[1]"},
			})
			values := texts("5.1", "3.5", "1.4", "0.2")
			var into []format.Value
			sum := 0
			b.ReportAllocs()
			for b.Loop() {
				r := client.NewRequest()
				for range records {
					if err := r.Add(values); err != nil {
						b.Fatal(err)
					}
				}
				response, err := client.Predict(b.Context(), r, predict.Send{Key: "run/1/1/0", Attempt: "1"})
				if err != nil {
					b.Fatal(err)
				}
				for record := range response.Len() {
					into = response.Values(record, into[:0])
					sum += len(into[0].Bytes)
				}
				response.Release()
				r.Release()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*records), "ns/record")
		})
	}
}

// TestTheDataPathAllocatesPerRequestOnly: the same allocations for 8 records
// and for 1,024.
func TestTheDataPathAllocatesPerRequestOnly(t *testing.T) {
	for _, protocol := range []string{"oip_v2", "tf_v1"} {
		allocations := func(records int) float64 {
			client := newClient(t, predict.Config{
				Protocol: protocol, Transport: instant(benchAnswer(t, protocol, records)),
				Features: api.Features{Columns: []string{"a", "b", "c", "d"}},
				Outputs:  map[string]string{"score": "score", "all": "proba"},
			})
			values := texts("5.1", "3.5", "1.4", "0.2")
			into := make([]format.Value, 0, 2)
			return testing.AllocsPerRun(50, func() {
				r := client.NewRequest()
				for range records {
					if r.Add(values) != nil {
						t.Fatal("a record was refused")
					}
				}
				response, err := client.Predict(t.Context(), r, predict.Send{})
				if err != nil {
					t.Fatal(err)
				}
				into = response.Values(records-1, into[:0])
				response.Release()
				r.Release()
			})
		}
		if few, many := allocations(8), allocations(1024); many > few+16 {
			t.Errorf("%s: %v allocations for 8 records, %v for 1,024", protocol, few, many)
		}
	}
}

// instant answers every request at once with the same body.
func instant(answer []byte) roundTripper {
	return func(r *http.Request) (*http.Response, error) {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = r.Body.Close()
		return &http.Response{
			StatusCode: http.StatusOK, ProtoMajor: 1, Header: http.Header{},
			Body: io.NopCloser(bytes.NewReader(answer)), ContentLength: int64(len(answer)),
		}, nil
	}
}

func benchAnswer(tb testing.TB, protocol string, n int) []byte {
	var scores, probas, predictions []any
	for i := range n {
		score, p := float64(i)+0.123, []any{0.25, 0.125, 0.625}
		scores, probas = append(scores, score), append(probas, p...)
		predictions = append(predictions, map[string]any{"score": score, "proba": p})
	}
	answer := map[string]any{"predictions": predictions}
	if protocol == api.ProtocolOIPv2 {
		answer = map[string]any{"outputs": []map[string]any{
			{"name": "score", "shape": []int{n}, "data": scores},
			{"name": "proba", "shape": []int{n, 3}, "data": probas},
		}}
	}
	content, err := json.Marshal(answer)
	if err != nil {
		tb.Fatal(err)
	}
	return content
}
