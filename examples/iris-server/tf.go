package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/batchpattern/terraform-provider-batch/examples/iris-server/logistic"
)

// The TensorFlow Serving REST API (also KServe v1): one instance per record.

type tfStatusReply struct {
	Versions []tfVersion `json:"model_version_status"`
}

type tfVersion struct {
	Version string   `json:"version"`
	State   string   `json:"state"`
	Status  tfDetail `json:"status"`
}

type tfDetail struct {
	Code    string `json:"error_code"`
	Message string `json:"error_message"`
}

type tfRequest struct {
	Instances []tfInstance `json:"instances"`
}

type tfReply struct {
	Predictions []logistic.Prediction `json:"predictions"`
}

// tfInstance is one record: a list of values in the order of the model's
// features, or an object with one number per feature.
type tfInstance struct {
	values numbers
	named  map[string]*float64
}

func (i *tfInstance) UnmarshalJSON(raw []byte) error {
	if startsWith(raw, '{') {
		return json.Unmarshal(raw, &i.named)
	}
	return json.Unmarshal(raw, &i.values)
}

// record puts the values into the order of the features.
func (i *tfInstance) record(features []string) ([]float64, error) {
	if i.named == nil {
		return i.values, nil // the model checks the number of values
	}
	if len(i.named) != len(features) {
		return nil, fmt.Errorf("expected the %d values %v, got %d", len(features), features, len(i.named))
	}
	record := make([]float64, 0, len(features))
	for _, name := range features {
		value := i.named[name]
		if value == nil {
			return nil, fmt.Errorf("%s is missing or null", name)
		}
		record = append(record, *value)
	}
	return record, nil
}

// tfStatus answers 200 while the model loads, too: the state says whether it can predict.
func (s *server) tfStatus(w http.ResponseWriter, r *http.Request) {
	if r.PathValue("model") == modelName && s.model.Load() == nil {
		writeJSON(w, http.StatusOK, statusReply("0", "LOADING"))
		return
	}
	s.withModel(func(m *logistic.Model, _ *http.Request) (any, error) {
		return statusReply(m.Version, "AVAILABLE"), nil
	})(w, r)
}

func statusReply(version, state string) tfStatusReply {
	return tfStatusReply{Versions: []tfVersion{{Version: version, State: state, Status: tfDetail{Code: "OK"}}}}
}

// tfPredict serves /v1/models/NAME:predict and /v1/models/NAME/versions/VERSION:predict.
func (s *server) tfPredict(w http.ResponseWriter, r *http.Request) {
	last, ok := strings.CutSuffix(r.PathValue("call"), ":predict")
	if !ok {
		writeError(w, problem(http.StatusNotFound, "unknown call %q: this server knows %s:predict", r.PathValue("call"), modelName))
		return
	}
	if r.PathValue("model") == "" {
		r.SetPathValue("model", last)
	} else {
		r.SetPathValue("version", last)
	}
	s.withModel(s.tfAnswer)(w, r)
}

func (s *server) tfAnswer(m *logistic.Model, r *http.Request) (any, error) {
	var request tfRequest
	if err := readJSON(r, &request); err != nil {
		return nil, err
	}
	if request.Instances == nil {
		return nil, problem(http.StatusBadRequest, `"instances" is missing: send {"instances": [[...], ...]}`)
	}
	records := make([][]float64, 0, len(request.Instances))
	for i, instance := range request.Instances {
		record, err := instance.record(m.Features)
		if err != nil {
			return nil, problem(http.StatusBadRequest, "record %d: %v", i, err)
		}
		records = append(records, record)
	}
	predictions, err := predict(m, records)
	if err != nil {
		return nil, err
	}
	return tfReply{Predictions: predictions}, nil
}
