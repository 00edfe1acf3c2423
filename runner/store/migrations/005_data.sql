-- What jobs remember of tables: how far a watermark has got, and which rows are
-- left out while they stay as they were.

CREATE TABLE marks (
  uid      TEXT PRIMARY KEY,
  identity TEXT NOT NULL,                 -- Job.InputIdentity
  value    TEXT NOT NULL,                 -- of the watermark's column: rows up to it are taken, or owed
  run_id   TEXT NOT NULL,                 -- that moved it last
  at       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Rows in mode "predicate" that are dead letters.
CREATE TABLE known_keys (
  uid      TEXT NOT NULL,
  identity TEXT NOT NULL,                 -- Job.InputIdentity
  key      TEXT NOT NULL,                 -- hash of the key's values
  input    TEXT NOT NULL,                 -- hash of the columns that the run read
  run_id   TEXT NOT NULL,
  at       INTEGER NOT NULL,              -- when the run read them
  PRIMARY KEY (uid, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX known_keys_of_run ON known_keys (run_id);

ALTER TABLE dead_letters ADD COLUMN key TEXT NOT NULL DEFAULT '';             -- hash, as in known_keys; empty in other modes
ALTER TABLE dead_letters ADD COLUMN input TEXT NOT NULL DEFAULT '';           -- hash, as in known_keys

ALTER TABLE plans ADD COLUMN mark TEXT NOT NULL DEFAULT '';                   -- which stretch of the watermark's column it takes

ALTER TABLE mini_batches ADD COLUMN gone INTEGER NOT NULL DEFAULT 0;          -- records that had no row to be written to
ALTER TABLE mini_batches ADD COLUMN gone_why TEXT NOT NULL DEFAULT '';        -- how many of them for which reason, a document

ALTER TABLE runs ADD COLUMN awaiting INTEGER NOT NULL DEFAULT 0;              -- since when a queued run waits for its input; 0: nobody has looked, -1: it is there
CREATE INDEX runs_awaiting ON runs (id) WHERE awaiting > 0;
DROP INDEX runs_active;
CREATE INDEX runs_active ON runs (uid, state, shared, slot_order, occurrence, created_at, id, started_at, awaiting)
  WHERE state IN ('queued', 'planning', 'provisioning', 'running', 'committing');
DROP INDEX runs_queue;
CREATE INDEX runs_queue ON runs (slot_order, occurrence, created_at, id, uid, shared, awaiting) WHERE state = 'queued';

ALTER TABLE runs ADD COLUMN input_until INTEGER NOT NULL DEFAULT 0;           -- until when an ended run can go on with copies of its input; 0: it has none, or they are given up
CREATE INDEX runs_with_copies ON runs (input_until) WHERE input_until > 0;
