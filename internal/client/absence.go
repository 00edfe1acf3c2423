package client

import (
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

const (
	// patience is how long a runner may be away while something is waited for: it
	// may be restarted, by hand too, and goes on with its runs.
	patience = 2 * time.Minute
	// noticed is after how long people are told that it is away.
	noticed = 3 * time.Second
)

// Absence is a runner that does not answer while something is waited for. Its
// zero value is one that has just answered.
type Absence struct {
	since time.Time
	told  bool
}

// Answered ends the absence; it tells whether people know of one.
func (a *Absence) Answered() (known bool) {
	known = a.told
	*a = Absence{}
	return known
}

// Missed notes that there was no answer. It gives whether people are to be told
// now, and whether that is to be borne with.
func (a *Absence) Missed(err error, now time.Time) (tell, bear bool) {
	if err == nil || !mayComeBack(err) {
		return false, false
	}
	if a.since.IsZero() {
		a.since = now
	}
	away := now.Sub(a.since)
	tell = !a.told && away >= noticed
	a.told = a.told || tell
	return tell, away < patience
}

// mayComeBack tells whether an error may come from a runner that is restarted.
func mayComeBack(err error) bool {
	return IsUnreachable(err) && api.CodeOf(err) != api.CodeOtherRunner || api.CodeOf(err) == api.CodeUnavailable
}
