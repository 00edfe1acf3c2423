//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/e2e/accountant"
)

// Five nightly runs over files that arrive, with outages and bad records
// between them: after each, every record that has arrived is published once, a
// dead letter, owed to the next run, or unread; after the last none is owed.
func TestTheLedgerAcrossFiveRuns(t *testing.T) {
	w := newWorld(t, "")
	w.input = filepath.Join(w.dir, "in")
	w.must(os.Mkdir(w.input, 0o755))
	w.job.Input.Files.URI, w.job.Input.Mode, w.job.Input.Files.MinAge = filepath.Join(w.input, "*.csv"), api.ModeNewFiles, "1ms"
	w.job.Retry, w.job.MaxFailed = &api.Retry{Policy: api.PolicyNextBatch}, "60%"

	outage := func(records ...int) (faults []map[string]any) {
		for _, record := range records {
			faults = append(faults, map[string]any{"Record": fmt.Sprint(record), "Status": 503})
		}
		return faults
	}
	refused := map[string]any{"Purpose": "*", "Record": "105", "Status": 400}
	var files []string
	for night, c := range []struct {
		what            string
		arrive          int // records
		faults          []map[string]any
		code            int
		state           api.RunState
		published, dead int // of all that has arrived
		owed, unread    int
	}{
		{what: "an outage in two mini-batches", arrive: 50, faults: outage(7, 33), code: 2, state: api.RunIncomplete, published: 30, owed: 20},
		{what: "one of them again, and one of its own", arrive: 40, faults: outage(7, 61), code: 2, state: api.RunIncomplete, published: 70, owed: 20},
		{what: "the server answers nothing", arrive: 20, faults: []map[string]any{{"Status": 503}}, code: 3, state: api.RunFailed, published: 70, owed: 20, unread: 20},
		{what: "a record that the server refuses", arrive: 0, faults: append(outage(7), refused), code: 2, state: api.RunIncomplete, published: 99, dead: 11},
		{what: "nothing is wrong", arrive: 10, state: api.RunSucceeded, published: 109, dead: 11},
	} {
		if c.arrive > 0 {
			files = append(files, w.arrive(night, c.arrive))
		}
		w.faults(c.faults...)
		w.occurrence = fmt.Sprintf("2026-11-2%dT02:00:00Z", night+1)
		w.predicts(c.code)

		account := w.audit()
		outcomes, err := account.AuditInput(w.dataDir(), "id", files)
		w.must(err)
		w.must(account.Err())
		got := map[accountant.Outcome]int{}
		for _, outcome := range outcomes {
			got[outcome]++
		}
		t.Logf("night %d, %s: %v", night+1, c.what, got)
		if got[accountant.Published] != c.published || got[accountant.Dead] != c.dead || got[accountant.Owed] != c.owed || got[accountant.Unread] != c.unread {
			t.Errorf("night %d, %s: %v, want %d published, %d dead, %d owed, %d unread", night+1, c.what, got, c.published, c.dead, c.owed, c.unread)
		}
		for _, run := range account.Runs {
			if strings.HasPrefix(run.Occurrence, w.occurrence[:10]) && run.State != string(c.state) {
				t.Errorf("night %d, %s: the run is %s(%s), want %s", night+1, c.what, run.State, run.Reason, c.state)
			}
		}
	}
}

// arrive adds a file of records that go on where the last one ended.
func (w *world) arrive(night, n int) string {
	w.t.Helper()
	var b strings.Builder
	b.WriteString("id,a,b\n")
	for range n {
		w.records++
		fmt.Fprintf(&b, "%d,%d,0.5\n", w.records, w.records)
	}
	path := filepath.Join(w.input, fmt.Sprintf("night-%d.csv", night+1))
	w.must(os.WriteFile(path, []byte(b.String()), 0o644))
	aged := time.Now().Add(-time.Hour)
	w.must(os.Chtimes(path, aged, aged))
	return path
}

// The accountant's word is worth something: it tells when the books are wrong.
func TestTheAccountantNotices(t *testing.T) {
	for what, falsify := range map[string]func(part string) error{
		"is lost":     func(part string) error { return rewrite(part, `{"id":"3"`, "", true) },
		"is doubled":  func(part string) error { return rewrite(part, `"id":"3"`, `"id":"4"`, false) },
		"has the sum": func(part string) error { return rewrite(part, `"score":3.5`, `"score":3.6`, false) },
	} {
		w := newWorld(t, "")
		w.predicts(0)
		w.audit()
		parts, err := filepath.Glob(filepath.Join(w.output(), "*", "part-*"))
		w.must(err)
		w.must(falsify(parts[0]))
		account, err := accountant.Audit(w.dataDir(), w.output(), "id")
		w.must(err)
		if err := account.Err(); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("falsified so that a record %s: %v", what, err)
		}
	}
}

// rewrite replaces a text in a file, or removes the line that holds it.
func rewrite(path, old, with string, line bool) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var b strings.Builder
	found := false
	for l := range strings.Lines(string(text)) {
		if strings.Contains(l, old) {
			found = true
			if line {
				continue
			}
			l = strings.ReplaceAll(l, old, with)
		}
		b.WriteString(l)
	}
	if !found {
		return fmt.Errorf("%s does not hold %s: %s", path, old, text)
	}
	return os.WriteFile(path, []byte(b.String()), 0o644)
}
