// Package format reads and writes the records of CSV, JSON Lines and Parquet
// files without decoding more of them than is needed: records of text are
// framed, and their fields found, in the bytes as they stand; of Parquet only
// the wanted columns of the wanted rows are read.
//
// One Framer says where records of text end. It is used when an input is planned
// and again when a part of it is read, so that both count the same records. A
// record that cannot be used is reported as such (Record.Bad) and reading goes
// on behind it.
//
// Parquet is decoded and encoded by github.com/parquet-go/parquet-go. Since that
// library believes what a file says of itself, everything that it is given was
// checked here: footers by thriftSize, pages by pageStream. A row is a JSON
// object, whose values are the record's.
//
// Which files there are, and how they are cut into mini-batches, is not decided
// here: see packages source and split.
package format
