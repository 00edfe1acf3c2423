package main

import (
	"fmt"
	"math"

	"github.com/batchpattern/terraform-provider-batch/examples/iris-server/logistic"
)

const (
	// l2 weighs the penalty l2/2 * sum(coefficients²) against the summed
	// cross-entropy; 1 is what most libraries start from (C = 1).
	l2 = 1.0

	// stepSize is below 2/L for the mean loss over standardised features: L is at most
	// half the largest eigenvalue of their correlation matrix (2.92 for iris).
	stepSize = 0.5

	// tolerance on the largest element of the gradient. It is this tight so that the
	// result is the optimum itself, whatever the processor's rounding.
	tolerance     = 1e-12
	maxIterations = 100_000

	method = "multinomial logistic regression on standardised features, L2 on the coefficients, " +
		"full-batch gradient descent from zero until the gradient vanishes"
)

// fit trains a model on the whole data set.
func fit(data *dataset) (*logistic.Model, error) {
	means, scales, err := standardisation(data)
	if err != nil {
		return nil, err
	}
	coefficients, intercepts, err := descend(data, standardise(data.records, means, scales))
	if err != nil {
		return nil, err
	}
	model := &logistic.Model{
		Name:         "iris",
		Version:      "1",
		Features:     data.features,
		Classes:      data.classes,
		Means:        means,
		Scales:       scales,
		Coefficients: coefficients,
		Intercepts:   intercepts,
		Training:     logistic.Training{Method: method, Data: "iris-labelled.csv", Records: len(data.records), L2: l2},
	}
	model.Training.Accuracy, err = accuracy(model, data)
	return model, err
}

// standardisation returns each feature's mean and population standard deviation.
func standardisation(data *dataset) (means, scales []float64, err error) {
	n := float64(len(data.records))
	means = make([]float64, len(data.features))
	scales = make([]float64, len(data.features))
	for i, name := range data.features {
		for _, record := range data.records {
			means[i] += record[i] / n
		}
		variance := 0.0
		for _, record := range data.records {
			deviation := record[i] - means[i]
			variance += deviation * deviation / n
		}
		if variance == 0 {
			return nil, nil, fmt.Errorf("standardise %s: all values are equal", name)
		}
		scales[i] = math.Sqrt(variance)
	}
	return means, scales, nil
}

func standardise(records [][]float64, means, scales []float64) [][]float64 {
	standardised := make([][]float64, len(records))
	for r, record := range records {
		standardised[r] = make([]float64, len(record))
		for i, value := range record {
			standardised[r][i] = (value - means[i]) / scales[i]
		}
	}
	return standardised
}

// descend minimises the penalised loss. The loss is convex, and the intercepts' gradients
// add up to zero over the classes, so starting from zero leads to one optimum.
func descend(data *dataset, records [][]float64) (coefficients [][]float64, intercepts []float64, err error) {
	coefficients = matrix(len(data.classes), len(data.features))
	intercepts = make([]float64, len(data.classes))
	for range maxIterations {
		slopes, offsets := gradient(records, data.labels, coefficients, intercepts)
		largest := 0.0
		for class := range coefficients {
			for i, slope := range slopes[class] {
				coefficients[class][i] -= stepSize * slope
				largest = max(largest, math.Abs(slope))
			}
			intercepts[class] -= stepSize * offsets[class]
			largest = max(largest, math.Abs(offsets[class]))
		}
		if largest < tolerance {
			return coefficients, intercepts, nil
		}
	}
	return nil, nil, fmt.Errorf("fit model: no optimum after %d iterations", maxIterations)
}

// gradient is that of the penalised loss divided by the number of records.
func gradient(records [][]float64, labels []int, coefficients [][]float64, intercepts []float64) (slopes [][]float64, offsets []float64) {
	n := float64(len(records))
	slopes = matrix(len(coefficients), len(coefficients[0]))
	offsets = make([]float64, len(intercepts))
	residuals := make([]float64, len(intercepts)) // probability minus truth, per class
	for r, record := range records {
		for class, weights := range coefficients {
			residuals[class] = intercepts[class]
			for i, x := range record {
				residuals[class] += weights[i] * x
			}
		}
		logistic.Softmax(residuals)
		residuals[labels[r]]--
		for class, residual := range residuals {
			offsets[class] += residual / n
			for i, x := range record {
				slopes[class][i] += residual * x / n
			}
		}
	}
	for class, weights := range coefficients {
		for i, weight := range weights {
			slopes[class][i] += l2 * weight / n
		}
	}
	return slopes, offsets
}

// accuracy is the share of records the model classifies correctly.
func accuracy(model *logistic.Model, data *dataset) (float64, error) {
	correct := 0
	for r, record := range data.records {
		prediction, err := model.Predict(record)
		if err != nil {
			return 0, fmt.Errorf("predict record %d: %w", r+1, err)
		}
		if prediction.Label == data.classes[data.labels[r]] {
			correct++
		}
	}
	return float64(correct) / float64(len(data.records)), nil
}

func matrix(rows, columns int) [][]float64 {
	m := make([][]float64, rows)
	for i := range m {
		m[i] = make([]float64, columns)
	}
	return m
}
