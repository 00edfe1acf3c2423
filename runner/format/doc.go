// Package format reads and writes the records of CSV and JSON Lines files
// without decoding more of them than is needed: records are framed, and their
// fields found, in the bytes as they stand.
//
// One Framer says where records end. It is used when an input is planned and
// again when a part of it is read, so that both count the same records. A
// record that cannot be used is reported as such (Record.Bad) and reading goes
// on behind it.
//
// Which files there are, and how they are cut into mini-batches, is not decided
// here: see packages source and split.
package format
