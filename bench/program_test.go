//go:build bench

package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// What a model costs that is loaded for each block of records, as parallel does,
// instead of once for each request in flight.
func BenchmarkModelAgainstParallel(b *testing.B) {
	peer("GNU parallel", "parallel", "--version")
	peer("scikit-learn", python, "-c", "import sklearn; print(sklearn.__version__)")
	interpreter, err := filepath.Abs(python) // not resolved: its packages are found by this name
	must(b, err)
	script, err := filepath.Abs("peers/iris_program.py")
	must(b, err)
	model := filepath.Join(b.TempDir(), "iris.pickle")
	if out, err := exec.Command(interpreter, script, "fit", model).CombinedOutput(); err != nil {
		b.Fatalf("fit the model: %v\n%s", err, out)
	}
	for _, rows := range []int{1024, 16384} {
		againstParallel(b, "model", rows, scaled(rows*16), api.Program{Command: []string{interpreter, script, model}, Per: api.PerSlot})
	}
}

// A program that costs nothing, cat: what is left is what it takes to start it
// and to feed it.
func BenchmarkAgainstParallel(b *testing.B) {
	peer("GNU parallel", "parallel", "--version")
	for _, rows := range []int{1024, 16384} {
		againstParallel(b, "kept", rows, scaled(rows*200), api.Program{Command: []string{"cat"}, Per: api.PerSlot})
		againstParallel(b, "program", rows, scaled(rows*200), api.Program{Command: []string{"cat"}, Per: api.PerMiniBatch})
	}
}

// againstParallel has parallel start a program for each block of so many rows,
// and us ask it by mini-batches of as many, or where it is kept by requests.
func againstParallel(b *testing.B, name string, rows, theirs int, program api.Program) {
	b.Helper()
	job := benchJob(writeRecords(b, scaled(2_000_000)))
	job.Predict = api.Predict{Features: job.Predict.Features, Program: &program, Outputs: map[string]string{"score": "score"}}
	if program.Command[0] == "cat" {
		job.Predict.Outputs["score"] = "a"
	}
	if program.Per == api.PerMiniBatch {
		job.MiniBatch = &api.MiniBatchSpec{Rows: new(int64(rows))}
	} else {
		job.Predict.RowsPerRequest = new(int64(rows))
	}
	input := writeRecords(b, theirs)
	b.Run(fmt.Sprintf("%s/rows=%d", name, rows), func(b *testing.B) {
		for b.Loop() {
			turns(b, fmt.Sprintf("%s-%d", name, rows), 3, func() cost { return predictJob(b, job).cost() }, func() cost {
				script := `input=$1 rows=$2; shift 2; parallel --will-cite --pipe -N "$rows" -j 8 --keep-order "$@" < "$input" > "$input.out"`
				cmd := exec.Command("bash", append([]string{"-c", script, "bash", input, fmt.Sprint(rows)}, program.Command...)...)
				return run(b, theirs, cmd)
			})
		}
	})
}
