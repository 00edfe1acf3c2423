package predict_test

import (
	"testing"

	"github.com/batchpattern/terraform-provider-batch/runner/predict"
)

func TestNotANumbersBecomeWhatTheJobSays(t *testing.T) {
	for protocol, answer := range map[string]string{
		"oip_v2":  `{"outputs":[{"name":"b","shape":[2],"data":[1,-Infinity]},{"name":"p","shape":[2,2],"data":[-1,2,3, NaN]}]}`,
		"tf_v1":   `{"predictions":[{"b":1,"p":[-1,2]},{"b":-Infinity,"p":[3, NaN]}]}`,
		"program": `{"b":1,"p":[-1,2]}` + "\n" + `{"b":-Infinity,"p":[3, NaN]}` + "\n",
	} {
		for nan, want := range map[string]string{"": `null [3,null]`, "null": `null [3,null]`, "string": `"-Infinity" [3,"NaN"]`, "error": `null [3,null]`} {
			client := newClient(t, predict.Config{Protocol: protocol, NaN: nan, Transport: &canned{answer: answer}})
			r := client.NewRequest()
			for range 2 {
				if err := r.Add(texts("1", "2")); err != nil {
					t.Fatal(err)
				}
			}
			response, err := client.Predict(t.Context(), r, predict.Send{})
			if err != nil {
				t.Fatal(err)
			}
			values := response.Values(1, nil)
			if got := string(values[0].Bytes) + " " + string(values[1].Bytes); got != want {
				t.Errorf("%s, nan = %q: %s, want %s", protocol, nan, got, want)
			}
			named := response.NaN(1)
			if response.NaN(0) != "" || (nan == "error") != (named != "") {
				t.Errorf("%s, nan = %q: columns %q and %q are to blame", protocol, nan, response.NaN(0), named)
			}
			if named != "" && named != "p" && named != "b" {
				t.Errorf("%s: there is no column %q", protocol, named)
			}
		}
	}
}

func TestColumnsHaveTheTypesOfTensors(t *testing.T) {
	response, err := ask(t, "oip_v2", map[string]string{"a": "f", "b": "i", "c": "t[1]", "d": "t", "e": "s", "f": "none"},
		`{"outputs":[{"name":"f","datatype":"FP32","shape":[2],"data":[1,2]},{"name":"i","datatype":"UINT8","shape":[2,1],"data":[1,2]},
		{"name":"t","datatype":"BOOL","shape":[2,2],"data":[true,true,false,false]},{"name":"s","datatype":"BYTES","shape":[2],"data":["x","y"]},
		{"name":"none","shape":[2],"data":[1,2]}]}`)
	if err != nil {
		t.Fatal(err)
	}
	for column, want := range []string{"double", "int64", "boolean", "json", "string", ""} {
		if got := response.Type(column); got != want {
			t.Errorf("column %s has type %q, want %q", response.Columns()[column], got, want)
		}
	}
}
