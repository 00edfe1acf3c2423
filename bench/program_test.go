//go:build bench

package main

import (
	"fmt"
	"os/exec"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// A program that costs nothing, cat, started anew for each mini-batch.
func BenchmarkAgainstParallel(b *testing.B) {
	peer("GNU parallel", "parallel", "--version")
	for _, rows := range []int{1024, 16384} {
		job := benchJob(writeRecords(b, scaled(2_000_000)))
		job.Predict = api.Predict{Features: job.Predict.Features, Program: &api.Program{Command: []string{"cat"}, Per: api.PerMiniBatch},
			Outputs: map[string]string{"score": "a"}}
		job.MiniBatch = &api.MiniBatchSpec{Rows: new(int64(rows))}
		records := scaled(rows * 200)
		input := writeRecords(b, records)
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) {
			for b.Loop() {
				turns(b, fmt.Sprintf("program-%d", rows), 3, func() cost { return predictJob(b, job).cost() }, func() cost {
					cmd := exec.Command("bash", "-c", `parallel --will-cite --pipe -N "$1" -j 8 --keep-order cat < "$2" > "$2.out"`, "bash", fmt.Sprint(rows), input)
					return run(b, records, cmd)
				})
			}
		})
	}
}
