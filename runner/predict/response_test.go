package predict_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/predict"
)

// ask has an answer cut for two records.
func ask(t *testing.T, protocol string, outputs map[string]string, answer string) (*predict.Response, error) {
	t.Helper()
	client := newClient(t, predict.Config{Protocol: protocol, Outputs: outputs, Transport: &canned{answer: answer}})
	r := client.NewRequest()
	for range 2 {
		if err := r.Add(texts("1", "2")); err != nil {
			t.Fatal(err)
		}
	}
	return client.Predict(t.Context(), r, predict.Send{Key: "run/1/1/0"})
}

func TestPredictionsAreCutAsTheyStand(t *testing.T) {
	for name, c := range map[string]struct {
		protocol string
		outputs  map[string]string
		answer   string
		want     string // columns | values of each record
	}{
		"every output under its name": {
			"oip_v2", nil,
			`{"outputs":[{"name":"s","shape":[2],"data":[1.10,9007199254740993]},{"name":"l","shape":[2,1],"data":["a\"b","é"]}]}`,
			`l s | "a\"b" 1.10 | "é" 9007199254740993`,
		},
		"several values are a list": {
			"oip_v2", nil,
			`{"outputs":[{"name":"p","datatype":"FP64","shape":[2,3],"data":[1, 2,3 ,4,5,6]}]}`, `p | [1,2,3] | [4,5,6]`,
		},
		"nested data, spread over lines, data first": {
			"oip_v2", nil,
			"{\"outputs\": [ {\"data\": [\n [1,\n2], [3, 4] ], \"shape\": [2, 2], \"name\": \"p\"} ] }\n", `p | [1,2] | [3,4]`,
		},
		"a single nested value is no list": {
			"oip_v2", nil, `{"outputs":[{"name":"p","shape":[2,1],"data":[[1],[2]]}]}`, `p | 1 | 2`,
		},
		"outputs with an index": {
			"oip_v2", map[string]string{"yes": "p[1]", "no": "p[0]", "all": "p"},
			`{"outputs":[{"name":"other","shape":[9],"data":[]},{"name":"p","shape":[2,2],"data":[1,2,3,4]}]}`,
			`all no yes | [1,2] 1 2 | [3,4] 3 4`,
		},
		"not-a-numbers are null": {
			"oip_v2", nil,
			`{"outputs":[{"name":"p","shape":[2,2],"data":[NaN,1,-Infinity,Infinity]},{"name":"s","shape":[2],"data":[NaN,-1]}]}`,
			`p s | [null,1] null | [null,null] -1`,
		},
		"the id is echoed, escaped": {
			"oip_v2", nil, `{"id":"run\/1\/1\/0","outputs":[{"name":"s","shape":[2],"data":[1,2]}]}`, `s | 1 | 2`,
		},
		"an object's keys": {
			"tf_v1", nil, `{"predictions":[{"b":[1, 2],"a":"x"},{"a":"y","b":[ ]}]}`, `a b | "x" [1,2] | "y" []`,
		},
		"scalars and lists are one column": {
			"tf_v1", nil, `{"predictions": [[0.1, 0.9], [NaN, 0.2]] }`, `prediction | [0.1,0.9] | [null,0.2]`,
		},
		"an object by key and index": {
			"tf_v1", map[string]string{"p": "proba[1]", "l": "label"},
			`{"predictions":[{"proba":[1,2],"label":0,"more":1},{"proba":[3,4],"label":1}]}`, `l p | 0 2 | 1 4`,
		},
		"a list by index": {
			"tf_v1", map[string]string{"p": "[1]", "v": "value"}, `{"predictions":[[1,2],[3,4]]}`, `p v | 2 [1,2] | 4 [3,4]`,
		},
		"pointers into objects": {
			"tf_v1", map[string]string{"l": "/label", "s": "/scores/1", "k": "/a~1b/~0c", "all": "/scores"},
			`{"predictions":[{"label":"x","scores":[1, 2],"a/b":{"~c":true}},{"scores":[3,4],"label":"y","a/b":{"~c":[NaN]}}]}`,
			`all k l s | [1,2] true "x" 2 | [3,4] [null] "y" 4`,
		},
		"pointers into lists": {
			"tf_v1", map[string]string{"p": "/1/0"}, `{"predictions":[[1,[2]],[3,[4]]]}`, `p | 2 | 4`,
		},
		"pointers into a nested shape": {
			"oip_v2", map[string]string{"one": "/p/1/0", "row": "/p/1", "all": "/p", "s": "/s"},
			`{"outputs":[{"name":"s","shape":[2],"data":[7,8]},{"name":"p","shape":[2,2,2],"data":[[[1,2],[3,4]],[[5,6],[7,8]]]}]}`,
			`all one row s | [1,2,3,4] 3 [3,4] 7 | [5,6,7,8] 7 [7,8] 8`,
		},
		"a program's objects": {
			"program", nil, "{\"b\":1,\"a\":\"x\"}\r\n {\"a\": [1, 2], \"b\": null }\n", `a b | "x" 1 | [1,2] null`,
		},
		"a program's other values, the last line without an end": {
			"program", nil, "0.5\nNaN", `prediction | 0.5 | null`,
		},
		"a program's values by pointer": {
			"program", map[string]string{"p": "/proba/0"}, "{\"proba\":[1.0]}\n{\"proba\":[2.0,3]}\n", `p | 1.0 | 2.0`,
		},
		"integers beyond 2^53 and long decimals": {
			"program", nil, "9223372036854775807\n-0.1000000000000000055511151231257827", `prediction | 9223372036854775807 | -0.1000000000000000055511151231257827`,
		},
		"a scalar by value": {
			"tf_v1", map[string]string{"p": "value"}, `{"predictions":[1e-3,{"value":2}]}`, `p | 1e-3 | 2`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			response, err := ask(t, c.protocol, c.outputs, c.answer)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Release()
			got := []string{strings.Join(response.Columns(), " ")}
			for record := range response.Len() {
				var values []string
				for _, v := range response.Values(record, nil) {
					values = append(values, string(v.Bytes))
				}
				got = append(got, strings.Join(values, " "))
			}
			if got := strings.Join(got, " | "); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestWrongAnswersAreOfClassData(t *testing.T) {
	for name, c := range map[string]struct {
		protocol string
		outputs  map[string]string
		answer   string
		want     string
	}{
		"not JSON":             {"oip_v2", nil, `<html>`, `is not JSON: unexpected '<' at byte 0`},
		"JSON that ends early": {"oip_v2", nil, `{"outputs":[{"name":"s"`, `ends before its JSON is complete`},
		"more after the JSON":  {"oip_v2", nil, `{"outputs":[{"name":"s","shape":[2],"data":[1,2]}]} x`, `unexpected 'x' at byte 52`},
		"not UTF-8":            {"oip_v2", nil, "{\"outputs\":[{\"name\":\"s\",\"shape\":[2],\"data\":[\"\xff\",2]}]}", `is not valid UTF-8`},
		"an error with 200":    {"oip_v2", nil, `{"error":"no GPU"}`, `holds no outputs`},
		"a list":               {"oip_v2", nil, `[1,2]`, `is no JSON object`},
		"too few":              {"oip_v2", nil, `{"outputs":[{"name":"s","shape":[1],"data":[1]}]}`, `holds output "s" of shape [1] for 2 records`},
		"too few for the shape": {"oip_v2", nil, `{"outputs":[{"name":"s","shape":[2,2],"data":[1,2,3]}]}`,
			`holds 3 values in output "s" of shape [2 2]`},
		"a shape beyond numbers": {"oip_v2", nil, `{"outputs":[{"name":"s","shape":[2,99999999999,99999999999],"data":[1,2]}]}`, `impossible shape`},
		"ragged":                 {"oip_v2", nil, `{"outputs":[{"name":"s","shape":[2,2],"data":[[1,2,3],[4]]}]}`, `ragged`},
		"half nested":            {"oip_v2", nil, `{"outputs":[{"name":"s","shape":[2],"data":[[1],2]}]}`, `ragged`},
		"no data":                {"oip_v2", nil, `{"outputs":[{"name":"s","shape":[2],"parameters":{"binary_data_size":16}}]}`, `holds no data in output "s"`},
		"another request's": {"oip_v2", nil, `{"id":"run/1/2/0","outputs":[{"name":"s","shape":[2],"data":[1,2]}]}`,
			`is for request "run/1/2/0", not "run/1/1/0"`},
		"a missing output": {"oip_v2", map[string]string{"p": "proba[1]"}, `{"outputs":[{"name":"s","shape":[2],"data":[1,2]}]}`, `holds no output "proba", only "s"`},
		"an index too high": {"oip_v2", map[string]string{"p": "s[1]"}, `{"outputs":[{"name":"s","shape":[2],"data":[1,2]}]}`,
			`holds output "s" of 1 values a record: there is no s[1]`},
		"too few predictions":        {"tf_v1", nil, `{"predictions":[1]}`, `holds 1 predictions for 2 records`},
		"too many predictions":       {"tf_v1", nil, `{"predictions":[1,2,3]}`, `holds 3 predictions for 2 records`},
		"no predictions":             {"tf_v1", nil, `{"error":"x"}`, `holds no predictions`},
		"empty predictions":          {"tf_v1", nil, `{"predictions":[{},{}]}`, `empty predictions`},
		"different keys":             {"tf_v1", nil, `{"predictions":[{"a":1},{"b":1}]}`, `different keys: "b" in record 2`},
		"a missing key":              {"tf_v1", nil, `{"predictions":[{"a":1,"b":1},{"a":1}]}`, `holds no "b" in the prediction of record 2`},
		"different forms":            {"tf_v1", nil, `{"predictions":[{"a":1},1]}`, `different forms`},
		"a key of no object":         {"tf_v1", map[string]string{"p": "proba"}, `{"predictions":[1,2]}`, `call it "value"`},
		"an index of no list":        {"tf_v1", map[string]string{"p": "[0]"}, `{"predictions":[1,2]}`, `holds 1 in the prediction of record 1, where [0] was asked for`},
		"an index beyond the list":   {"tf_v1", map[string]string{"p": "[2]"}, `{"predictions":[[1,2],[3,4]]}`, `holds [1,2] in the prediction of record 1, where [2] was asked for`},
		"a pointer to nothing":       {"tf_v1", map[string]string{"p": "/a/1"}, `{"predictions":[{"a":[1]},{"a":[1]}]}`, `holds [1] in the prediction of record 1, where /a/1 was asked for`},
		"a pointer beyond the shape": {"oip_v2", map[string]string{"p": "/s/0/0"}, `{"outputs":[{"name":"s","shape":[2,1],"data":[1,2]}]}`, `there is no /s/0/0`},
		"wrong, and not JSON either": {"tf_v1", map[string]string{"p": "x"}, `{"predictions":[1,2}`, `is not JSON: unexpected '}'`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ask(t, c.protocol, c.outputs, c.answer)
			e, ok := errors.AsType[*predict.Error](err)
			if !ok || e.Class != api.ClassData || e.Sends != 1 {
				t.Fatalf("got %#v, want an error of class data after one send", err)
			}
			if !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "POST /v") {
				t.Errorf("error reads %q, want %q in it", err, c.want)
			}
			if e.Status != 200 || e.Body != c.answer {
				t.Errorf("error holds status %d and body %q, want those of the answer", e.Status, e.Body)
			}
		})
	}
}
