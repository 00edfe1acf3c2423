// Package engine carries out runs: it pins the input (plan), launches the
// prediction server (provision), coordinates the mini-batches (dispatch),
// commits the output once (commit) and tears the server down.
//
// The rules are pure functions: which transitions exist (state.go), what a
// failure leads to (failure.go), which records of a request are bad
// (isolate.go), how many requests a server can bear (pressure.go), whether it
// is asked at all (breaker.go) and how a run ends (verdict.go). Everything else
// is I/O around them. Which queued runs have their turn the store knows;
// queue.go gives them slots. When a run is due is the trigger's business; what
// a transition looks like on disk is the store's.
package engine
