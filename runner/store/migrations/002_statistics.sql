-- SQLite takes a table it knows nothing about for a small one, and would read
-- a run's mini-batches from the first on to find the few that are pending:
-- with every claim, more of them in vain. These are the figures of a large one.
ANALYZE sqlite_schema;
DELETE FROM sqlite_stat1;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
  ('mini_batches', 'mini_batches', '1000000 10000 1'),
  ('mini_batches', 'mini_batches_by_state', '1000000 10000 100 1');
ANALYZE sqlite_schema; -- reads them
