// Package e2e holds the tests and benchmarks that need whole processes: the
// runner killed with kill -9 at each failpoint (tag e2e), and what it costs
// (tag bench). It has no code of its own.
package e2e
