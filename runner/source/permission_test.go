package source

import (
	"errors"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// Root may read everything, and tests may run as root: so what a refusal looks
// like is asked of the functions that word it.
func TestARefusalNamesFileAndRemedy(t *testing.T) {
	refused := &fs.PathError{Op: "open", Path: "/in/a.csv", Err: syscall.EACCES}
	for name, err := range map[string]error{
		"while planning": unreadable("/in/a.csv", refused),
		"while running":  File{Path: "/in/a.csv"}.unreachable("open", refused),
	} {
		failure, ok := errors.AsType[*api.Failure](err)
		if !ok || failure.Reason != "config" || strings.Count(err.Error(), "/in/a.csv") != 1 ||
			!strings.HasSuffix(err.Error(), "permission denied; let the runner's user read it") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
