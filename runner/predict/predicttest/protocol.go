package predicttest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
)

// Prediction is what the model says of one record.
type Prediction struct {
	Score float64    `json:"score"` // oip_v2: FP64 [n]
	Proba [3]float64 `json:"proba"` // FP64 [n,3]
	Label string     `json:"label"` // BYTES [n]
}

// Predict is the model: a pure function of a record's features, given as the
// JSON tokens of the request. The score is their sum, where a text counts as
// its length and true as 1.
func Predict(features []string) (Prediction, error) {
	var p Prediction
	for _, f := range features {
		value, err := number(f)
		if err != nil {
			return p, err
		}
		p.Score += value
	}
	if math.IsInf(p.Score, 0) {
		return p, fmt.Errorf("the sum of the features is infinite")
	}
	weight := math.Abs(math.Mod(p.Score, 8))
	total := weight + 3
	p.Proba = [3]float64{weight / total, 1 / total, 2 / total}
	p.Label = "class-" + strconv.Itoa(int(weight)%3)
	return p, nil
}

func number(feature string) (float64, error) {
	switch {
	case feature == "true":
		return 1, nil
	case feature == "false":
		return 0, nil
	case feature[0] == '"':
		return float64(len(text(feature))), nil
	}
	value, err := strconv.ParseFloat(feature, 64)
	if err != nil {
		return 0, fmt.Errorf("feature %s is not a number", feature)
	}
	return value, nil
}

// text is a JSON token as people read it.
func text(token string) string {
	var s string
	if json.Unmarshal([]byte(token), &s) == nil {
		return s
	}
	return token
}

// protocol reads requests and writes predictions.
type protocol interface {
	read(content []byte) (*request, error)
	// answer predicts the first n records.
	answer(q *request, n int) ([]byte, error)
}

// request is a request with records, in either protocol.
type request struct {
	id      string
	outputs []string   // asked for; none is all
	records [][]string // the features of each, as JSON tokens
	ids     []string
}

func (q *request) identify(index int) error {
	for _, record := range q.records {
		if index >= len(record) {
			return fmt.Errorf("a record has %d features, none at index %d", len(record), index)
		}
		q.ids = append(q.ids, text(record[index]))
	}
	return nil
}

func (q *request) predict(n int) ([]Prediction, error) {
	predictions := make([]Prediction, 0, n)
	for _, record := range q.records[:n] {
		p, err := Predict(record)
		if err != nil {
			return nil, err
		}
		predictions = append(predictions, p)
	}
	return predictions, nil
}

type oip struct{}

type oipTensor struct {
	Name     string `json:"name"`
	Shape    []int  `json:"shape"`
	Datatype string `json:"datatype"`
	Data     any    `json:"data"`
}

func (oip) read(content []byte) (*request, error) {
	var in struct {
		ID     string `json:"id"`
		Inputs []struct {
			Name     string            `json:"name"`
			Shape    []int             `json:"shape"`
			Datatype string            `json:"datatype"`
			Data     []json.RawMessage `json:"data"`
		} `json:"inputs"`
		Outputs []struct {
			Name string `json:"name"`
		} `json:"outputs"`
	}
	if err := json.Unmarshal(content, &in); err != nil {
		return nil, err
	}
	q := &request{id: in.ID}
	for _, o := range in.Outputs {
		q.outputs = append(q.outputs, o.Name)
	}
	for _, tensor := range in.Inputs {
		if len(tensor.Shape) != 2 || tensor.Shape[0]*tensor.Shape[1] != len(tensor.Data) {
			return nil, fmt.Errorf("input %q: %w %v", tensor.Name, errShape, tensor.Shape)
		}
		n, width := tensor.Shape[0], tensor.Shape[1]
		if q.records == nil {
			q.records = make([][]string, n)
		}
		if len(q.records) != n {
			return nil, fmt.Errorf("input %q: %w of the others", tensor.Name, errShape)
		}
		for i, cell := range tensor.Data {
			if isText := cell[0] == '"'; isText != (tensor.Datatype == "BYTES") {
				return nil, fmt.Errorf("input %q: %s is not %s", tensor.Name, cell, tensor.Datatype)
			}
			q.records[i/width] = append(q.records[i/width], string(cell))
		}
	}
	return q, nil
}

func (oip) answer(q *request, n int) ([]byte, error) {
	predictions, err := q.predict(n)
	if err != nil {
		return nil, err
	}
	scores, probas, labels := make([]float64, 0, n), make([]float64, 0, 3*n), make([]string, 0, n)
	for _, p := range predictions {
		scores = append(scores, p.Score)
		probas = append(probas, p.Proba[:]...)
		labels = append(labels, p.Label)
	}
	all := []oipTensor{
		{Name: "score", Datatype: "FP64", Shape: []int{n}, Data: scores},
		{Name: "proba", Datatype: "FP64", Shape: []int{n, 3}, Data: probas},
		{Name: "label", Datatype: "BYTES", Shape: []int{n}, Data: labels},
	}
	for _, name := range q.outputs {
		if !slices.ContainsFunc(all, func(t oipTensor) bool { return t.Name == name }) {
			return nil, fmt.Errorf("output %q is unknown", name)
		}
	}
	wanted := slices.DeleteFunc(all, func(t oipTensor) bool { return q.outputs != nil && !slices.Contains(q.outputs, t.Name) })
	return json.Marshal(map[string]any{"model_name": "m", "id": q.id, "outputs": wanted})
}

type tf struct{}

func (tf) read(content []byte) (*request, error) {
	var in struct {
		Instances []json.RawMessage `json:"instances"`
	}
	if err := json.Unmarshal(content, &in); err != nil {
		return nil, err
	}
	q := &request{}
	for _, instance := range in.Instances {
		record, err := tokens(instance)
		if err != nil {
			return nil, err
		}
		q.records = append(q.records, record)
	}
	return q, nil
}

// tokens are the values of an instance in their order: of a list, of an
// object, or the one value.
func tokens(instance json.RawMessage) ([]string, error) {
	if instance[0] != '[' && instance[0] != '{' {
		return []string{string(instance)}, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(instance))
	if _, err := decoder.Token(); err != nil {
		return nil, err
	}
	var values []string
	for decoder.More() {
		if instance[0] == '{' {
			if _, err := decoder.Token(); err != nil {
				return nil, err
			}
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, err
		}
		values = append(values, string(value))
	}
	return values, nil
}

func (tf) answer(q *request, n int) ([]byte, error) {
	predictions, err := q.predict(n)
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{"predictions": predictions})
}
