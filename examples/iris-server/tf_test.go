package main

import (
	"math"
	"net/http"
	"testing"
)

const predictPath = "/v1/models/iris:predict"

func TestPredictAnswersOnePredictionPerInstance(t *testing.T) {
	named := `{"petal_width":0.2,"petal_length":1.4,"sepal_width":3.5,"sepal_length":5.1}`
	for _, path := range []string{predictPath, "/v1/models/iris/versions/1:predict"} {
		t.Run(path, func(t *testing.T) {
			body := `{"instances":[` + virginica + `,` + setosa + `,` + versicolor + `,` + named + `]}`
			reply := decode[tfReply](t, call(loaded(t), path, body))

			if len(reply.Predictions) != 4 {
				t.Fatalf("got %d predictions for 4 instances", len(reply.Predictions))
			}
			for i, want := range []string{"virginica", "setosa", "versicolor", "setosa"} {
				p := reply.Predictions[i]
				if p.Label != want {
					t.Errorf("prediction %d = %s, want %s", i, p.Label, want)
				}
				if sum := p.Probabilities[0] + p.Probabilities[1] + p.Probabilities[2]; math.Abs(sum-1) > 1e-12 {
					t.Errorf("probabilities %d add up to %v", i, sum)
				}
			}
			if p := reply.Predictions[1].Probabilities[0]; p < 0.98 || p > 0.99 {
				t.Errorf("probability that the second record is setosa = %v, want 0.985", p)
			}
		})
	}
}

func TestPredictNamesWhatIsWrongWithARequest(t *testing.T) {
	cases := map[string]struct{ body, want string }{
		"not JSON":        {"[", "decode request body"},
		"two values":      {`{"instances":[]} {}`, "decode request body"},
		"no instances":    {`{"inputs":[]}`, `"instances" is missing`},
		"three values":    {`{"instances":[` + setosa + `,[1,2,3]]}`, "record 1: expected 4 values"},
		"null instance":   {`{"instances":[null]}`, "record 0: expected 4 values"},
		"null value":      {`{"instances":[[1,2,3,null]]}`, "value 3 is null"},
		"text":            {`{"instances":[["1",2,3,4]]}`, "expected a list of numbers"},
		"missing key":     {`{"instances":[{"sepal_length":1}]}`, "record 0: expected the 4 values"},
		"misspelt key":    {`{"instances":[{"sepal_length":1,"sepal_width":1,"petal_length":1,"width":1}]}`, "petal_width is missing"},
		"instance number": {`{"instances":[7]}`, "expected a list of numbers"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			expectError(t, call(loaded(t), predictPath, c.body), http.StatusBadRequest, c.want)
		})
	}
}
