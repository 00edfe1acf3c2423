//go:build !failpoint

package failpoint_test

import (
	"testing"

	"github.com/batchpattern/terraform-provider-batch/runner/failpoint"
)

func TestAnOrdinaryBuildPassesEveryPoint(t *testing.T) {
	t.Setenv("BATCH_FAILPOINT", failpoint.Names[0])
	failpoint.Here(failpoint.Names[0])
}
