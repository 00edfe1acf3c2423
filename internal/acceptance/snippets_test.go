package acceptance

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/database/databasetest"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
	"github.com/batchpattern/terraform-provider-batch/runner/object"
	"github.com/batchpattern/terraform-provider-batch/runner/object/objecttest"
)

// snippet is HCL out of a document, made a configuration of blocks.
type snippet struct {
	from  string   // the document, and the line
	hcl   string   // blocks
	jobs  []string // those that it declares
	parts bool     // the document shows attributes of jobs, and no blocks
}

// fenced gives the code of a document in a language, by the line it begins on.
func fenced(t *testing.T, document, languages string) map[int]string {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	blocks := map[int]string{}
	for _, at := range regexp.MustCompile("(?ms)^```(?:"+languages+")\n(.*?)^```$").FindAllSubmatchIndex(text, -1) {
		blocks[bytes.Count(text[:at[2]], []byte("\n"))+1] = string(text[at[2]:at[3]])
	}
	return blocks
}

// snippets are all of README and the guides, but for the quickstart, which
// make demo applies: that one is the file's.
func snippets(t *testing.T) (all []snippet) {
	t.Helper()
	documents, err := filepath.Glob("../../templates/guides/*.md")
	if err != nil {
		t.Fatal(err)
	}
	quickstart, err := os.ReadFile("../../examples/quickstart/main.tf")
	if err != nil {
		t.Fatal(err)
	}
	for _, document := range append(documents, "../../README.md") {
		blocks := fenced(t, document, "hcl|terraform")
		for _, line := range slices.Sorted(maps.Keys(blocks)) {
			switch text := blocks[line]; {
			case text == string(quickstart):
			case strings.HasPrefix(text, "terraform {"):
				t.Errorf("%s:%d is not examples/quickstart/main.tf any more: make docs writes it", document, line)
			default:
				name := strings.ToLower(strings.TrimSuffix(filepath.Base(document), ".md"))
				all = append(all, completed(fmt.Sprintf("%s-%d", name, line), text))
			}
		}
	}
	if len(all) < 8 {
		t.Fatalf("README and the guides have %d snippets: they are not found", len(all))
	}
	return all
}

var (
	declared  = regexp.MustCompile(`(?m)^resource "batch_prediction_job" "(\w+)"`)
	block     = regexp.MustCompile(`(?m)^(resource|data|check) `)
	attribute = regexp.MustCompile(`(?m)^([a-z_]+) +=`)
)

// completed makes jobs of a snippet that shows attributes of jobs: one for each
// paragraph, or for each time that an attribute is said again.
func completed(from, text string) snippet {
	if block.MatchString(text) {
		s := snippet{from: from, hcl: text}
		for _, found := range declared.FindAllStringSubmatch(text, -1) {
			s.jobs = append(s.jobs, found[1])
		}
		return s
	}
	s := snippet{from: from, parts: true}
	add := func(attributes map[string]string) {
		name := fmt.Sprintf("%s-%d", from, len(s.jobs)+1)
		all := map[string]string{
			"runner":  "batch_runner.main",
			"input":   `{ files = { uri = "%OUT%/people.csv" }, key = ["customer_id"] }`,
			"predict": `{ program = { command = ["/opt/score.py"] }, features = { columns = ["age"] } }`,
			"output":  `{ files = { uri = "%OUT%/` + name + `/dt={date}" } }`,
		}
		maps.Copy(all, attributes)
		s.hcl += job(name, all)
		s.jobs = append(s.jobs, name)
	}
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		attributes := map[string]string{}
		begins := attribute.FindAllStringSubmatchIndex(paragraph, -1)
		for i, at := range begins {
			name, end := paragraph[at[2]:at[3]], len(paragraph)
			if i+1 < len(begins) {
				end = begins[i+1][0]
			}
			if attributes[name] != "" {
				add(attributes)
				attributes = map[string]string{}
			}
			attributes[name] = paragraph[at[1]:end]
		}
		add(attributes)
	}
	return s
}

