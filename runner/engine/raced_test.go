//go:build race

package engine_test

// Under the race detector, which makes everything ten times slower, a part of
// what is tried will do; all of it is tried without.
const (
	stride         = 25
	drawnHistories = 20
	manyRecords    = 10_000
)
