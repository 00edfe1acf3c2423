//go:build unix && !linux

package launch

// drained is not known here.
func (t *talk) drained() bool { return false }

// waitsForInput is not known here: how long a process may take decides.
func (p *Process) waitsForInput() string { return "" }

// isAlone is asked only of a process that waits for input.
func (p *Process) isAlone() bool { return false }
