package main

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
)

type inferReply struct {
	ID           string
	ModelName    string `json:"model_name"`
	ModelVersion string `json:"model_version"`
	Outputs      []struct {
		Name, Datatype string
		Shape          []int
		Data           []any
	}
}

const inferPath = "/v2/models/iris/infer"

// matrix is a request with one matrix input.
func matrix(shape, data string) string {
	return fmt.Sprintf(`{"id":"m-7","inputs":[{"name":"input","datatype":"FP64","shape":%s,"data":%s}]}`, shape, data)
}

func TestInferAnswersLabelsAndProbabilitiesInInputOrder(t *testing.T) {
	requests := map[string]string{
		"flat matrix":   matrix("[3,4]", "[6.3,3.3,6.0,2.5, 5.1,3.5,1.4,0.2, 7.0,3.2,4.7,1.4]"),
		"nested matrix": matrix("[3,4]", "[ "+virginica+","+setosa+","+versicolor+"]"),
		"columns, in any order": `{"id":"m-7","inputs":[
			{"name":"petal_width","datatype":"FP32","shape":[3],"data":[2.5,0.2,1.4]},
			{"name":"petal_length","datatype":"FP64","shape":[3,1],"data":[[6.0],[1.4],[4.7]]},
			{"name":"sepal_width","datatype":"FP64","shape":[3,1],"data":[3.3,3.5,3.2]},
			{"name":"sepal_length","datatype":"FP64","shape":[3,1],"data":[6.3,5.1,7.0]}]}`,
	}
	for name, body := range requests {
		for _, path := range []string{inferPath, "/v2/models/iris/versions/1/infer"} {
			t.Run(name+" "+path, func(t *testing.T) {
				reply := decode[inferReply](t, call(loaded(t), path, body))

				if reply.ID != "m-7" || reply.ModelName != "iris" || reply.ModelVersion != "1" {
					t.Errorf("id %q, model %q, version %q, want m-7, iris, 1", reply.ID, reply.ModelName, reply.ModelVersion)
				}
				labels, probabilities := reply.Outputs[0], reply.Outputs[1]
				if labels.Name != "label" || labels.Datatype != "BYTES" || !slices.Equal(labels.Shape, []int{3}) {
					t.Errorf("first output = %+v, want label BYTES [3]", labels)
				}
				if want := []any{"virginica", "setosa", "versicolor"}; !slices.Equal(labels.Data, want) {
					t.Errorf("labels = %v, want %v", labels.Data, want)
				}
				if probabilities.Name != "probabilities" || probabilities.Datatype != "FP64" || !slices.Equal(probabilities.Shape, []int{3, 3}) {
					t.Errorf("second output = %+v, want probabilities FP64 [3,3]", probabilities)
				}
				if p := probabilities.Data[3].(float64); p < 0.98 || p > 0.99 {
					t.Errorf("probability that the second record is setosa = %v, want 0.985", p)
				}
			})
		}
	}
}

func TestInferReturnsOnlyTheOutputsAskedFor(t *testing.T) {
	body := `{"inputs":[{"name":"input","datatype":"FP64","shape":[1,4],"data":` + setosa + `}],"outputs":[{"name":"probabilities"}]}`
	reply := decode[inferReply](t, call(loaded(t), inferPath, body))
	if len(reply.Outputs) != 1 || reply.Outputs[0].Name != "probabilities" {
		t.Errorf("outputs = %+v, want only probabilities", reply.Outputs)
	}
}

func TestInferOfNoRecordsIsEmpty(t *testing.T) {
	reply := decode[inferReply](t, call(loaded(t), inferPath, matrix("[0,4]", "[]")))
	if !slices.Equal(reply.Outputs[0].Shape, []int{0}) || len(reply.Outputs[0].Data) != 0 {
		t.Errorf("label = %+v, want shape [0] and no data", reply.Outputs[0])
	}
}

func TestInferNamesWhatIsWrongWithARequest(t *testing.T) {
	cases := map[string]struct{ body, want string }{
		"not JSON":            {"{", "decode request body"},
		"no inputs":           {"{}", "got 0 inputs"},
		"unknown input":       {`{"inputs":[{"name":"x"}]}`, `unknown input "x"`},
		"column missing":      {`{"inputs":[{"name":"a"},{"name":"b"},{"name":"c"},{"name":"d"}]}`, `"sepal_length" is missing`},
		"datatype":            {`{"inputs":[{"name":"input","datatype":"BYTES"}]}`, `datatype "BYTES"`},
		"width":               {matrix("[1,3]", "[1,2,3]"), "expected shape [n,4], got [1 3]"},
		"no shape":            {matrix("[]", "[]"), "expected shape [n,4]"},
		"negative count":      {matrix("[-1,4]", setosa), "expected shape [n,4]"},
		"too few values":      {matrix("[2,4]", setosa), "shape [2 4] does not fit 4 values"},
		"count that wraps":    {matrix("[4611686018427387905,4]", setosa), "does not fit 4 values"},
		"ragged rows":         {matrix("[2,4]", "[[1,2,3],[4,5,6,7,8]]"), "expected 4 values in row 0, got 3"},
		"null":                {matrix("[1,4]", "[5.1,null,1.4,0.2]"), "value 1 is null"},
		"text":                {matrix("[1,4]", `[5.1,"3.5",1.4,0.2]`), "expected a list of numbers"},
		"no data":             {`{"inputs":[{"name":"input","datatype":"FP64","shape":[1,4]}]}`, "data is missing"},
		"beyond the model":    {matrix("[1,4]", "[1e308,1e308,1e308,1e308]"), "record 0"},
		"unknown output":      {`{"inputs":[{"name":"input","datatype":"FP64","shape":[0,4],"data":[]}],"outputs":[{"name":"y"}]}`, `unknown output "y"`},
		"columns of 1 and 2":  {columns("[1]", "[2]"), `input "sepal_width" has 2 records, "sepal_length" has 1`},
		"columns as a matrix": {columns("[1]", "[1,2]"), "expected shape [n,1], got [1 2]"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			expectError(t, call(loaded(t), inferPath, c.body), http.StatusBadRequest, c.want)
		})
	}
}

// columns is a request whose second column has another shape than the first.
func columns(first, second string) string {
	return fmt.Sprintf(`{"inputs":[
		{"name":"sepal_length","datatype":"FP64","shape":%s,"data":[1]},
		{"name":"sepal_width","datatype":"FP64","shape":%s,"data":[1,2]},
		{"name":"petal_length","datatype":"FP64","shape":[1],"data":[1]},
		{"name":"petal_width","datatype":"FP64","shape":[1],"data":[1]}]}`, first, second)
}
