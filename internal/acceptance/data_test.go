package acceptance

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/database/databasetest"
	"github.com/batchpattern/terraform-provider-batch/runner/object"
	"github.com/batchpattern/terraform-provider-batch/runner/object/objecttest"
)

// irisJob is an HCL job over irises, with these attributes of its input and
// output, that is run as it is declared; and its status, with a check.
func irisJob(input, output string) string {
	return fmt.Sprintf(`
resource "batch_prediction_job" "iris" {
  name   = "iris"
  runner = batch_runner.main
  input  = { %s, key = ["id"] }
  predict = {
    protocol = "oip_v2"
    model    = { name = "iris" }
    features = { columns = ["sepal_length", "sepal_width", "petal_length", "petal_width"] }
    outputs  = { label = "label", probabilities = "probabilities" }
    server   = { command = ["%%SERVER%%"] }
  }
  output        = { %s }
  run_on_create = "1m"
}
`, input, output) + statusHCL
}

// secret writes a file that only the runner's user can read.
func (w *workspace) secret(name, text string) string {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
		w.t.Fatal(err)
	}
	return path
}

const checkFailed = "Check block assertion failed"

func TestAJobFromBucketToBucketNeedsNoMoreThanOneApply(t *testing.T) {
	store := objecttest.S3(t)
	iris, err := os.ReadFile("../../examples/quickstart/iris.csv")
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	_, err = zip.Write(iris)
	if err = errors.Join(err, zip.Close()); err != nil {
		t.Fatal(err)
	}
	bucket, key, err := store.Stores.Bucket(t.Context(), store.URI+"in/iris.csv.gz")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bucket.Put(t.Context(), key, bytes.NewReader(packed.Bytes()), int64(packed.Len()), object.Condition{}); err != nil {
		t.Fatal(err)
	}

	w := newWorkspace(t)
	var lines strings.Builder
	for _, name := range slices.Sorted(maps.Keys(store.Env)) {
		fmt.Fprintf(&lines, "%s=%s\n", name, store.Env[name])
	}
	runner := strings.Replace(runnerHCL, "}\n}", "}\n  environment_file = \""+w.secret("stores.env", lines.String())+"\"\n}", 1)
	w.write(runner + irisJob(`files = { uri = "`+store.URI+`in/*.csv.gz" }`, `files = { uri = "`+store.URI+`out/dt={date}/", format = "parquet" }, keep = ["id"]`))
	if output := w.apply(); strings.Contains(output, checkFailed) || strings.Contains(flatten(output), "run_on_create:") {
		t.Errorf("the first run did not succeed:\n%s", output)
	}
	run, _ := w.state()["data.batch_prediction_job_status.iris"]["last_run"].(map[string]any)
	if run["state"] != "succeeded" || fmt.Sprint(run["counts"].(map[string]any)["committed"]) != "150" {
		t.Errorf("the run is %v", run)
	}
	done, key, err := store.Stores.Bucket(t.Context(), fmt.Sprint(run["output"])+"/_SUCCESS")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := done.Stat(t.Context(), key); err != nil {
		t.Errorf("%v has no _SUCCESS: %v", run["output"], err)
	}
	w.nothingToDo()
}

// What a check says of a run that could not write is enough to mend it.
func TestACheckTellsWhatATableLacksAndTheStatementMendsIt(t *testing.T) {
	dsn := databasetest.New(t, "postgres")
	databasetest.Exec(t, dsn, `CREATE TABLE scores (id bigint PRIMARY KEY, at timestamptz)`)
	w := newWorkspace(t)
	w.secret("secrets/dsn", dsn+"\n")
	runner := strings.Replace(runnerHCL, "}\n}", "}\n  secrets_dir = \""+filepath.Join(w.dir, "secrets")+"\"\n}", 1)
	w.write(runner + irisJob(`files = { uri = "%IRIS%" }`, `sql = { dsn = { secret = "dsn" }, table = "scores", write = "upsert", run_at = "at" }`))
	output := w.apply()
	has(t, output, checkFailed, "failed", `"label", "probabilities"`)
	status := w.state()["data.batch_prediction_job_status.iris"]
	summary := fmt.Sprint(status["summary"])
	remedy := regexp.MustCompile(`ALTER TABLE "public"."scores" (ADD COLUMN "[a-z]+" [a-z ]+,? ?){2}`).FindString(summary)
	if remedy == "" || !strings.Contains(summary, "jsonb for one that is a list") || status["healthy"] != false {
		t.Fatalf("the status is %v", status)
	}
	// Before the first prediction nobody knows the types: the person does.
	databasetest.Exec(t, dsn, strings.NewReplacer(`"label" double precision`, `"label" text`, `"probabilities" double precision`, `"probabilities" jsonb`).Replace(remedy))

	c := w.client()
	defer c.Close()
	failed, _ := status["last_run"].(map[string]any)
	if _, err := c.Retry(t.Context(), fmt.Sprint(failed["id"]), api.RetryRun{}); err != nil {
		t.Fatal(err)
	}
	if run := w.ended(fmt.Sprint(failed["id"])); run.State != api.RunSucceeded || run.Counts.Committed != 150 {
		t.Fatalf("the retried run is %s, %+v: %s", run.State, run.Counts, run.Message)
	}
	if rows := databasetest.Query(t, dsn, "SELECT count(*) FROM scores WHERE label IS NOT NULL AND at IS NOT NULL"); rows[0][0] != "150" {
		t.Errorf("%s rows have a prediction", rows[0][0])
	}
	if output := w.apply(); strings.Contains(output, checkFailed) {
		t.Errorf("the check fails still:\n%s", output)
	}
	w.nothingToDo()
}

