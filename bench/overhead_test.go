//go:build bench

package main

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
)

// What a run costs beside its predictions: a server launched and stopped,
// 150 records planned, predicted and committed.
func BenchmarkOverheadOfARun(b *testing.B) {
	job := benchJob(writeRecords(b, 150))
	least := math.Inf(1)
	for b.Loop() {
		for range 5 {
			run := predictJob(b, job)
			least = min(least, float64(run.EndedAt.Sub(run.StartedAt).Microseconds())/1000)
		}
	}
	record(b, "overhead", least)
}

// How fast the store's transactions are, of which each mini-batch takes a few;
// the store's own benchmark tells.
func BenchmarkTransitions(b *testing.B) {
	for b.Loop() {
		out, err := exec.Command("go", "test", "-run", "^$", "-bench", "^BenchmarkStage$", "-benchtime", fmt.Sprint(scaled(20_000))+"x", "../runner/store").CombinedOutput()
		found := regexp.MustCompile(`([0-9.]+) transitions/s`).FindSubmatch(out)
		if found == nil {
			b.Fatalf("%v\n%s", err, out)
		}
		speed, err := strconv.ParseFloat(string(found[1]), 64)
		must(b, err)
		record(b, "transitions", speed)
	}
}

func BenchmarkSizeOfTheRunner(b *testing.B) {
	for b.Loop() {
		info, err := os.Stat(binary)
		must(b, err)
		record(b, "size", float64(info.Size())/1e6)
	}
}
