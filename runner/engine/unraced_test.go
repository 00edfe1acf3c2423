//go:build !race

package engine_test

const (
	stride         = 1       // tests that disturb a run at each of its steps leave none out
	drawnHistories = 100     // unless the flag says otherwise
	manyRecords    = 100_000 // among which poison is searched for
)
