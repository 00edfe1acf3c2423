// Package mutants holds bugs that nobody wrote: each is a small change of the
// runner's source that breaks a promise, and names the test that must notice.
// A test that passes with its bug in place proves nothing. They are run by
// `make mutants`, each over an overlay: the source itself is never touched.
package mutants
