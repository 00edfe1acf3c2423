// Package database reads queries of, and commits predictions to, the databases
// that users have: PostgreSQL, MySQL and MariaDB, SQLite.
//
// Here live the DSNs, the sessions and their limits, one snapshot read as JSON
// lines, the check of a table before a run, the one transaction that writes a
// mini-batch exactly once, and which errors pass by themselves. What rows mean,
// where they are spooled and when they are committed lives in the packages
// source and sink; the runner's own store does not live here.
//
// PostgreSQL is spoken to by pgconn alone: its text protocol hands cells over
// as they will be written, with all digits.
package database
