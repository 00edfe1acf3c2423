// Command train fits the iris model and writes model.json. From the top of the
// repository:
//
//	go run ./examples/iris-server/train
//
// Training uses no randomness and runs until the optimum is reached, so it
// gives the same model again, up to the last bits of rounding, on any machine.
package main

import (
	_ "embed"
	"encoding/json"
	"flag"
	"fmt"
	"os"

	"github.com/batchpattern/terraform-provider-batch/examples/iris-server/logistic"
)

//go:embed iris-labelled.csv
var labelled string

func main() {
	out := flag.String("out", "examples/iris-server/model.json", "file to write the model to")
	flag.Parse()
	if err := run(*out); err != nil {
		fmt.Fprintln(os.Stderr, "train:", err)
		os.Exit(1)
	}
}

func run(out string) error {
	model, err := train()
	if err != nil {
		return err
	}
	encoded, err := json.MarshalIndent(model, "", "  ")
	if err != nil {
		return fmt.Errorf("encode model: %w", err)
	}
	if err := os.WriteFile(out, append(encoded, '\n'), 0o644); err != nil {
		return fmt.Errorf("write model: %w", err)
	}
	fmt.Printf("trained on %d records, training accuracy %.4f, wrote %s\n",
		model.Training.Records, model.Training.Accuracy, out)
	return nil
}

// train builds the model from the embedded records.
func train() (*logistic.Model, error) {
	data, err := parse(labelled)
	if err != nil {
		return nil, fmt.Errorf("read iris-labelled.csv: %w", err)
	}
	return fit(data)
}