var (
	noKeys = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|#.*`)
	key    = regexp.MustCompile(`([a-z_]+) *=`)
)

// keys are the names that a snippet of jobs gives values to.
func (s snippet) keys() (all []string) {
	for _, found := range key.FindAllStringSubmatch(noKeys.ReplaceAllString(s.hcl, ""), -1) {
		all = append(all, found[1])
	}
	return all
}

// named collects the keys of all values that are not null.
func named(value any, into map[string]bool) {
	switch v := value.(type) {
	case map[string]any:
		for key, value := range v {
			into[key] = into[key] || value != nil
			named(value, into)
		}
	case []any:
		for _, value := range v {
			named(value, into)
		}
	}
}

// Whatever README and the guides show can be written so. What an object does
// not know Terraform would drop in silence, so all of it must be in the state.
func TestTheSnippetsOfTheDocumentationApply(t *testing.T) {
	w := newWorkspace(t)
	hcl := `provider "batch" { endpoint = "` + w.endpoint() + `" }` + runnerHCL
	all := snippets(t)
	for _, s := range all {
		hcl += "\n# " + s.from + "\n" + s.hcl
	}
	w.write(hcl)
	w.apply()
	state := w.state()
	for _, s := range all {
		inState := map[string]bool{}
		for _, name := range s.jobs {
			named(state["batch_prediction_job."+name], inState)
		}
		for _, key := range s.keys() {
			if len(s.jobs) > 0 && !inState[key] {
				t.Errorf("%s says %s, which is not in the state", s.from, key)
			}
		}
	}
	w.nothingToDo()
}

// score answers with the age, as README's script might.
const score = `#!/bin/sh
while read -r line; do
  age=${line##*:}
  echo "{\"score\":${age%\}}}"
done
`

// What they show of tables, stores and scripts does what they say of it.
func TestTheSnippetsOfTheDocumentationRun(t *testing.T) {
	dsn, store := databasetest.New(t, "postgres"), objecttest.S3(t)
	const people = "1,10\n2,20\n3,30\n"
	databasetest.Exec(t, dsn,
		`CREATE TABLE people (id bigint PRIMARY KEY, age int, score double precision)`,
		`INSERT INTO people VALUES (1, 10, NULL), (2, 20, NULL), (3, 30, NULL), (4, 40, 0)`,
		`CREATE TABLE customers (id bigint PRIMARY KEY, age int, spend numeric, changed_at timestamptz)`,
		`INSERT INTO customers VALUES (1, 10, 1, '2026-01-01'), (2, 20, 2, '2026-01-01'), (3, 30, 3, '2026-01-01'), (4, 40, 4, '2027-01-01')`,
		`CREATE SCHEMA ml`,
		`CREATE TABLE ml.churn_scores (customer_id bigint PRIMARY KEY, region text, score double precision, scored_at timestamptz)`)
	put(t, store, "lake/people/dt=2026-11-21/a.parquet", parquetOf(t,
		[]api.Column{{Name: "id", Type: api.TypeInt64}, {Name: "age", Type: api.TypeInt64}}, []string{"1", "10"}, []string{"2", "20"}, []string{"3", "30"}))
	put(t, store, "lake/people/dt=2026-11-21/_SUCCESS", nil)
	put(t, store, "lake/churn/country=DE/dt=2026-11-20/a.csv.gz", gzipped(t, strings.ReplaceAll(people, "\n", ",NA\n")))
	put(t, store, "lake/churn/dt=2026-11-20/_SUCCESS", nil)

	w := newWorkspace(t)
	w.secret("secrets/dsn", dsn)
	w.secret("secrets/scores_dsn", dsn)
	w.secret("out/people.csv", "customer_id,region,age\n1,eu,10\n2,eu,20\n3,us,30\n")
	script := w.secret("score.py", score)
	if err := os.Chmod(script, 0o700); err != nil {
		t.Fatal(err)
	}
	var environment strings.Builder
	for name, value := range store.Env {
		fmt.Fprintf(&environment, "%s=%s\n", name, value)
	}
	hcl := strings.Replace(runnerHCL, "}\n}", fmt.Sprintf("}\n  environment_file = %q\n  secrets_dir = %q\n}",
		w.secret("stores.env", environment.String()), filepath.Join(w.dir, "secrets")), 1)
	var jobs []string
	for _, s := range snippets(t) {
		if s.parts || len(s.jobs) == 0 { // whole jobs are of examples, which have a test each
			hcl += s.hcl
			jobs = append(jobs, s.jobs...)
		}
	}
	w.write(`provider "batch" { endpoint = "` + w.endpoint() + `" }` +
		strings.NewReplacer(`"s3://`, `"`+store.URI, "/opt/score.py", script).Replace(hcl))
	w.apply()
	for _, name := range jobs {
		if run := w.run(name, 21); run.State != api.RunSucceeded || run.Counts != (api.Counts{Planned: 3, Committed: 3}) {
			t.Errorf("the run of %s is %s, %+v: %s", name, run.State, run.Counts, run.Message)
		}
	}
	for query, want := range map[string]string{
		`SELECT count(*) FROM people WHERE score = age`:                                                                  "3",
		`SELECT count(*) FROM ml.churn_scores WHERE score = 10 * customer_id AND region <> '' AND scored_at IS NOT NULL`: "3",
	} {
		if got := databasetest.Query(t, dsn, query); got[0][0] != want {
			t.Errorf("%s: %s, want %s", query, got[0][0], want)
		}
	}
	w.apply() // asks again
	if status := w.state()["data.batch_prediction_jobs.all"]; status["healthy"] != true {
		t.Errorf("the jobs are %v", status)
	}
}