// dataJobs have every attribute that says where data comes from and goes to, in
// spellings that people use. Nothing of them is run.
const dataJobs = `
locals {
  predict = { protocol = "oip_v2", model = { name = "m" }, endpoint = { url = "http://127.0.0.1:9" } }
  dsn     = { secret = "dsn" }
}
resource "batch_prediction_job" "files" {
  name   = "files"
  runner = batch_runner.main
  input = {
    files = { uri = "s3://lake/dt={date-1d}/*", format = "csv", compression = "zstd", header = false, columns = ["id", "a", "b"], null_values = ["", "NA"], hive_partitions = true }
    key            = ["id"]
    duplicate_keys = "first"
    max_spool      = "5GB"
    on_empty       = "skip"
    wait_for       = { uri = "s3://lake/dt={date-1d}/_SUCCESS", timeout = "90m" }
  }
  predict = merge(local.predict, { features = { exclude = ["b"], as = "matrix" }, outputs = { score = "/best/score" }, nan = "error" })
  output  = { files = { uri = "/scores/dt={date}", format = "parquet", layout = "single", types = { score = "decimal(10,2)" } }, keep = ["id", "dt"], keep_runs = 7 }
}
resource "batch_prediction_job" "program" {
  name   = "program"
  runner = batch_runner.main
  input  = { files = { uri = "az://account/lake/*.parquet" }, key = ["id", "day"], mode = "new_files", state = "keep" }
  predict = {
    features = { columns = ["a"] }
    program  = { command = ["python3", "score.py"], working_dir = "/srv", per = "mini_batch", env = { A = "1" }, secret_env = { B = { secret = "dsn" } } }
  }
  output = { files = { uri = "/scores/{scheduled_at}", format = "csv", partition_by = ["day"] }, keep = ["id", "day"] }
}
resource "batch_prediction_job" "watermark" {
  name   = "watermark"
  runner = batch_runner.main
  input = {
    sql      = { dsn = local.dsn, query = "SELECT id, a, changed_at FROM items", watermark = { column = "changed_at", start = "2026-01-01T00:00:00Z", lag = "120s" } }
    key      = ["id"]
    mode     = "watermark"
    wait_for = { rows_at_least = 10, timeout = "1h" }
  }
  predict = merge(local.predict, { features = { columns = ["a"] } })
  output  = { sql = { dsn = local.dsn, table = "ml.scores", write = "insert", run_at = "scored_at" }, keep = ["a"], publish = "progressive" }
}
resource "batch_prediction_job" "predicate" {
  name   = "predicate"
  runner = batch_runner.main
  input = {
    sql      = { dsn = { env = "DSN" }, query = "SELECT id, a FROM items WHERE score IS NULL AND at <= :scheduled_at" }
    key      = ["id"]
    mode     = "predicate"
    wait_for = { sql = "SELECT loaded FROM days", timeout = "1h" }
  }
  predict = merge(local.predict, { features = { columns = ["a"] } })
  output  = { sql = { dsn = { file = "/etc/dsn" }, table = "items", write = "update", json_column = "score", only_if_unset = false } }
}
`

func TestEveryAttributeOfDataIsImportedAsItWasWritten(t *testing.T) {
	w := newWorkspace(t)
	w.write(runnerHCL + dataJobs)
	w.apply()
	w.nothingToDo()
	if err := os.Remove(filepath.Join(w.dir, "terraform.tfstate")); err != nil {
		t.Fatal(err)
	}
	imports := fmt.Sprintf("import {\n  to = batch_runner.main\n  id = %q\n}\n", "local:"+w.dataDir)
	for _, name := range []string{"files", "program", "watermark", "predicate"} {
		imports += fmt.Sprintf("import {\n  to = batch_prediction_job.%[1]s\n  id = %[2]q\n}\n", name, w.endpoint()+"#"+name)
	}
	w.writeTo("imports.tf", imports)
	changes, text := w.plan()
	if len(changes) > 0 || !strings.Contains(text, "5 to import, 0 to add, 0 to change, 0 to destroy") {
		t.Errorf("the import changes %s:\n%s", addresses(changes), text)
	}
	w.apply()
	w.nothingToDo()
}
