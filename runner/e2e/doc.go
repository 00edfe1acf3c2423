// Package e2e holds the tests that need whole processes: the runner killed with
// kill -9 at each failpoint and at random instants (tag e2e). It has no code of
// its own.
package e2e
