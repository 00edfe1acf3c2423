-- Written by the migrations. Go on with a new one of them, not here.
CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT;
CREATE TABLE job_generations (
  uid        TEXT NOT NULL,
  generation INTEGER NOT NULL,
  spec       TEXT NOT NULL,
  owner      TEXT NOT NULL,
  at         INTEGER NOT NULL, actor TEXT NOT NULL DEFAULT '', reason TEXT NOT NULL DEFAULT '', settings TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (uid, generation)
) STRICT, WITHOUT ROWID;
CREATE TABLE decisions (
  uid     TEXT NOT NULL,
  first   INTEGER NOT NULL,
  last    INTEGER NOT NULL,
  count   INTEGER NOT NULL,
  verdict TEXT NOT NULL,
  reason  TEXT NOT NULL,
  run_id  TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (uid, first)
) STRICT, WITHOUT ROWID;
CREATE TABLE runs (
  id             TEXT PRIMARY KEY,
  uid            TEXT NOT NULL,
  job            TEXT NOT NULL,
  generation     INTEGER NOT NULL,
  occurrence     INTEGER NOT NULL,
  origin         TEXT NOT NULL,
  sequence       INTEGER NOT NULL,
  token          TEXT NOT NULL DEFAULT '',
  state          TEXT NOT NULL,
  reason         TEXT NOT NULL DEFAULT '',
  message        TEXT NOT NULL DEFAULT '',
  version        INTEGER NOT NULL DEFAULT 1, -- grows with each transition; the run's fence
  attempt        INTEGER NOT NULL DEFAULT 1, -- run attempt
  staging_until  INTEGER NOT NULL DEFAULT 0, -- of an ended run: staged files may lie about, and are kept until then
  intent         TEXT NOT NULL DEFAULT '',   -- publish intent, from the point of no return on
  revision       INTEGER NOT NULL DEFAULT 0,
  output         TEXT NOT NULL DEFAULT '',
  counts         TEXT NOT NULL DEFAULT '',   -- frozen when the run ends
  launches       INTEGER NOT NULL DEFAULT 0,
  created_at     INTEGER NOT NULL,
  started_at     INTEGER NOT NULL DEFAULT 0,
  ended_at       INTEGER NOT NULL DEFAULT 0, slot_order INTEGER NOT NULL DEFAULT 0, actor TEXT NOT NULL DEFAULT '', backfill TEXT NOT NULL DEFAULT '', shared INTEGER NOT NULL DEFAULT 0, isolation_launches INTEGER NOT NULL DEFAULT 0, shown INTEGER NOT NULL DEFAULT 0, pruned INTEGER NOT NULL DEFAULT 0, awaiting INTEGER NOT NULL DEFAULT 0, input_until INTEGER NOT NULL DEFAULT 0,
  UNIQUE (uid, occurrence, origin, sequence)
) STRICT;
CREATE UNIQUE INDEX runs_by_token ON runs (uid, token) WHERE token <> '';
CREATE INDEX runs_staging ON runs (staging_until) WHERE staging_until > 0;
CREATE TABLE plans (
  run_id           TEXT PRIMARY KEY,
  format           INTEGER NOT NULL,        -- of the plan and of the staged parts
  spec             TEXT NOT NULL,           -- the job with defaults, as planned
  generation       INTEGER NOT NULL,
  files            TEXT NOT NULL,           -- pinned identities
  records          INTEGER NOT NULL,
  plan_hash        TEXT NOT NULL,
  plan_spec_hash   TEXT NOT NULL,
  exec_spec_hash   TEXT NOT NULL,
  rows_per_request INTEGER NOT NULL DEFAULT 0, -- resolved at first readiness
  columns          TEXT NOT NULL DEFAULT '',   -- of the output, resolved at first readiness
  created_at       INTEGER NOT NULL
, fingerprint TEXT NOT NULL DEFAULT '', remembered INTEGER NOT NULL DEFAULT 0, replaced TEXT NOT NULL DEFAULT '[]', mark TEXT NOT NULL DEFAULT '') STRICT;
CREATE TABLE run_attempts (
  run_id         TEXT NOT NULL,
  attempt        INTEGER NOT NULL,
  generation     INTEGER NOT NULL,
  exec_spec_hash TEXT NOT NULL,
  started_at     INTEGER NOT NULL, losses INTEGER NOT NULL DEFAULT 0, ended_at INTEGER NOT NULL DEFAULT 0, outcome TEXT NOT NULL DEFAULT '', reason TEXT NOT NULL DEFAULT '', message TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (run_id, attempt)
) STRICT, WITHOUT ROWID;
CREATE TABLE mini_batches (
  run_id         TEXT NOT NULL,
  number         INTEGER NOT NULL,
  state          TEXT NOT NULL,
  file           INTEGER NOT NULL,
  offset         INTEGER NOT NULL,
  length         INTEGER NOT NULL,
  first_line     INTEGER NOT NULL,
  records        INTEGER NOT NULL,
  epoch          INTEGER NOT NULL DEFAULT 0,
  fence          INTEGER NOT NULL DEFAULT 0,
  attempts       INTEGER NOT NULL DEFAULT 0, -- used up
  not_before     INTEGER NOT NULL DEFAULT 0,
  waiting_since  INTEGER NOT NULL DEFAULT 0, -- first of an unbroken row of waits that use no attempt
  class          TEXT NOT NULL DEFAULT '',
  status         INTEGER NOT NULL DEFAULT 0,
  error          TEXT NOT NULL DEFAULT '',
  example        TEXT NOT NULL DEFAULT '',   -- which records the failed request held
  staged_path    TEXT NOT NULL DEFAULT '',
  staged_records INTEGER NOT NULL DEFAULT 0,
  dead_lettered  INTEGER NOT NULL DEFAULT 0,
  bytes          INTEGER NOT NULL DEFAULT 0,
  sha256         TEXT NOT NULL DEFAULT '',
  requests       INTEGER NOT NULL DEFAULT 0, ledger INTEGER NOT NULL DEFAULT 0, carried INTEGER NOT NULL DEFAULT 0, sent INTEGER NOT NULL DEFAULT 0, counted INTEGER NOT NULL DEFAULT 0, losses INTEGER NOT NULL DEFAULT 0, timeouts INTEGER NOT NULL DEFAULT 0, probes INTEGER NOT NULL DEFAULT 0, controls INTEGER NOT NULL DEFAULT 0, confirmations INTEGER NOT NULL DEFAULT 0, fingerprint TEXT NOT NULL DEFAULT '', redrive INTEGER NOT NULL DEFAULT 0, kept INTEGER NOT NULL DEFAULT 0, gone INTEGER NOT NULL DEFAULT 0, gone_why TEXT NOT NULL DEFAULT '', checksum INTEGER,
  PRIMARY KEY (run_id, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX mini_batches_by_state ON mini_batches (run_id, state, number);
CREATE TABLE attempts (
  run_id      TEXT NOT NULL,
  mini_batch  INTEGER NOT NULL,
  fence       INTEGER NOT NULL,
  run_attempt INTEGER NOT NULL,
  epoch       INTEGER NOT NULL,
  ended_at    INTEGER NOT NULL,
  outcome     TEXT NOT NULL,               -- the state it led to
  class       TEXT NOT NULL,
  status      INTEGER NOT NULL,
  error       TEXT NOT NULL,
  PRIMARY KEY (run_id, mini_batch, fence)
) STRICT, WITHOUT ROWID;
CREATE TABLE dead_letters (
  run_id     TEXT NOT NULL,
  mini_batch INTEGER NOT NULL,
  line       INTEGER NOT NULL,
  position   INTEGER NOT NULL,             -- of the record in its mini-batch
  body       TEXT NOT NULL, redriven INTEGER NOT NULL DEFAULT 0, key TEXT NOT NULL DEFAULT '', input TEXT NOT NULL DEFAULT '',                -- the dead letter as JSON
  PRIMARY KEY (run_id, mini_batch, position)
) STRICT, WITHOUT ROWID;
CREATE TABLE launches (
  id         TEXT PRIMARY KEY,             -- <runner_id>.<epoch>.<random>
  run_id     TEXT NOT NULL,
  epoch      INTEGER NOT NULL,
  pid        INTEGER NOT NULL DEFAULT 0,   -- 0: an intent
  start_time TEXT NOT NULL DEFAULT '',
  created_at INTEGER NOT NULL,
  ended_at   INTEGER NOT NULL DEFAULT 0,
  outcome    TEXT NOT NULL DEFAULT ''
, uid TEXT NOT NULL DEFAULT '', price TEXT NOT NULL DEFAULT '') STRICT;
CREATE INDEX launches_by_run ON launches (run_id);
CREATE TABLE events (
  id     INTEGER PRIMARY KEY AUTOINCREMENT,
  uid    TEXT NOT NULL,
  run_id TEXT NOT NULL,
  at     INTEGER NOT NULL,
  kind   TEXT NOT NULL,
  actor  TEXT NOT NULL,
  "from" TEXT NOT NULL DEFAULT '',
  "to"   TEXT NOT NULL DEFAULT '',
  reason TEXT NOT NULL DEFAULT '',
  detail TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE TABLE job_specs (
  uid      TEXT PRIMARY KEY,
  spec     TEXT NOT NULL, -- as submitted
  settings TEXT NOT NULL
) STRICT;
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
CREATE UNIQUE INDEX jobs_by_name ON jobs (name) WHERE buried_at = 0;
CREATE INDEX jobs_due ON jobs (next_due_at, uid) WHERE buried_at = 0 AND next_due_at > 0;
CREATE INDEX runs_under_way ON runs (uid, shared) WHERE state IN ('planning', 'provisioning', 'running', 'committing');
CREATE INDEX runs_ended ON runs (uid, ended_at) WHERE ended_at > 0;
CREATE INDEX runs_succeeded ON runs (uid, occurrence, revision, created_at) WHERE state = 'succeeded' AND origin <> 'backfill';
CREATE INDEX runs_of_backfill ON runs (backfill, state) WHERE backfill <> '';
CREATE INDEX events_by_job ON events (uid, run_id, id);
CREATE TABLE decision_counts (
  uid     TEXT NOT NULL,
  verdict TEXT NOT NULL, -- skipped or missed
  reason  TEXT NOT NULL,
  count   INTEGER NOT NULL,
  PRIMARY KEY (uid, verdict, reason)
) STRICT, WITHOUT ROWID;
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
CREATE TABLE ledger (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  uid        TEXT NOT NULL,
  identity   TEXT NOT NULL DEFAULT '',    -- of the incremental input; empty: mode full
  run_id     TEXT NOT NULL,               -- that owes them
  mini_batch INTEGER NOT NULL,            -- of that run
  occurrence INTEGER NOT NULL,
  file       TEXT NOT NULL,               -- pinned identity, as in plans.files
  offset     INTEGER NOT NULL,
  length     INTEGER NOT NULL,
  first_line INTEGER NOT NULL,
  records    INTEGER NOT NULL,
  carries    INTEGER NOT NULL,            -- runs that have sent them
  class      TEXT NOT NULL DEFAULT '',
  status     INTEGER NOT NULL DEFAULT 0,
  error      TEXT NOT NULL DEFAULT '',
  since      INTEGER NOT NULL,
  taken_by   TEXT NOT NULL DEFAULT '',
  settled_by TEXT NOT NULL DEFAULT '',
  settled_at INTEGER NOT NULL DEFAULT 0
, checksum INTEGER) STRICT;
CREATE INDEX ledger_owed ON ledger (uid, id) WHERE settled_by = '';
CREATE UNIQUE INDEX ledger_of_run ON ledger (run_id, mini_batch);
CREATE INDEX ledger_taken_over ON ledger (settled_by) WHERE settled_by <> '';
CREATE INDEX ledger_taken ON ledger (taken_by) WHERE taken_by <> '';
CREATE TABLE known_files (
  uid      TEXT NOT NULL,
  identity TEXT NOT NULL,                 -- Job.InputIdentity
  path     TEXT NOT NULL,
  size     INTEGER NOT NULL,
  mod_time INTEGER NOT NULL,
  sha256   TEXT NOT NULL,
  run_id   TEXT NOT NULL,
  at       INTEGER NOT NULL,
  PRIMARY KEY (uid, path)
) STRICT, WITHOUT ROWID;
CREATE TABLE redrives (
  run_id         TEXT NOT NULL,
  mini_batch     INTEGER NOT NULL,
  state          TEXT NOT NULL,
  staged_path    TEXT NOT NULL,
  staged_records INTEGER NOT NULL,
  dead_lettered  INTEGER NOT NULL,
  bytes          INTEGER NOT NULL,
  sha256         TEXT NOT NULL,
  fingerprint    TEXT NOT NULL,
  PRIMARY KEY (run_id, mini_batch)
) STRICT, WITHOUT ROWID;
CREATE INDEX mini_batches_of_ledger ON mini_batches (run_id, ledger) WHERE ledger > 0;
CREATE INDEX launches_by_job ON launches (uid, created_at);
CREATE TABLE learned (
  uid  TEXT NOT NULL,
  key  TEXT NOT NULL,                     -- of server and model
  rows INTEGER NOT NULL,
  at   INTEGER NOT NULL,
  PRIMARY KEY (uid, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX runs_shown ON runs (ended_at) WHERE shown = 1;
CREATE INDEX runs_with_output ON runs (uid, occurrence, revision) WHERE output <> '';
CREATE TABLE removals (
  folder   TEXT PRIMARY KEY,
  uid      TEXT NOT NULL,
  run_id   TEXT NOT NULL,                 -- whose folder it is
  revision INTEGER NOT NULL,
  since    INTEGER NOT NULL,
  kept     TEXT NOT NULL DEFAULT ''       -- why it stays: it holds what no run wrote. Only a note; the folder is its run's output still
) STRICT, WITHOUT ROWID;
CREATE TABLE purged_runs (
  run_id     TEXT PRIMARY KEY,
  uid        TEXT NOT NULL,
  job        TEXT NOT NULL,
  occurrence INTEGER NOT NULL,
  spec       TEXT NOT NULL,               -- as planned; where it was not, the job's
  staged     INTEGER NOT NULL             -- 1: outside the data dir, too
) STRICT, WITHOUT ROWID;
CREATE INDEX runs_to_prune ON runs (uid, pruned, ended_at) WHERE ended_at > 0 AND pruned < 3;
CREATE INDEX ledger_settled ON ledger (settled_at) WHERE settled_by <> '';
CREATE TABLE marks (
  uid      TEXT PRIMARY KEY,
  identity TEXT NOT NULL,                 -- Job.InputIdentity
  value    TEXT NOT NULL,                 -- of the watermark's column: rows up to it are taken, or owed
  run_id   TEXT NOT NULL,                 -- that moved it last
  at       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
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
CREATE INDEX runs_awaiting ON runs (id) WHERE awaiting > 0;
CREATE INDEX runs_active ON runs (uid, state, shared, slot_order, occurrence, created_at, id, started_at, awaiting)
  WHERE state IN ('queued', 'planning', 'provisioning', 'running', 'committing');
CREATE INDEX runs_queue ON runs (slot_order, occurrence, created_at, id, uid, shared, awaiting) WHERE state = 'queued';
CREATE INDEX runs_with_copies ON runs (input_until) WHERE input_until > 0;
ANALYZE sqlite_schema;
DELETE FROM sqlite_stat1;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('mini_batches', 'mini_batches', '1000000 10000 1');
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('mini_batches', 'mini_batches_by_state', '1000000 10000 100 1');
ANALYZE sqlite_schema;
