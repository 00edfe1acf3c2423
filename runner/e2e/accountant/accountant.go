// Package accountant checks a runner's books from outside: it reads the store's
// tables, the input files and what is published, and says of each planned
// record, by its key, what became of it. A record must have exactly one
// outcome, and the figures must be the sums of what lies there.
//
// It shares no code with the runner, so that no mistake can hide in both: of
// the runner it knows the names of tables and files alone. It only reads, and
// it may read while the runner does not run, however that ended.
package accountant

import (
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	_ "modernc.org/sqlite" // the database's driver
)

// Outcome is what became of a record.
type Outcome string

// The outcomes. A record is published, dead, owed to the next run or, in a run
// that may go on, unfinished; unread are those that no run has taken.
const (
	Published  Outcome = "published"
	Dead       Outcome = "dead"
	Owed       Outcome = "owed"
	Unfinished Outcome = "unfinished"
	Gone       Outcome = "gone" // its row was, or is by now
	Unread     Outcome = "unread"
)

// Account is what the accountant found.
type Account struct {
	Runs map[string]Run
	// Wrong are the sentences of the report: none where the books are right.
	Wrong []string
}

// Run is the account of one run.
type Run struct {
	ID, State, Reason, Occurrence string
	Revision                      int64
	// Records are the planned ones, by key, with their outcomes.
	Records map[string]Outcome
	// Staged are the keys of those that have a prediction, visible or not.
	Staged []string
}

// Count is the number of records of a run with an outcome.
func (r Run) Count(o Outcome) (n int) {
	for _, outcome := range r.Records {
		if outcome == o {
			n++
		}
	}
	return n
}

// Err is an error that says all that is wrong, or nil.
func (a *Account) Err() error {
	if len(a.Wrong) == 0 {
		return nil
	}
	return errors.New("the books are wrong:\n" + strings.Join(a.Wrong, "\n"))
}

func (a *Account) wrong(format string, args ...any) {
	a.Wrong = append(a.Wrong, fmt.Sprintf(format, args...))
}

// Audit checks each run of a data dir against what is published below output,
// a folder. key is the column that names a record.
func Audit(dataDir, output, key string) (*Account, error) {
	return audit(dataDir, key, os.ReadFile, published{FS: os.DirFS(output)})
}

// AuditBucket is Audit for an output whose objects begin with the given uri, and
// for an input that may lie in the same bucket.
func AuditBucket(dataDir string, b *Bucket, uri, key string) (*Account, error) {
	objects, err := b.below(uri)
	if err != nil {
		return nil, err
	}
	return audit(dataDir, key, b.readInput, published{FS: objects, piecemeal: true})
}

func audit(dataDir, key string, read func(string) ([]byte, error), output published) (*Account, error) {
	b, err := open(dataDir, key)
	if err != nil {
		return nil, err
	}
	b.read = read
	defer b.db.Close() //nolint:errcheck // read only
	a := &Account{Runs: map[string]Run{}}
	folders, err := output.folders(key)
	if err != nil {
		return nil, err
	}
	runs, err := b.runs()
	if err != nil {
		return nil, err
	}
	for _, run := range runs {
		if err := a.audit(b, run, folders); err != nil {
			return nil, fmt.Errorf("run %s: %w", run.ID, err)
		}
	}
	for name, folder := range folders {
		if _, known := a.Runs[folder.Run]; !known {
			a.wrong("%s is published by run %q, which is not in the store", name, folder.Run)
		}
	}
	a.compareStrays(runs, folders, output.piecemeal)
	return a, a.comparePointer(output, runs, folders)
}

// audit checks one run: its plan by key, against its folder, its dead letters
// and what is owed of it.
func (a *Account) audit(b *books, run storedRun, folders map[string]folder) error {
	planned, err := b.plan(run.ID)
	if err != nil {
		return err
	}
	letters, err := b.deadLetters(run.ID)
	if err != nil {
		return err
	}
	r := Run{ID: run.ID, State: run.State, Reason: run.Reason, Occurrence: run.Occurrence, Revision: run.Revision, Records: map[string]Outcome{}}
	outcomes := map[string][]Outcome{}
	places := map[string]string{} // place → key
	for _, p := range planned {
		if _, twice := places[p.place]; twice {
			a.wrong("run %s plans the record at %s twice", run.ID, p.place)
		}
		places[p.place] = p.key
		switch {
		case p.carried:
			outcomes[p.key] = append(outcomes[p.key], Owed)
		case !p.result:
			outcomes[p.key] = append(outcomes[p.key], Unfinished)
		}
	}
	for _, place := range letters {
		key, ok := places[place]
		if !ok {
			a.wrong("run %s has a dead letter for %s, which is not in its plan", run.ID, place)
			continue
		}
		outcomes[key] = append(outcomes[key], Dead)
	}
	a.compareFolder(run, folders, letters, outcomes)
	for _, p := range planned {
		if p.result && !slices.Contains(outcomes[p.key], Dead) {
			r.Staged = append(r.Staged, p.key)
		}
	}
	for place, key := range places {
		switch got := outcomes[key]; {
		case len(got) > 1:
			a.wrong("run %s: record %s (%s) is doubled: %v", run.ID, key, place, got)
		case len(got) == 1:
			r.Records[key] = got[0]
		case run.shows(folders):
			a.wrong("run %s: record %s (%s) is lost", run.ID, key, place)
		default:
			r.Records[key] = Unfinished // staged, or committed in a folder that another run has replaced
		}
	}
	if len(r.Records) != len(places) && len(a.Wrong) == 0 {
		a.wrong("run %s: %d records have %d keys", run.ID, len(places), len(r.Records))
	}
	a.Runs[run.ID] = r
	a.compareCounts(run, r, folders)
	return nil
}

