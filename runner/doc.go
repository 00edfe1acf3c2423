// Package runner is the batch-runner daemon as a library: it opens a data dir
// and wires the rooms below it (store, trigger, engine, server) to one process
// that runs batch prediction jobs.
//
// It is what command batch-runner and the tests of the provider are made of.
// Nothing here or in the packages below is a stable Go API: the stable faces
// are the HTTP API, the command line and the Terraform provider.
package runner
