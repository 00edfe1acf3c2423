-- Instants are Unix nanoseconds (UTC), 0 = none. Counts are records unless said otherwise.
CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT;

CREATE TABLE jobs (
  uid         TEXT PRIMARY KEY,
  name        TEXT NOT NULL,
  generation  INTEGER NOT NULL,
  spec        TEXT NOT NULL,              -- as submitted
  settings    TEXT NOT NULL,
  owner       TEXT NOT NULL,
  hash        TEXT NOT NULL,              -- canonical
  created_at  INTEGER NOT NULL,
  updated_at  INTEGER NOT NULL,
  buried_at   INTEGER NOT NULL DEFAULT 0,
  cursor      INTEGER NOT NULL,           -- everything nominally due up to here is decided
  next_due_at INTEGER NOT NULL DEFAULT 0  -- 0: nothing due by itself
) STRICT;
CREATE UNIQUE INDEX jobs_by_name ON jobs (name) WHERE buried_at = 0;
CREATE INDEX jobs_due ON jobs (next_due_at) WHERE buried_at = 0 AND next_due_at > 0;

CREATE TABLE job_generations (
  uid        TEXT NOT NULL,
  generation INTEGER NOT NULL,
  spec       TEXT NOT NULL,
  owner      TEXT NOT NULL,
  at         INTEGER NOT NULL,
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
  ended_at       INTEGER NOT NULL DEFAULT 0,
  UNIQUE (uid, occurrence, origin, sequence)
) STRICT;
CREATE UNIQUE INDEX runs_by_token ON runs (uid, token) WHERE token <> '';
CREATE INDEX runs_active ON runs (uid, state) WHERE state IN ('queued', 'planning', 'provisioning', 'running', 'committing');
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
) STRICT;

CREATE TABLE run_attempts (
  run_id         TEXT NOT NULL,
  attempt        INTEGER NOT NULL,
  generation     INTEGER NOT NULL,
  exec_spec_hash TEXT NOT NULL,
  started_at     INTEGER NOT NULL,
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
  requests       INTEGER NOT NULL DEFAULT 0,
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
  body       TEXT NOT NULL,                -- the dead letter as JSON
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
) STRICT;
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
CREATE INDEX events_by_run ON events (run_id, id);
