// Package logistic is multinomial logistic regression as a file: the model the
// training program writes and the server loads, and the arithmetic that turns
// measurements into probabilities. Training lives in ../train, HTTP in the server.
package logistic

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
)

// Model is a trained model, as stored in model.json.
type Model struct {
	Name     string   `json:"name"`
	Version  string   `json:"version"`
	Features []string `json:"features"`
	Classes  []string `json:"classes"`

	// Means and Scales standardise a feature before it is weighted: (x - mean) / scale.
	Means  []float64 `json:"means"`
	Scales []float64 `json:"scales"`

	// Coefficients has one row per class and one column per feature.
	Coefficients [][]float64 `json:"coefficients"`
	Intercepts   []float64   `json:"intercepts"`

	Training Training `json:"training"`
}

// Training records where a model came from; predictions do not depend on it.
type Training struct {
	Method   string  `json:"method"`
	Data     string  `json:"data"`
	Records  int     `json:"records"`
	L2       float64 `json:"l2"`
	Accuracy float64 `json:"accuracy"` // share of the training records classified correctly
}

// Prediction is the most probable class and the probability of every class, in
// the order of Model.Classes.
type Prediction struct {
	Label         string    `json:"label"`
	Probabilities []float64 `json:"probabilities"`
}

// Parse reads a model file and refuses one whose parts do not fit together.
func Parse(data []byte) (*Model, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	m := new(Model)
	if err := decoder.Decode(m); err != nil {
		return nil, fmt.Errorf("parse model: %w", err)
	}
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("check model %q: %w", m.Name, err)
	}
	return m, nil
}

// Predict classifies one record, whose values stand in the order of Model.Features.
func (m *Model) Predict(record []float64) (Prediction, error) {
	if len(record) != len(m.Features) {
		return Prediction{}, fmt.Errorf("expected %d values %v, got %d", len(m.Features), m.Features, len(record))
	}
	probabilities := make([]float64, len(m.Classes))
	for class, weights := range m.Coefficients {
		score := m.Intercepts[class]
		for i, x := range record {
			score += weights[i] * (x - m.Means[i]) / m.Scales[i]
		}
		probabilities[class] = score
	}
	Softmax(probabilities)

	best := 0
	for class, p := range probabilities {
		if math.IsNaN(p) {
			return Prediction{}, fmt.Errorf("values %v are too large to classify", record)
		}
		if p > probabilities[best] {
			best = class
		}
	}
	return Prediction{Label: m.Classes[best], Probabilities: probabilities}, nil
}

// Softmax turns scores into probabilities in place. The largest score is
// subtracted first, so that exp cannot overflow.
func Softmax(scores []float64) {
	top := slices.Max(scores)
	sum := 0.0
	for i, score := range scores {
		scores[i] = math.Exp(score - top)
		sum += scores[i]
	}
	for i := range scores {
		scores[i] /= sum
	}
}

func (m *Model) check() error {
	features, classes := len(m.Features), len(m.Classes)
	if m.Name == "" || m.Version == "" {
		return errors.New("name and version must be set")
	}
	if features < 1 || classes < 2 {
		return fmt.Errorf("at least 1 feature and 2 classes are needed, got %d and %d", features, classes)
	}
	if len(m.Means) != features || len(m.Scales) != features {
		return fmt.Errorf("%d features need as many means and scales, got %d and %d", features, len(m.Means), len(m.Scales))
	}
	if slices.ContainsFunc(m.Scales, func(scale float64) bool { return scale <= 0 }) {
		return fmt.Errorf("scales must be positive, got %v", m.Scales)
	}
	if len(m.Coefficients) != classes || len(m.Intercepts) != classes {
		return fmt.Errorf("%d classes need as many rows of coefficients and intercepts, got %d and %d",
			classes, len(m.Coefficients), len(m.Intercepts))
	}
	for class, weights := range m.Coefficients {
		if len(weights) != features {
			return fmt.Errorf("class %s needs %d coefficients, got %d", m.Classes[class], features, len(weights))
		}
	}
	return nil
}
