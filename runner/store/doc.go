// Package store keeps everything the runner must not forget: jobs with their
// generations, decisions about due times, backfills, runs, plans, mini-batches,
// attempts, dead letters and events. The embedded implementation is SQLite.
//
// Two ideas carry it. The store row is the only truth: a file without a row is
// garbage, and every guard (state, fence, run version, slot) is evaluated
// inside the writer's transaction. And a write that returned nil is on disk:
// transitions that arrive together share one commit, and one that fails its
// guard fails alone.
//
// Beside the rows themselves:
//
//   - writer.go groups commits, watch.go tells that there was one, trouble.go
//     why there can be none;
//   - migrate.go brings older stores up, backup.go and restore.go copy one and
//     bring a copy back;
//   - prune.go removes what is old, history.go tells how jobs came about.
//
// What a transition means, and which are allowed, is decided by the packages
// trigger and engine; nothing here reads a clock or talks to a server.
package store
