// Package source knows where the records of a run come from: it finds the
// files and objects that an input names, pins what they were when the run was
// planned, and opens parts of them again only while they are still the same.
// What can't be read twice it copies into the run's spool first.
//
// How records are framed is package format's, how files are cut into
// mini-batches package split's business, and how a store or a database is
// talked to that of packages object and database.
package source