// compareFolder adds what a run has published to its records' outcomes.
func (a *Account) compareFolder(run storedRun, folders map[string]folder, letters []string, outcomes map[string][]Outcome) {
	for name, f := range folders {
		if f.Run != run.ID {
			continue
		}
		for _, key := range f.keys {
			outcomes[key] = append(outcomes[key], Published)
		}
		a.Wrong = append(a.Wrong, f.wrong...)
		if ended := run.State == "succeeded" || run.State == "incomplete"; !ended && f.Revision > run.Revision && run.State != "committing" && f.State != "running" {
			a.wrong("%s shows revision %d of run %s, which is %s", name, f.Revision, run.ID, run.State)
		}
		there, stored := slices.Sorted(slices.Values(f.letters)), slices.Sorted(slices.Values(letters))
		if run.Revision == f.Revision && run.Revision > 0 && !slices.Equal(there, stored) {
			a.wrong("%s holds dead letters of %v, the store of %v", name, there, stored)
		}
	}
}

// compareCounts holds the figures that the runner shows to the records.
func (a *Account) compareCounts(run storedRun, r Run, folders map[string]folder) {
	if !run.shows(folders) || run.Counts == nil {
		return
	}
	want := map[string]int{"planned": len(r.Records), "committed": r.Count(Published), "dead_lettered": r.Count(Dead), "carried": r.Count(Owed), "unfinished": r.Count(Unfinished)}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if run.Counts[name] != want[name] {
			a.wrong("run %s says %s = %d, the records say %d", run.ID, name, run.Counts[name], want[name])
		}
	}
}

// AuditInput checks the records of all input files of an incremental job: each
// has one outcome in all runs together.
func (a *Account) AuditInput(dataDir, key string, files []string) (map[string]Outcome, error) {
	b, err := open(dataDir, key)
	if err != nil {
		return nil, err
	}
	defer b.db.Close() //nolint:errcheck // read only
	owed, err := b.owed()
	if err != nil {
		return nil, err
	}
	taken := map[string][]string{} // key → its outcomes, with who says so
	for _, run := range a.Runs {
		for key, outcome := range run.Records {
			if outcome == Published || outcome == Dead {
				taken[key] = append(taken[key], string(outcome)+" by "+run.ID)
			}
		}
	}
	for _, p := range owed {
		taken[p.key] = append(taken[p.key], string(Owed))
	}
	result := map[string]Outcome{}
	for _, file := range files {
		records, err := b.wholeFile(file)
		if err != nil {
			return nil, err
		}
		known, err := b.known(file)
		if err != nil {
			return nil, err
		}
		for _, p := range records {
			switch got := taken[p.key]; {
			case len(got) > 1:
				a.wrong("record %s (%s) is doubled: %v", p.key, p.place, got)
			case len(got) == 1:
				outcome, _, _ := strings.Cut(got[0], " ")
				result[p.key] = Outcome(outcome)
			case known:
				a.wrong("record %s (%s) is lost: its file is known, and it is nowhere", p.key, p.place)
			default:
				result[p.key] = Unread
			}
			if known && result[p.key] == Unread || !known && len(taken[p.key]) > 0 {
				a.wrong("record %s (%s) is %v, and its file known: %v", p.key, p.place, taken[p.key], known)
			}
		}
	}
	return result, nil
}

// storedRun is a run's row.
type storedRun struct {
	ID, State, Reason, Occurrence string
	Revision                      int64
	Counts                        map[string]int
}

// shows tells whether the output shows what a run that has ended committed.
func (r storedRun) shows(folders map[string]folder) bool {
	if r.State != "succeeded" && r.State != "incomplete" || r.Revision == 0 {
		return false
	}
	return slices.ContainsFunc(slices.Collect(maps.Values(folders)), func(f folder) bool { return f.Run == r.ID && f.Revision == r.Revision })
}

// open opens the store's database for reading.
func open(dataDir, key string) (*books, error) {
	path := filepath.Join(dataDir, "store.db")
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=query_only(1)&_pragma=busy_timeout(10000)")
	return &books{db: db, key: key, read: os.ReadFile}, err
}
