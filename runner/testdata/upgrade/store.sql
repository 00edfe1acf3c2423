-- The store of a data dir as batch-runner at commit 5913794 (schema 3) left it
-- when it was killed (kill -9), with --max-concurrent-runs 2 and three runs:
--   iris     running: mini-batches 1 and 2 of 8 are staged, 3 was in flight, with
--            a prediction server (package predicttest) that did not answer record 41;
--   closing  committing: past the point of no return, nothing of it published. A
--            staged file was moved away before, so that publishing had to wait,
--            and was moved back after the kill;
--   late     queued.
-- Their inputs are records 1-150, 201-260 and 301-330 as "id,a,b" = "i,i,0.5". It
-- was written by Python's sqlite3 (iterdump); what stands in {{}} is put in
-- by the test. The folder out beside it is what lay in the output's place.
PRAGMA user_version = 3;
BEGIN TRANSACTION;
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
INSERT INTO "attempts" VALUES('rbqf2qjxiay3l',1,1,1,1,1795412720761285117,'staged','',0,'');
INSERT INTO "attempts" VALUES('rbqf2qjxiay3l',2,1,1,1,1795412720767452364,'staged','',0,'');
INSERT INTO "attempts" VALUES('rqikg4m6ce2we',1,1,1,1,1795412720778509656,'staged','',0,'');
INSERT INTO "attempts" VALUES('rqikg4m6ce2we',2,1,1,1,1795412720783230027,'staged','',0,'');
INSERT INTO "attempts" VALUES('rqikg4m6ce2we',3,1,1,1,1795412722087752273,'staged','',0,'');
CREATE TABLE backfill_occurrences (
  backfill   TEXT NOT NULL,
  position   INTEGER NOT NULL, -- in the order of their runs, counting from 1
  occurrence INTEGER NOT NULL,
  run_id     TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (backfill, position)
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
CREATE TABLE dead_letters (
  run_id     TEXT NOT NULL,
  mini_batch INTEGER NOT NULL,
  line       INTEGER NOT NULL,
  position   INTEGER NOT NULL,             -- of the record in its mini-batch
  body       TEXT NOT NULL,                -- the dead letter as JSON
  PRIMARY KEY (run_id, mini_batch, position)
) STRICT, WITHOUT ROWID;
CREATE TABLE decision_counts (
  uid     TEXT NOT NULL,
  verdict TEXT NOT NULL, -- skipped or missed
  reason  TEXT NOT NULL,
  count   INTEGER NOT NULL,
  PRIMARY KEY (uid, verdict, reason)
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
INSERT INTO "events" VALUES(1,'yulejyfpvzbfzgkhau2dvjfokv','',1795412720638391998,'job','cli:alice','','created','','');
INSERT INTO "events" VALUES(2,'b5npvlqt2unph5jjgu45qc6qt7','',1795412720657265348,'job','cli:alice','','created','','');
INSERT INTO "events" VALUES(3,'qk3tonircsen5dgkk3xxxr5vl3','',1795412720674027756,'job','cli:alice','','created','','');
INSERT INTO "events" VALUES(4,'yulejyfpvzbfzgkhau2dvjfokv','rbqf2qjxiay3l',1795412720697069060,'state','runner','queued','planning','','');
INSERT INTO "events" VALUES(5,'yulejyfpvzbfzgkhau2dvjfokv','rbqf2qjxiay3l',1795412720721810824,'planned','runner','','','','150 records in 8 mini-batches from 1 file');
INSERT INTO "events" VALUES(6,'yulejyfpvzbfzgkhau2dvjfokv','rbqf2qjxiay3l',1795412720722852669,'state','runner','planning','provisioning','','');
INSERT INTO "events" VALUES(7,'yulejyfpvzbfzgkhau2dvjfokv','rbqf2qjxiay3l',1795412720738761798,'ready','runner','','','','{{url}}');
INSERT INTO "events" VALUES(8,'b5npvlqt2unph5jjgu45qc6qt7','rqikg4m6ce2we',1795412720745246920,'state','runner','queued','planning','','');
INSERT INTO "events" VALUES(9,'yulejyfpvzbfzgkhau2dvjfokv','rbqf2qjxiay3l',1795412720746788339,'state','runner','provisioning','running','','');
INSERT INTO "events" VALUES(10,'b5npvlqt2unph5jjgu45qc6qt7','rqikg4m6ce2we',1795412720757932734,'planned','runner','','','','60 records in 3 mini-batches from 1 file');
INSERT INTO "events" VALUES(11,'b5npvlqt2unph5jjgu45qc6qt7','rqikg4m6ce2we',1795412720758796668,'state','runner','planning','provisioning','','');
INSERT INTO "events" VALUES(12,'b5npvlqt2unph5jjgu45qc6qt7','rqikg4m6ce2we',1795412720766282902,'ready','runner','','','','{{url}}');
INSERT INTO "events" VALUES(13,'b5npvlqt2unph5jjgu45qc6qt7','rqikg4m6ce2we',1795412720766840080,'state','runner','provisioning','running','','');
INSERT INTO "events" VALUES(14,'b5npvlqt2unph5jjgu45qc6qt7','rqikg4m6ce2we',1795412722092651344,'state','runner','running','committing','','');
CREATE TABLE job_generations (
  uid        TEXT NOT NULL,
  generation INTEGER NOT NULL,
  spec       TEXT NOT NULL,
  owner      TEXT NOT NULL,
  at         INTEGER NOT NULL,
  PRIMARY KEY (uid, generation)
) STRICT, WITHOUT ROWID;
INSERT INTO "job_generations" VALUES('b5npvlqt2unph5jjgu45qc6qt7',1,'{"name":"closing","input":{"files":{"uri":"{{dir}}/in/closing.csv"},"key":["id"]},"mini_batch":{"rows":20},"parallelism":1,"predict":{"protocol":"oip_v2","model":{"name":"m"},"features":{"columns":["a","b"]},"endpoint":{"url":"{{url}}"}},"output":{"files":{"uri":"{{dir}}/out/closing/{date}/"}}}','',1795412720657265348);
INSERT INTO "job_generations" VALUES('qk3tonircsen5dgkk3xxxr5vl3',1,'{"name":"late","input":{"files":{"uri":"{{dir}}/in/late.csv"},"key":["id"]},"mini_batch":{"rows":20},"parallelism":1,"predict":{"protocol":"oip_v2","model":{"name":"m"},"features":{"columns":["a","b"]},"endpoint":{"url":"{{url}}"}},"output":{"files":{"uri":"{{dir}}/out/late/{date}/"}}}','',1795412720674027756);
INSERT INTO "job_generations" VALUES('yulejyfpvzbfzgkhau2dvjfokv',1,'{"name":"iris","input":{"files":{"uri":"{{dir}}/in/iris.csv"},"key":["id"]},"mini_batch":{"rows":20},"parallelism":1,"predict":{"protocol":"oip_v2","model":{"name":"m"},"features":{"columns":["a","b"]},"endpoint":{"url":"{{url}}"}},"output":{"files":{"uri":"{{dir}}/out/iris/{date}/"}}}','',1795412720638391998);
CREATE TABLE job_specs (
  uid      TEXT PRIMARY KEY,
  spec     TEXT NOT NULL, -- as submitted
  settings TEXT NOT NULL
) STRICT;
INSERT INTO "job_specs" VALUES('yulejyfpvzbfzgkhau2dvjfokv','{"name":"iris","input":{"files":{"uri":"{{dir}}/in/iris.csv"},"key":["id"]},"mini_batch":{"rows":20},"parallelism":1,"predict":{"protocol":"oip_v2","model":{"name":"m"},"features":{"columns":["a","b"]},"endpoint":{"url":"{{url}}"}},"output":{"files":{"uri":"{{dir}}/out/iris/{date}/"}}}','{}');
INSERT INTO "job_specs" VALUES('b5npvlqt2unph5jjgu45qc6qt7','{"name":"closing","input":{"files":{"uri":"{{dir}}/in/closing.csv"},"key":["id"]},"mini_batch":{"rows":20},"parallelism":1,"predict":{"protocol":"oip_v2","model":{"name":"m"},"features":{"columns":["a","b"]},"endpoint":{"url":"{{url}}"}},"output":{"files":{"uri":"{{dir}}/out/closing/{date}/"}}}','{}');
INSERT INTO "job_specs" VALUES('qk3tonircsen5dgkk3xxxr5vl3','{"name":"late","input":{"files":{"uri":"{{dir}}/in/late.csv"},"key":["id"]},"mini_batch":{"rows":20},"parallelism":1,"predict":{"protocol":"oip_v2","model":{"name":"m"},"features":{"columns":["a","b"]},"endpoint":{"url":"{{url}}"}},"output":{"files":{"uri":"{{dir}}/out/late/{date}/"}}}','{}');
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
INSERT INTO "jobs" VALUES('b5npvlqt2unph5jjgu45qc6qt7','closing',1,'','c1dc8c657e85243d69a440cbef76b3f622099ec4709b60ecd2d1dd4c68e55805',1795412720657265348,1795412720657265348,0,1795412720657265348,0,'',0,0,'{}');
INSERT INTO "jobs" VALUES('qk3tonircsen5dgkk3xxxr5vl3','late',1,'','6637a37580f86f8ecb9fd73579f4e18925be13206e8a13d8cd5422908c6d8aa9',1795412720674027756,1795412720674027756,0,1795412720674027756,0,'',0,0,'{}');
INSERT INTO "jobs" VALUES('yulejyfpvzbfzgkhau2dvjfokv','iris',1,'','10afc9c373365389bf3cee2493544ec0dabeeab10a2569c94e08ef7c9e18ba02',1795412720638391998,1795412720638391998,0,1795412720638391998,0,'',0,0,'{}');
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
CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT;
INSERT INTO "meta" VALUES('runner_id','MBWJH3ZBBNROXV4NIVUL55ONNT');
INSERT INTO "meta" VALUES('epoch','1');
INSERT INTO "meta" VALUES('looked_at','1795412720587972965');
INSERT INTO "meta" VALUES('creation yulejyfpvzbfzgkhau2dvjfokv','{"key":"","resumed":false}');
INSERT INTO "meta" VALUES('creation b5npvlqt2unph5jjgu45qc6qt7','{"key":"","resumed":false}');
INSERT INTO "meta" VALUES('creation qk3tonircsen5dgkk3xxxr5vl3','{"key":"","resumed":false}');
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
INSERT INTO "mini_batches" VALUES('rbqf2qjxiay3l',1,'staged',0,7,182,2,20,1,1,0,0,0,'',0,'','','1/000001.1',20,0,2169,'4f4e7ecda5347bf4cb495316c61f1e9654df13979754ec69e41b3b3277746dd5',1);
INSERT INTO "mini_batches" VALUES('rbqf2qjxiay3l',2,'staged',0,189,200,22,20,1,1,0,0,0,'',0,'','','1/000002.1',20,0,2203,'f25a0f4ac3259e607cab24ae5170821868685ffc57f6fef7abf3fb4abb5dd564',1);
INSERT INTO "mini_batches" VALUES('rbqf2qjxiay3l',3,'running',0,389,200,42,20,1,1,0,0,0,'',0,'','','',0,0,0,'',0);
INSERT INTO "mini_batches" VALUES('rbqf2qjxiay3l',4,'pending',0,589,200,62,20,0,0,0,0,0,'',0,'','','',0,0,0,'',0);
INSERT INTO "mini_batches" VALUES('rbqf2qjxiay3l',5,'pending',0,789,202,82,20,0,0,0,0,0,'',0,'','','',0,0,0,'',0);
INSERT INTO "mini_batches" VALUES('rbqf2qjxiay3l',6,'pending',0,991,240,102,20,0,0,0,0,0,'',0,'','','',0,0,0,'',0);
INSERT INTO "mini_batches" VALUES('rbqf2qjxiay3l',7,'pending',0,1231,240,122,20,0,0,0,0,0,'',0,'','','',0,0,0,'',0);
INSERT INTO "mini_batches" VALUES('rbqf2qjxiay3l',8,'pending',0,1471,120,142,10,0,0,0,0,0,'',0,'','','',0,0,0,'',0);
INSERT INTO "mini_batches" VALUES('rqikg4m6ce2we',1,'staged',0,7,240,2,20,1,1,0,0,0,'',0,'','','1/000001.1',20,0,2227,'6534d8d8a96d7b692881f1b70936f45be4384dd3d95b3978c0e4a9840d7daa80',1);
INSERT INTO "mini_batches" VALUES('rqikg4m6ce2we',2,'staged',0,247,240,22,20,1,1,0,0,0,'',0,'','','1/000002.1',20,0,2243,'a89adfd564d19ed7ae3c58713d2f183d10d270706f87bdbef789cbc0bcc31106',1);
INSERT INTO "mini_batches" VALUES('rqikg4m6ce2we',3,'staged',0,487,240,42,20,1,1,0,0,0,'',0,'','','1/000003.1',20,0,2227,'2f3e3cc69306776117458e2f389df29a3086b287f2bef1a5c95913d6a28ce053',1);
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
INSERT INTO "plans" VALUES('rbqf2qjxiay3l',1,'{"name":"iris","paused":false,"input":{"files":{"uri":"{{dir}}/in/iris.csv","format":"csv"},"key":["id"],"on_empty":"fail"},"mini_batch":{"rows":20},"parallelism":1,"predict":{"protocol":"oip_v2","model":{"name":"m"},"features":{"columns":["a","b"],"as":"matrix"},"rows_per_request":128,"request_timeout":"60s","endpoint":{"url":"{{url}}"}},"output":{"files":{"uri":"{{dir}}/out/iris/{date}/","format":"jsonl"},"keep":["id"]},"retry":{"policy":"partial","attempts":4,"backoff":["10s","1m","5m"]},"max_failed":"1%","keep_withheld":"7d"}',1,'[{"path":"{{dir}}/in/iris.csv","format":"csv","size":1591,"mod_time":"{{iris.mod_time}}","inode":{{iris.inode}},"device":{{iris.device}},"header":["id","a","b"],"start":7,"start_line":2}]',150,'1687c85b6a5f3640f4dce2e5f46e71b777dd09047b355ae3b3a367335bf0ef24','963afe8a40bf62b7930ec649a6afe2b7a5c233ab9b4a9240448614767c4d0ba9','c780d1d1ee600810d790ede237df92277d63b3b36ecc33e50d92431333e61a6c',128,'["id","label","proba","score"]',1795412720721810824);
INSERT INTO "plans" VALUES('rqikg4m6ce2we',1,'{"name":"closing","paused":false,"input":{"files":{"uri":"{{dir}}/in/closing.csv","format":"csv"},"key":["id"],"on_empty":"fail"},"mini_batch":{"rows":20},"parallelism":1,"predict":{"protocol":"oip_v2","model":{"name":"m"},"features":{"columns":["a","b"],"as":"matrix"},"rows_per_request":128,"request_timeout":"60s","endpoint":{"url":"{{url}}"}},"output":{"files":{"uri":"{{dir}}/out/closing/{date}/","format":"jsonl"},"keep":["id"]},"retry":{"policy":"partial","attempts":4,"backoff":["10s","1m","5m"]},"max_failed":"1%","keep_withheld":"7d"}',1,'[{"path":"{{dir}}/in/closing.csv","format":"csv","size":727,"mod_time":"{{closing.mod_time}}","inode":{{closing.inode}},"device":{{closing.device}},"header":["id","a","b"],"start":7,"start_line":2}]',60,'e7b5f04007aa2cf7dd5cb305befebba10021cf2a44a6c391e304ba03b755d9dd','9e5cbf5e7c8d7c621785f48793450beab1138e30de1e4955be52029ae72ccba5','c780d1d1ee600810d790ede237df92277d63b3b36ecc33e50d92431333e61a6c',128,'["id","label","proba","score"]',1795412720757932734);
CREATE TABLE run_attempts (
  run_id         TEXT NOT NULL,
  attempt        INTEGER NOT NULL,
  generation     INTEGER NOT NULL,
  exec_spec_hash TEXT NOT NULL,
  started_at     INTEGER NOT NULL,
  PRIMARY KEY (run_id, attempt)
) STRICT, WITHOUT ROWID;
INSERT INTO "run_attempts" VALUES('rbqf2qjxiay3l',1,1,'c780d1d1ee600810d790ede237df92277d63b3b36ecc33e50d92431333e61a6c',1795412720697069060);
INSERT INTO "run_attempts" VALUES('rqikg4m6ce2we',1,1,'c780d1d1ee600810d790ede237df92277d63b3b36ecc33e50d92431333e61a6c',1795412720745246920);
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
  ended_at       INTEGER NOT NULL DEFAULT 0, slot_order INTEGER NOT NULL DEFAULT 0, actor TEXT NOT NULL DEFAULT '', backfill TEXT NOT NULL DEFAULT '', shared INTEGER NOT NULL DEFAULT 0,
  UNIQUE (uid, occurrence, origin, sequence)
) STRICT;
INSERT INTO "runs" VALUES('rbqf2qjxiay3l','yulejyfpvzbfzgkhau2dvjfokv','iris',1,1795226400000000000,'manual',1,'','running','','',4,1,0,'{"state":"","revision":0,"folder":"","at":"0001-01-01T00:00:00Z","counts":{"planned":0,"committed":0,"carried":0,"dead_lettered":0,"gone":0,"unfinished":0,"staged":0,"given_up":0}}',0,'','',0,1795412720693503200,1795412720697069060,0,2,'cli:alice','',0);
INSERT INTO "runs" VALUES('rqikg4m6ce2we','b5npvlqt2unph5jjgu45qc6qt7','closing',1,1795226400000000000,'manual',1,'','committing','','',5,1,0,'{"state":"succeeded","revision":1,"folder":"{{dir}}/out/closing/2026-11-21","at":"2026-11-23T05:45:22.092651344Z","counts":{"planned":60,"committed":60,"carried":0,"dead_lettered":0,"gone":0,"unfinished":0,"staged":0,"given_up":0}}',0,'','',0,1795412720727707351,1795412720745246920,0,2,'cli:alice','',0);
INSERT INTO "runs" VALUES('rxsi3x2obzpp7','qk3tonircsen5dgkk3xxxr5vl3','late',1,1795226400000000000,'manual',1,'','queued','','',1,1,0,'',0,'','',0,1795412721762649890,0,0,2,'cli:alice','',0);
ANALYZE "sqlite_master";
INSERT INTO "sqlite_stat1" VALUES('mini_batches','mini_batches','1000000 10000 1');
INSERT INTO "sqlite_stat1" VALUES('mini_batches','mini_batches_by_state','1000000 10000 100 1');
CREATE UNIQUE INDEX runs_by_token ON runs (uid, token) WHERE token <> '';
CREATE INDEX runs_staging ON runs (staging_until) WHERE staging_until > 0;
CREATE INDEX mini_batches_by_state ON mini_batches (run_id, state, number);
CREATE INDEX launches_by_run ON launches (run_id);
CREATE UNIQUE INDEX jobs_by_name ON jobs (name) WHERE buried_at = 0;
CREATE INDEX jobs_due ON jobs (next_due_at, uid) WHERE buried_at = 0 AND next_due_at > 0;
CREATE INDEX runs_active ON runs (uid, state, shared, slot_order, occurrence, created_at, id, started_at)
  WHERE state IN ('queued', 'planning', 'provisioning', 'running', 'committing');
CREATE INDEX runs_under_way ON runs (uid, shared) WHERE state IN ('planning', 'provisioning', 'running', 'committing');
CREATE INDEX runs_queue ON runs (slot_order, occurrence, created_at, id, uid, shared) WHERE state = 'queued';
CREATE INDEX runs_ended ON runs (uid, ended_at) WHERE ended_at > 0;
CREATE INDEX runs_succeeded ON runs (uid, occurrence, revision, created_at) WHERE state = 'succeeded' AND origin <> 'backfill';
CREATE INDEX runs_of_backfill ON runs (backfill, state) WHERE backfill <> '';
CREATE INDEX events_by_job ON events (uid, run_id, id);
CREATE UNIQUE INDEX backfills_by_token ON backfills (uid, token) WHERE token <> '';
CREATE INDEX backfills_by_job ON backfills (uid, created_at);
CREATE INDEX backfill_waiting ON backfill_occurrences (backfill, run_id, position, occurrence);
CREATE UNIQUE INDEX backfill_by_occurrence ON backfill_occurrences (backfill, occurrence);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('events',14);
COMMIT;
