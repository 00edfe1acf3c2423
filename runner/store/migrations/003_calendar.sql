-- The calendar: what deciding needs of a job beside its spec, what waits in
-- the queue in slot order, counts of decisions, and backfills.

-- What deciding reads and writes of a job is small, and apart from what it
-- declares: jobs due at one instant are claimed by uid, so that all that a
-- claim touches lies side by side, here and in the indexes that begin with uid.
CREATE TABLE job_specs (
  uid      TEXT PRIMARY KEY,
  spec     TEXT NOT NULL, -- as submitted
  settings TEXT NOT NULL
) STRICT;
INSERT INTO job_specs (uid, spec, settings) SELECT uid, spec, settings FROM jobs;
ALTER TABLE jobs RENAME TO jobs_2;
DROP INDEX jobs_by_name;
DROP INDEX jobs_due;
CREATE TABLE jobs (
  uid         TEXT PRIMARY KEY,
  name        TEXT NOT NULL,
  generation  INTEGER NOT NULL,
  owner       TEXT NOT NULL,
  hash        TEXT NOT NULL,              -- canonical
  created_at  INTEGER NOT NULL,
  updated_at  INTEGER NOT NULL,
  buried_at   INTEGER NOT NULL DEFAULT 0,
  cursor      INTEGER NOT NULL,           -- everything nominally due up to here is decided
  next_due_at INTEGER NOT NULL DEFAULT 0, -- with jitter; 0: nothing due by itself
  held        TEXT NOT NULL DEFAULT '',   -- why the runner holds it; empty: it does not
  released_at INTEGER NOT NULL DEFAULT 0, -- when that ended last
  rewound     INTEGER NOT NULL DEFAULT 0, -- where the cursor was set back from: occurrences up to here may have run
  calendar    TEXT NOT NULL               -- the part of the spec that deciding needs, with defaults
) STRICT, WITHOUT ROWID;
INSERT INTO jobs (uid, name, generation, owner, hash, created_at, updated_at, buried_at, cursor, next_due_at, calendar)
  SELECT uid, name, generation, owner, hash, created_at, updated_at, buried_at, cursor, next_due_at, '' FROM jobs_2;
DROP TABLE jobs_2;
CREATE UNIQUE INDEX jobs_by_name ON jobs (name) WHERE buried_at = 0;
CREATE INDEX jobs_due ON jobs (next_due_at, uid) WHERE buried_at = 0 AND next_due_at > 0;

ALTER TABLE runs ADD COLUMN slot_order INTEGER NOT NULL DEFAULT 0; -- of its origin
ALTER TABLE runs ADD COLUMN actor TEXT NOT NULL DEFAULT '';        -- who asked for it; its first event
UPDATE runs SET actor = COALESCE((SELECT actor FROM events WHERE run_id = runs.id AND kind = 'state' AND "from" = '' AND "to" = 'queued'), 'schedule');
DELETE FROM events WHERE kind = 'state' AND "from" = '' AND "to" = 'queued';
ALTER TABLE runs ADD COLUMN backfill TEXT NOT NULL DEFAULT '';     -- that asked for it
ALTER TABLE runs ADD COLUMN shared INTEGER NOT NULL DEFAULT 0;     -- 1: may run beside other shared runs of its job
UPDATE runs SET slot_order = CASE origin WHEN 'catch_up' THEN 0 WHEN 'schedule' THEN 1 WHEN 'manual' THEN 2 ELSE 3 END;
UPDATE runs SET reason = '' WHERE state = 'queued'; -- worked out when a run is read
DROP INDEX runs_active;
CREATE INDEX runs_active ON runs (uid, state, shared, slot_order, occurrence, created_at, id, started_at)
  WHERE state IN ('queued', 'planning', 'provisioning', 'running', 'committing');
CREATE INDEX runs_under_way ON runs (uid, shared) WHERE state IN ('planning', 'provisioning', 'running', 'committing');
CREATE INDEX runs_queue ON runs (slot_order, occurrence, created_at, id, uid, shared) WHERE state = 'queued';
CREATE INDEX runs_ended ON runs (uid, ended_at) WHERE ended_at > 0;
CREATE INDEX runs_succeeded ON runs (uid, occurrence, revision, created_at) WHERE state = 'succeeded' AND origin <> 'backfill';
CREATE INDEX runs_of_backfill ON runs (backfill, state) WHERE backfill <> '';

DROP INDEX events_by_run;
CREATE INDEX events_by_job ON events (uid, run_id, id);

CREATE TABLE decision_counts (
  uid     TEXT NOT NULL,
  verdict TEXT NOT NULL, -- skipped or missed
  reason  TEXT NOT NULL,
  count   INTEGER NOT NULL,
  PRIMARY KEY (uid, verdict, reason)
) STRICT, WITHOUT ROWID;
INSERT INTO decision_counts (uid, verdict, reason, count)
  SELECT uid, verdict, reason, SUM(count) FROM decisions WHERE verdict <> 'run' GROUP BY uid, verdict, reason;

CREATE TABLE backfills (
  id           TEXT PRIMARY KEY,
  uid          TEXT NOT NULL,
  token        TEXT NOT NULL,
  first        INTEGER NOT NULL,
  last         INTEGER NOT NULL,
  selection    TEXT NOT NULL,
  ordering     TEXT NOT NULL,
  max_parallel INTEGER NOT NULL,
  actor        TEXT NOT NULL,
  total        INTEGER NOT NULL,
  left_out     INTEGER NOT NULL,
  created_at   INTEGER NOT NULL,
  ended_at     INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX backfills_by_token ON backfills (uid, token) WHERE token <> '';
CREATE INDEX backfills_by_job ON backfills (uid, created_at);

CREATE TABLE backfill_occurrences (
  backfill   TEXT NOT NULL,
  position   INTEGER NOT NULL, -- in the order of their runs, counting from 1
  occurrence INTEGER NOT NULL,
  run_id     TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (backfill, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX backfill_waiting ON backfill_occurrences (backfill, run_id, position, occurrence);
CREATE UNIQUE INDEX backfill_by_occurrence ON backfill_occurrences (backfill, occurrence);
