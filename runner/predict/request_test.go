package predict_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
	"github.com/batchpattern/terraform-provider-batch/runner/predict"
)

func text(s string) format.Value  { return format.Value{Bytes: []byte(s)} }
func token(s string) format.Value { return format.Value{Bytes: []byte(s), JSON: true} }

func texts(cells ...string) []format.Value {
	var values []format.Value
	for _, c := range cells {
		values = append(values, text(c))
	}
	return values
}

// canned is a server that answers metadata with one text and everything else
// with another, and keeps the last body it was sent.
type canned struct {
	metadata, answer string
	sent             string
}

func (c *canned) RoundTrip(r *http.Request) (*http.Response, error) {
	body := c.answer
	if r.Method == http.MethodGet {
		body = c.metadata
	} else {
		content, _ := io.ReadAll(r.Body)
		_ = r.Body.Close()
		c.sent = string(content)
	}
	status := http.StatusOK
	if body == "" {
		status = http.StatusNotFound
	}
	return &http.Response{
		StatusCode: status, ProtoMajor: 1, Header: http.Header{},
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}, nil
}

func newClient(t testing.TB, config predict.Config) *predict.Client {
	t.Helper()
	if config.BaseURL == "" {
		config.BaseURL = "http://server"
	}
	if config.Model.Name == "" {
		config.Model.Name = "m"
	}
	if config.Features.Columns == nil {
		config.Features.Columns = []string{"a", "b"}
	}
	if config.Parallelism == 0 {
		config.Parallelism = 4
	}
	c, err := predict.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestRequestBodies(t *testing.T) {
	const twoInputs = `{"inputs":[{"name":"b","datatype":"BYTES"},{"name":"a","datatype":"INT64"}]}`
	for name, c := range map[string]struct {
		config   predict.Config
		metadata string
		records  [][]format.Value
		want     string
	}{
		"oip matrix without metadata": {
			config:  predict.Config{Protocol: "oip_v2"},
			records: [][]format.Value{texts("1", " .5 "), texts("+2.", "-007")},
			want:    `{"id":"k","inputs":[{"name":"input-0","shape":[2,2],"datatype":"FP64","data":[1,0.5,2,-7]}]}`,
		},
		"oip matrix by metadata, asking for outputs": {
			config:   predict.Config{Protocol: "oip_v2", Outputs: map[string]string{"p1": "proba[1]", "p0": "proba[0]", "s": "score"}},
			metadata: `{"inputs":[{"name":"x","datatype":"FP32"}]}`,
			records:  [][]format.Value{{token("9007199254740993"), token(`"1e3"`)}},
			want:     `{"id":"k","inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[9007199254740993,1e3]}],"outputs":[{"name":"proba"},{"name":"score"}]}`,
		},
		"oip matrix, the job's words win": {
			config:   predict.Config{Protocol: "oip_v2", Features: api.Features{Columns: []string{"a", "b"}, Name: "x", Datatype: "BYTES"}},
			metadata: `{"inputs":[{"name":"x","datatype":"FP32"},{"name":"y","datatype":"FP32"}]}`,
			records:  [][]format.Value{{text("say \"hi\"\n\x01"), token("12")}, {text(""), token(`"é\u0001"`)}},
			want:     `{"id":"k","inputs":[{"name":"x","shape":[2,2],"datatype":"BYTES","data":["say \"hi\"\n\u0001","12","","é\u0001"]}]}`,
		},
		"oip columns by metadata": {
			config:   predict.Config{Protocol: "oip_v2", Features: api.Features{Columns: []string{"a", "b"}, As: "columns"}},
			metadata: twoInputs,
			records:  [][]format.Value{texts("1", "x"), texts("2", "007")},
			want: `{"id":"k","inputs":[{"name":"a","shape":[2,1],"datatype":"INT64","data":[1,2]},` +
				`{"name":"b","shape":[2,1],"datatype":"BYTES","data":["x","007"]}]}`,
		},
		"oip booleans": {
			config:  predict.Config{Protocol: "oip_v2", Features: api.Features{Columns: []string{"a", "b"}, Datatype: "BOOL"}},
			records: [][]format.Value{texts("TRUE", "0"), {token("false"), token(`"1"`)}},
			want:    `{"id":"k","inputs":[{"name":"input-0","shape":[2,2],"datatype":"BOOL","data":[true,false,false,true]}]}`,
		},
		"tf matrix": {
			config:  predict.Config{Protocol: "tf_v1"},
			records: [][]format.Value{texts("1", "2"), {token("3"), text("4.")}},
			want:    `{"instances":[[1,2],[3,4]]}`,
		},
		"tf columns": {
			config:  predict.Config{Protocol: "tf_v1", Features: api.Features{Columns: []string{"a", `q"`}, As: "columns"}},
			records: [][]format.Value{texts("1.50", "x"), texts("007", ""), {token("[1, 2]"), token("true")}},
			want:    `{"instances":[{"a":1.50,"q\"":"x"},{"a":"007","q\"":""},{"a":[1, 2],"q\"":true}]}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := &canned{metadata: c.metadata, answer: "-"}
			c.config.Transport = server
			client := newClient(t, c.config)
			if err := client.Describe(t.Context()); err != nil {
				t.Fatal(err)
			}
			r := client.NewRequest()
			defer r.Release()
			for _, record := range c.records {
				if err := r.Add(record); err != nil {
					t.Fatal(err)
				}
			}
			_, _ = client.Predict(t.Context(), r, predict.Send{Key: "k"})
			if server.sent != c.want {
				t.Errorf("sent\n%s, want\n%s", server.sent, c.want)
			}
		})
	}
}

func TestABadRecordIsNamedAndLeavesTheRequestAsItWas(t *testing.T) {
	long := strings.Repeat("é", 100)
	for _, c := range []struct {
		protocol, as, datatype string
		value                  format.Value
		want                   string
	}{
		{"oip_v2", "", "", text("abc"), `column "b": "abc" is not a number`},
		{"oip_v2", "", "", text(" "), `column "b" is empty, not a number`},
		{"oip_v2", "", "", text("0x10"), `column "b": "0x10" is not a number`},
		{"oip_v2", "", "", text("NaN"), `column "b": "NaN" is not a number`},
		{"oip_v2", "", "", text("1e"), `column "b": "1e" is not a number`},
		{"oip_v2", "", "", text("1,5"), `column "b": "1,5" is not a number`},
		{"oip_v2", "", "", text(long), `column "b": "` + strings.Repeat("é", 40) + `…" is not a number`},
		{"oip_v2", "", "", token("null"), `column "b" is null`},
		{"oip_v2", "", "", token("true"), `column "b": true is not a number`},
		{"oip_v2", "", "", token("[1]"), `column "b": [1] is not a number`},
		{"oip_v2", "", "", token(`"x"`), `column "b": "x" is not a number`},
		{"oip_v2", "", "", token(`""`), `column "b" is empty, not a number`},
		{"oip_v2", "", "BOOL", text("yes"), `column "b": "yes" is not a boolean`},
		{"oip_v2", "", "BYTES", token("null"), `column "b" is null`},
		{"oip_v2", "", "BYTES", token(`{"x":1}`), `column "b": {"x":1} is not a string`},
		{"oip_v2", "columns", "", text("abc"), `column "b": "abc" is not a number`},
		{"tf_v1", "", "", text("abc"), `column "b": "abc" is not a number`},
		{"tf_v1", "columns", "", token("null"), `column "b" is null`},
	} {
		t.Run(strings.Join([]string{c.protocol, c.as, c.datatype, c.want}, " "), func(t *testing.T) {
			server := &canned{answer: "-"}
			client := newClient(t, predict.Config{
				Protocol: c.protocol, Transport: server,
				Features: api.Features{Columns: []string{"a", "b"}, As: c.as, Datatype: c.datatype},
			})
			good := texts("1", "0")
			body := func(withBad bool) string {
				r := client.NewRequest()
				defer r.Release()
				for i := range 2 {
					if err := r.Add(good); err != nil {
						t.Fatal(err)
					}
					if withBad {
						err := r.Add([]format.Value{text("1"), c.value})
						if err == nil || err.Error() != c.want {
							t.Errorf("error is %v, want %s", err, c.want)
						}
					}
					if r.Len() != i+1 {
						t.Errorf("the request holds %d records, want %d", r.Len(), i+1)
					}
				}
				_, _ = client.Predict(context.Background(), r, predict.Send{})
				return server.sent
			}
			if with, without := body(true), body(false); with != without {
				t.Errorf("sent\n%s after bad records, want\n%s", with, without)
			}
		})
	}
}
