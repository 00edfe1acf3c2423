package engine_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/batchpattern/terraform-provider-batch/runner/sink"
)

// checkMemory compares what the job remembers with the model, where every run
// rests: one that is retried has taken back what it owes.
func (w *world) checkMemory() {
	var ends, owed, known string
	w.ask([]any{&ends, &owed, &known}, `SELECT
		(SELECT group_concat(id || ' ' || CASE WHEN ended_at > 0 THEN version ELSE 0 END, char(10)) FROM runs),
		(SELECT COALESCE(group_concat(json_extract(file, '$.path') || ' ' || first_line || ' ' || records, char(10)), '') FROM ledger WHERE settled_by = ''),
		(SELECT COALESCE(group_concat(path, ' '), '') FROM (SELECT path FROM known_files ORDER BY path))`)
	if w.isDead() {
		return
	}
	for line := range strings.Lines(ends) {
		if id, version := w.version(line); version == 0 || w.seen[id] != version {
			return
		}
	}
	keys := map[int]string{}
	for line := range strings.Lines(owed) {
		var (
			path         string
			first, count int
		)
		_, err := fmt.Sscan(line, &path, &first, &count)
		must(w.t, err)
		for _, key := range w.keys[path][first-2 : first-2+count] {
			if _, twice := keys[key]; twice {
				w.r.Fatalf("record %d is owed twice:\n%s", key, owed)
			}
			keys[key] = path
		}
	}
	if got, want := lists(keys), lists(w.model.owed); got != want {
		w.r.Fatalf("the ledger holds %q, should hold %q\n%s", got, want, w.books())
	}
	if want := lists(w.model.known); w.model.incremental && known != want {
		w.r.Fatalf("known are %q, should be %q", known, want)
	}
}

// check compares what is published with the model, by key.
func (w *world) check() {
	w.observe()
	for _, id := range w.runs {
		if err := w.endsHeard(id); err != nil {
			w.r.Fatal(err)
		}
	}
	w.checkSent()
	if w.table != nil {
		w.table.check(true)
		return
	}
	for folder, e := range w.model.shown {
		w.checkFolder(folder, e)
	}
	folders, _ := filepath.Glob(filepath.Join(w.output, "dt=*"))
	if !w.progressive && len(folders) != len(w.model.shown) {
		w.r.Fatalf("published are %v, should be %s", folders, lists(w.model.shown))
	}
	if w.progressive && w.model.incremental {
		w.checkSeen(folders)
	}
}

// checkSent finds records that were sent though they had a result.
func (w *world) checkSent() {
	for i, send := range w.server.Sends() {
		run, _, _ := strings.Cut(send.Key, "/")
		for _, record := range send.Records {
			var key int
			_, _ = fmt.Sscan(record, &key)
			if since, settled := w.settled[run][key]; settled && send.Purpose == "" && i >= since {
				w.r.Fatalf("record %s of run %s was staged and is sent again: %s", record, run, send.Key)
			}
		}
	}
}

// checkSeen holds what readers see in all folders, also those of runs that ended
// unpublished, to what is done: each record once.
func (w *world) checkSeen(folders []string) {
	in := map[string]string{}
	for _, folder := range folders {
		for _, row := range w.published(folder) {
			id := fmt.Sprint(row["id"])
			if in[id] != "" {
				w.r.Fatalf("record %s is published in %s and in %s\n%s", id, in[id], folder, w.books())
			}
			in[id] = folder
		}
	}
	for key := range w.model.done {
		if !w.model.bad[key] && !w.model.suspected[key] && in[fmt.Sprint(key)] == "" {
			w.r.Fatalf("record %d is done and not published\n%s", key, w.books())
		}
	}
}

func (w *world) checkFolder(folder string, e ending) {
	var want []string
	good, _ := e.outcomes()
	for _, key := range good {
		want = append(want, fmt.Sprintf("%d=%g", key, float64(key)+0.5))
	}
	var got []string
	for _, row := range w.published(folder) {
		got = append(got, fmt.Sprintf("%s=%g", row["id"], row["score"]))
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		w.r.Fatalf("published in %s is %s\nwant %s", folder, got, want)
	}
	letters, err := os.ReadFile(filepath.Join(folder, sink.DeadLettersName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.r.Fatal(err)
	}
	if n := strings.Count(string(letters), "\n"); n != len(e.dead) {
		w.r.Fatalf("%d dead letters are published in %s, want %d", n, folder, len(e.dead))
	}
	m := w.manifest(folder)
	if run, err := w.store.Run(m.Run); err != nil || run.ID != e.run || run.Counts != m.Counts || run.Revision != m.Revision {
		w.r.Fatalf("the manifest in %s says run %s, revision %d, %+v; its run is %s, %d, %+v %v", folder, m.Run, m.Revision, m.Counts, e.run, run.Revision, run.Counts, err)
	}
}
