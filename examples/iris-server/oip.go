package main

import (
	"net/http"
	"slices"

	"github.com/batchpattern/terraform-provider-batch/examples/iris-server/logistic"
)

// The Open Inference Protocol v2 (KServe, Triton, MLServer): tensors by name.

// inputName is the matrix input: one row per record, one column per feature.
const inputName = "input"

type oipTensor struct {
	Name     string `json:"name"`
	Datatype string `json:"datatype"`
	Shape    []int  `json:"shape"` // in metadata, -1 is any number of records
	Data     any    `json:"data,omitempty"`
}

type oipModel struct {
	Name     string      `json:"name"`
	Versions []string    `json:"versions"`
	Platform string      `json:"platform"`
	Inputs   []oipTensor `json:"inputs"`
	Outputs  []oipTensor `json:"outputs"`
}

type oipRequest struct {
	ID      string     `json:"id"`
	Inputs  []oipInput `json:"inputs"`
	Outputs []struct {
		Name string `json:"name"`
	} `json:"outputs"` // the outputs wanted; none is all
}

type oipResponse struct {
	ModelName    string      `json:"model_name"`
	ModelVersion string      `json:"model_version"`
	ID           string      `json:"id,omitempty"`
	Outputs      []oipTensor `json:"outputs"`
}

func (s *server) live(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]bool{"live": true})
}

func (s *server) ready(w http.ResponseWriter, _ *http.Request) {
	if s.model.Load() == nil {
		writeJSON(w, http.StatusServiceUnavailable, map[string]bool{"ready": false})
		return
	}
	writeJSON(w, http.StatusOK, map[string]bool{"ready": true})
}

func (s *server) oipReady(m *logistic.Model, _ *http.Request) (any, error) {
	return map[string]any{"name": m.Name, "ready": true}, nil
}

func (s *server) oipMetadata(m *logistic.Model, _ *http.Request) (any, error) {
	return oipModel{
		Name:     m.Name,
		Versions: []string{m.Version},
		Platform: "go_logistic",
		Inputs:   []oipTensor{{Name: inputName, Datatype: "FP64", Shape: []int{-1, len(m.Features)}}},
		Outputs: []oipTensor{
			{Name: "label", Datatype: "BYTES", Shape: []int{-1}},
			{Name: "probabilities", Datatype: "FP64", Shape: []int{-1, len(m.Classes)}},
		},
	}, nil
}

func (s *server) oipInfer(m *logistic.Model, r *http.Request) (any, error) {
	var request oipRequest
	if err := readJSON(r, &request); err != nil {
		return nil, err
	}
	records, err := request.records(m.Features)
	if err != nil {
		return nil, err
	}
	predictions, err := predict(m, records)
	if err != nil {
		return nil, err
	}
	outputs, err := request.selectOutputs(outputTensors(m, predictions))
	if err != nil {
		return nil, err
	}
	return oipResponse{ModelName: m.Name, ModelVersion: m.Version, ID: request.ID, Outputs: outputs}, nil
}

// records reads the inputs, either one matrix or one column per feature in any order.
func (q *oipRequest) records(features []string) ([][]float64, error) {
	if len(q.Inputs) == 1 {
		in := q.Inputs[0]
		if in.Name != inputName {
			return nil, problem(http.StatusBadRequest, "unknown input %q: send %q or the columns %q", in.Name, inputName, features)
		}
		return in.rows(len(features))
	}
	if len(q.Inputs) != len(features) {
		return nil, problem(http.StatusBadRequest, "got %d inputs: send %q or the columns %q", len(q.Inputs), inputName, features)
	}
	var records [][]float64
	for column, name := range features {
		at := slices.IndexFunc(q.Inputs, func(in oipInput) bool { return in.Name == name })
		if at < 0 {
			return nil, problem(http.StatusBadRequest, "input %q is missing: send %q or the columns %q", name, inputName, features)
		}
		cells, err := q.Inputs[at].rows(1)
		if err != nil {
			return nil, err
		}
		if column == 0 {
			records = make([][]float64, len(cells))
		}
		if len(cells) != len(records) {
			return nil, problem(http.StatusBadRequest, "input %q has %d records, %q has %d", name, len(cells), features[0], len(records))
		}
		for i, cell := range cells {
			records[i] = append(records[i], cell...)
		}
	}
	return records, nil
}

// selectOutputs keeps the outputs the request asks for, in its order.
func (q *oipRequest) selectOutputs(all []oipTensor) ([]oipTensor, error) {
	if len(q.Outputs) == 0 {
		return all, nil
	}
	selected := make([]oipTensor, 0, len(q.Outputs))
	for _, wanted := range q.Outputs {
		at := slices.IndexFunc(all, func(t oipTensor) bool { return t.Name == wanted.Name })
		if at < 0 {
			return nil, problem(http.StatusBadRequest, "unknown output %q: the model has label and probabilities", wanted.Name)
		}
		selected = append(selected, all[at])
	}
	return selected, nil
}

func outputTensors(m *logistic.Model, predictions []logistic.Prediction) []oipTensor {
	labels := make([]string, 0, len(predictions))
	probabilities := make([]float64, 0, len(predictions)*len(m.Classes))
	for _, p := range predictions {
		labels = append(labels, p.Label)
		probabilities = append(probabilities, p.Probabilities...)
	}
	n := len(predictions)
	return []oipTensor{
		{Name: "label", Datatype: "BYTES", Shape: []int{n}, Data: labels},
		{Name: "probabilities", Datatype: "FP64", Shape: []int{n, len(m.Classes)}, Data: probabilities},
	}
}
