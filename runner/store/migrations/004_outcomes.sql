-- What becomes of records that a run could not finish: the ledger, the memory
-- of incremental inputs, suspects; and what servers cost.

-- Records that a run owes. A row is claimed by one run in the transaction that
-- stores its plan (taken_by), and settled when a run committed or dead-lettered
-- them (settled_by); settled rows stay for a while, so that a retry of a run
-- that had them can be told who took them.
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
) STRICT;
CREATE INDEX ledger_owed ON ledger (uid, id) WHERE settled_by = '';
CREATE UNIQUE INDEX ledger_of_run ON ledger (run_id, mini_batch);
CREATE INDEX ledger_taken_over ON ledger (settled_by) WHERE settled_by <> '';
CREATE INDEX ledger_taken ON ledger (taken_by) WHERE taken_by <> '';

-- Files that runs of an incremental job have taken.
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

ALTER TABLE mini_batches ADD COLUMN ledger INTEGER NOT NULL DEFAULT 0;        -- the ledger row that its records come from, or have gone to; 0: they are in none
ALTER TABLE mini_batches ADD COLUMN carried INTEGER NOT NULL DEFAULT 0;       -- 1: given up, and its records are in the ledger
ALTER TABLE mini_batches ADD COLUMN sent INTEGER NOT NULL DEFAULT 0;          -- 1: a request with its records went out in this run
ALTER TABLE mini_batches ADD COLUMN counted INTEGER NOT NULL DEFAULT 0;       -- 1: the ledger row's carries count this run
ALTER TABLE mini_batches ADD COLUMN losses INTEGER NOT NULL DEFAULT 0;        -- servers lost while it was in flight
ALTER TABLE mini_batches ADD COLUMN timeouts INTEGER NOT NULL DEFAULT 0;      -- attempts that ended by a request's timeout
ALTER TABLE mini_batches ADD COLUMN probes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE mini_batches ADD COLUMN controls INTEGER NOT NULL DEFAULT 0;
ALTER TABLE mini_batches ADD COLUMN confirmations INTEGER NOT NULL DEFAULT 0;
ALTER TABLE mini_batches ADD COLUMN fingerprint TEXT NOT NULL DEFAULT '';     -- of the model that predicted it
ALTER TABLE mini_batches ADD COLUMN redrive INTEGER NOT NULL DEFAULT 0;       -- 1: its dead letters are sent again; redrives has what was before
ALTER TABLE mini_batches ADD COLUMN kept INTEGER NOT NULL DEFAULT 0;          -- records of that which are in the output
ALTER TABLE dead_letters ADD COLUMN redriven INTEGER NOT NULL DEFAULT 0;      -- 1: predicted since, by a redrive that is not committed yet

-- Results of mini-batches whose dead letters are sent again, as they were.
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

ALTER TABLE plans ADD COLUMN fingerprint TEXT NOT NULL DEFAULT '';            -- of the model, at first readiness; a document
ALTER TABLE plans ADD COLUMN remembered INTEGER NOT NULL DEFAULT 0;        -- 1: the job knows its files, and owes what its run left of them
ALTER TABLE plans ADD COLUMN replaced TEXT NOT NULL DEFAULT '[]';          -- ledger rows of files that it takes anew, with other content
ALTER TABLE runs ADD COLUMN isolation_launches INTEGER NOT NULL DEFAULT 0;

ALTER TABLE run_attempts ADD COLUMN losses INTEGER NOT NULL DEFAULT 0;        -- ready prediction servers that went
ALTER TABLE run_attempts ADD COLUMN ended_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE run_attempts ADD COLUMN outcome TEXT NOT NULL DEFAULT '';
ALTER TABLE run_attempts ADD COLUMN reason TEXT NOT NULL DEFAULT '';
ALTER TABLE run_attempts ADD COLUMN message TEXT NOT NULL DEFAULT '';

ALTER TABLE launches ADD COLUMN uid TEXT NOT NULL DEFAULT '';
ALTER TABLE launches ADD COLUMN price TEXT NOT NULL DEFAULT '';               -- an hour of it, when it was launched
UPDATE launches SET uid = COALESCE((SELECT uid FROM runs WHERE runs.id = launches.run_id), '');
CREATE INDEX launches_by_job ON launches (uid, created_at);

-- Request sizes that a server was found to take.
CREATE TABLE learned (
  uid  TEXT NOT NULL,
  key  TEXT NOT NULL,                     -- of server and model
  rows INTEGER NOT NULL,
  at   INTEGER NOT NULL,
  PRIMARY KEY (uid, key)
) STRICT, WITHOUT ROWID;

ALTER TABLE job_generations ADD COLUMN actor TEXT NOT NULL DEFAULT '';
ALTER TABLE job_generations ADD COLUMN reason TEXT NOT NULL DEFAULT '';
ALTER TABLE job_generations ADD COLUMN settings TEXT NOT NULL DEFAULT '';

-- What becomes of a run's output beside its publication.
ALTER TABLE runs ADD COLUMN shown INTEGER NOT NULL DEFAULT 0;                 -- 1: its folder is visible, and says that the run is under way
CREATE INDEX runs_shown ON runs (ended_at) WHERE shown = 1;
CREATE INDEX runs_with_output ON runs (uid, occurrence, revision) WHERE output <> '';

-- Published folders that retention has decided to remove.
CREATE TABLE removals (
  folder   TEXT PRIMARY KEY,
  uid      TEXT NOT NULL,
  run_id   TEXT NOT NULL,                 -- whose folder it is
  revision INTEGER NOT NULL,
  since    INTEGER NOT NULL,
  kept     TEXT NOT NULL DEFAULT ''       -- why it stays: it holds what no run wrote. Only a note; the folder is its run's output still
) STRICT, WITHOUT ROWID;

-- Runs of purged jobs that may have left files behind.
CREATE TABLE purged_runs (
  run_id     TEXT PRIMARY KEY,
  uid        TEXT NOT NULL,
  job        TEXT NOT NULL,
  occurrence INTEGER NOT NULL,
  spec       TEXT NOT NULL,               -- as planned; where it was not, the job's
  staged     INTEGER NOT NULL             -- 1: outside the data dir, too
) STRICT, WITHOUT ROWID;

ALTER TABLE runs ADD COLUMN pruned INTEGER NOT NULL DEFAULT 0;                -- 1: its dead letters are gone, 2: its details are going, 3: gone
CREATE INDEX runs_to_prune ON runs (uid, pruned, ended_at) WHERE ended_at > 0 AND pruned < 3;
CREATE INDEX ledger_settled ON ledger (settled_at) WHERE settled_by <> '';
