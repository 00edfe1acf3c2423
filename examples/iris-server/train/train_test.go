package main

import (
	"encoding/csv"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/examples/iris-server/logistic"
)

func readFile(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestTrainingReproducesTheCommittedModel(t *testing.T) {
	committed, err := logistic.Parse([]byte(readFile(t, "../model.json")))
	if err != nil {
		t.Fatal(err)
	}
	trained, err := train()
	if err != nil {
		t.Fatal(err)
	}

	if got, want := trained.Training, committed.Training; got != want {
		t.Errorf("training = %+v, committed %+v", got, want)
	}
	if !slices.Equal(trained.Features, committed.Features) || !slices.Equal(trained.Classes, committed.Classes) {
		t.Errorf("features %v, classes %v, committed %v, %v", trained.Features, trained.Classes, committed.Features, committed.Classes)
	}
	// Processors that fuse multiply and add round differently in the last bits.
	for i, got := range parameters(trained) {
		if want := parameters(committed)[i]; math.Abs(got-want) > 1e-9 {
			t.Errorf("parameter %d = %v, committed %v: run go run ./examples/iris-server/train", i, got, want)
		}
	}
}

func TestTheModelClassifies146Of150TrainingRecords(t *testing.T) {
	model, err := train()
	if err != nil {
		t.Fatal(err)
	}
	if correct := model.Training.Accuracy * 150; math.Abs(correct-146) > 1e-9 {
		t.Errorf("%v of 150 records classified correctly, want 146 (accuracy 0.9733)", correct)
	}
}

// The class means are those of the published data; a typing error in the file would show here.
func TestTheDataIsFishers(t *testing.T) {
	data, err := parse(labelled)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][4]float64{ // class means
		"setosa":     {5.006, 3.428, 1.462, 0.246},
		"versicolor": {5.936, 2.770, 4.260, 1.326},
		"virginica":  {6.588, 2.974, 5.552, 2.026},
	}
	sums, counts := map[string]*[4]float64{}, map[string]int{}
	for r, record := range data.records {
		class := data.classes[data.labels[r]]
		if sums[class] == nil {
			sums[class] = new([4]float64)
		}
		counts[class]++
		for i, value := range record {
			sums[class][i] += value
		}
	}
	for class, means := range want {
		if counts[class] != 50 {
			t.Fatalf("%s has %d records, want 50", class, counts[class])
		}
		for i, mean := range means {
			if got := sums[class][i] / 50; math.Abs(got-mean) > 1e-9 {
				t.Errorf("mean %s of %s = %v, want %v", data.features[i], class, got, mean)
			}
		}
	}
}

func TestTheQuickstartPredictsTheSameRecordsWithoutTheirSpecies(t *testing.T) {
	rows := func(text string) [][]string {
		all, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	want := rows(labelled)
	got := rows(readFile(t, "../../quickstart/iris.csv"))
	if len(got) != len(want) {
		t.Fatalf("quickstart has %d lines, training data %d", len(got), len(want))
	}
	for i := range want {
		if !slices.Equal(got[i], want[i][:5]) {
			t.Errorf("line %d = %v, want %v", i+1, got[i], want[i][:5])
		}
	}
}

func TestTrainingRefusesDataItCannotUse(t *testing.T) {
	cases := map[string]struct{ text, want string }{
		"no records":       {"id,x,class\n", "at least one record"},
		"not a number":     {"id,x,class\n1,wide,a\n", "record 1, x"},
		"constant feature": {"id,x,class\n1,2,a\n2,2,b\n", "standardise x"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			data, err := parse(c.text)
			if err == nil {
				_, err = fit(data)
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error = %v, want %q", err, c.want)
			}
		})
	}
}

// parameters lists all numbers predictions depend on.
func parameters(m *logistic.Model) []float64 {
	return slices.Concat(m.Means, m.Scales, m.Intercepts, slices.Concat(m.Coefficients...))
}
