package store

import (
	"context"
	"sync/atomic"
	"testing"
)

// BenchmarkStage is one durable transition of a mini-batch, made by as many
// workers at once as a busy runner has.
func BenchmarkStage(b *testing.B) {
	s, _ := open(b)
	sizes := make([]int64, b.N)
	for i := range sizes {
		sizes[i] = 10
	}
	run := runningRun(b, s, newJob(b, s, "iris"), begin, sizes...)
	claimed := claim(b, s, run, b.N)
	var next atomic.Int64
	b.SetParallelism(128)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m := claimed[next.Add(1)-1]
			if err := s.Write(context.Background(), func(tx *Tx) error { return tx.Stage(run, m, result(m, 0)) }); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "transitions/s")
}