// put puts an object into a test's part of a store.
func put(t *testing.T, store objecttest.Store, name string, content []byte) {
	t.Helper()
	bucket, prefix := store.Bucket(t)
	if _, err := bucket.Put(t.Context(), prefix+name, bytes.NewReader(content), int64(len(content)), object.Condition{}); err != nil {
		t.Fatal(err)
	}
}

func gzipped(t *testing.T, text string) []byte {
	t.Helper()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := w.Write([]byte(text))
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

// parquetOf is a file of records of numbers.
func parquetOf(t *testing.T, columns []api.Column, records ...[]string) []byte {
	t.Helper()
	var file bytes.Buffer
	w, err := format.NewWriter(api.FormatParquet, &file, columns)
	if err != nil {
		t.Fatal(err)
	}
	for _, record := range records {
		var values []format.Value
		for _, number := range record {
			values = append(values, format.Value{Bytes: []byte(number), JSON: true})
		}
		err = errors.Join(err, w.Write(values))
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// The job file of README runs as it stands, and the same command again has
// nothing left to do.
func TestTheJobFileOfTheREADMERuns(t *testing.T) {
	files := fenced(t, "../../README.md", "json")
	if len(files) != 1 {
		t.Fatalf("README has %d job files", len(files))
	}
	w := newWorkspace(t)
	for _, text := range files {
		w.secret("job.json", text)
	}
	iris, err := os.ReadFile("../../examples/quickstart/iris.csv")
	if err != nil {
		t.Fatal(err)
	}
	w.secret("iris.csv", string(iris))
	if err := os.Symlink(installed.irisServer, filepath.Join(w.dir, "iris-server")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		predict := exec.CommandContext(t.Context(), installed.runner, "predict", "-f", "job.json", "--data-dir", "./state")
		predict.Dir = w.dir
		output, err := predict.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
		has(t, string(output), "150 of 150 records")
	}
	if done, err := filepath.Glob(filepath.Join(w.dir, "predictions", "*", "_SUCCESS")); err != nil || len(done) != 1 {
		t.Errorf("published are %v, %v", done, err)
	}
}
