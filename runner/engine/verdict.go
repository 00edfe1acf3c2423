package engine

import (
	"fmt"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// verdict is how a run ends.
type verdict struct {
	State   api.RunState // succeeded, incomplete or failed
	Reason  api.Reason
	Message string
}

// exceeded tells whether so many records failed that the run must stop now.
func exceeded(failed, planned int64, max api.Threshold) bool {
	return failed > max.Allows(planned)
}

// judge ends a run in which nothing is left to do: every mini-batch is
// staged, committed or given up.
func judge(c api.Counts, maxFailed string, max api.Threshold) verdict {
	failed, done := c.Failed(), c.Staged+c.Committed
	switch {
	case exceeded(failed, c.Planned, max):
		rest := fmt.Sprintf("nothing was published, %s staged records wait", api.Thousands(c.Staged))
		if c.Committed > 0 {
			rest = fmt.Sprintf("visible already: %s; staged and waiting: %s", api.Counted(c.Committed, "record"), api.Counted(c.Staged, "record"))
		}
		return verdict{api.RunFailed, api.ReasonMaxFailed, fmt.Sprintf("%s of %s records failed, max_failed %s allows %s: %s",
			api.Thousands(failed), api.Thousands(c.Planned), maxFailed, api.Thousands(max.Allows(c.Planned)), rest)}
	case done == 0 && c.Gone > 0:
		return verdict{api.RunFailed, api.ReasonNothingSucceeded, fmt.Sprintf("none of %s records was committed: %s had no row to be written to",
			api.Thousands(c.Planned), api.Thousands(c.Gone))}
	case done == 0 && c.Planned > 0:
		return verdict{api.RunFailed, api.ReasonNothingSucceeded, fmt.Sprintf("none of %s records was committed", api.Thousands(c.Planned))}
	case failed > 0:
		return verdict{api.RunIncomplete, "", fmt.Sprintf("%s of %s records failed, within max_failed %s", api.Thousands(failed), api.Thousands(c.Planned), maxFailed)}
	default:
		return verdict{State: api.RunSucceeded}
	}
}
