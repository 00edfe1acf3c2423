// Package source knows where the records of a run come from: it finds the
// files an input names, pins what they were when the run was planned, and
// opens parts of them again only while they are still the same.
//
// How records are framed is package format's, how files are cut into
// mini-batches package split's business.
package source
