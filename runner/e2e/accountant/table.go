package accountant

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Table is a table that predictions go to.
type Table struct {
	// Query asks its database, not by way of the runner.
	Query      func(statement string) [][]string
	Quote      string // that the database puts around names
	Marked     bool   // the table of markers is there
	Name       string
	Prediction string // the column of predictions
	// Others are the keys of rows that somebody else has deleted or filled.
	Others map[string]bool
}

// marker is a row of _batch_commits: what one transaction has written.
type marker struct {
	unit       string
	rows, gone int
}

// slot is a mini-batch of a run with its records.
type slot struct {
	state   string
	records []planned
	gone    int
}

// AuditTable checks each run of a data dir against what a table and the markers
// beside it hold. key is the column that names a record, in both.
func AuditTable(dataDir, key string, t Table) (*Account, error) {
	b, err := open(dataDir, key)
	if err != nil {
		return nil, err
	}
	defer b.db.Close() //nolint:errcheck // read only
	a := &Account{Runs: map[string]Run{}}
	predicted := t.predicted(key)
	runs, err := b.runs()
	if err != nil {
		return nil, err
	}
	written := map[string]bool{} // by any run, as the markers say
	for _, run := range runs {
		if err := a.auditMarkers(b, run, t, predicted, written); err != nil {
			return nil, fmt.Errorf("run %s: %w", run.ID, err)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(predicted)) {
		if !written[key] && !t.Others[key] {
			a.wrong("row %s has a prediction, and no marker says so", key)
		}
	}
	return a, nil
}

// auditMarkers checks one run: each of its mini-batches has a marker that
// accounts for all its records, or none of them is in the table.
func (a *Account) auditMarkers(b *books, run storedRun, t Table, predicted, written map[string]bool) error {
	slots, err := b.slots(run.ID)
	if err != nil {
		return err
	}
	letters, err := b.deadLetters(run.ID)
	if err != nil {
		return err
	}
	markers, err := t.markers(run.ID)
	if err != nil {
		return err
	}
	r := Run{ID: run.ID, State: run.State, Reason: run.Reason, Occurrence: run.Occurrence, Revision: run.Revision, Records: map[string]Outcome{}}
	sums := map[string]int{"planned": 0, "committed": 0, "gone": 0, "dead_lettered": len(letters), "unfinished": 0}
	for _, number := range slices.Sorted(maps.Keys(slots)) {
		s, m := slots[number], markers[number]
		delete(markers, number)
		sums["planned"] += len(s.records)
		living := slices.DeleteFunc(slices.Clone(s.records), func(p planned) bool { return slices.Contains(letters, p.place) })
		for _, p := range s.records {
			r.Records[p.key] = Dead
		}
		if m.unit == "" {
			sums["unfinished"] += len(living)
			for _, p := range living {
				r.Records[p.key] = Unfinished
				if s.state == "staged" {
					r.Staged = append(r.Staged, p.key)
				}
			}
			if s.state == "committed" && len(living) > 0 {
				a.wrong("run %s says that mini-batch %d is committed, and it has no marker", run.ID, number)
			}
			continue
		}
		sums["committed"] += m.rows
		sums["gone"] += m.gone
		if m.rows+m.gone != len(living) {
			a.wrong("run %s: marker %s has %d rows and %d gone of %d records", run.ID, m.unit, m.rows, m.gone, len(living))
		}
		if s.state == "committed" && s.gone != m.gone {
			a.wrong("run %s says that %d records of mini-batch %d are gone, its marker %d", run.ID, s.gone, number, m.gone)
		}
		for _, p := range living {
			r.Staged = append(r.Staged, p.key)
			written[p.key] = true
			r.Records[p.key] = Published
			if !predicted[p.key] || t.Others[p.key] {
				r.Records[p.key] = Gone
			}
			if !predicted[p.key] && !t.Others[p.key] {
				a.wrong("run %s: record %s (%s) is lost", run.ID, p.key, p.place)
			}
		}
	}
	for _, m := range markers {
		a.wrong("run %s: marker %s is of no mini-batch", run.ID, m.unit)
	}
	if ended := run.State == "succeeded" || run.State == "incomplete"; ended && run.Counts != nil {
		for _, name := range slices.Sorted(maps.Keys(sums)) {
			if run.Counts[name] != sums[name] {
				a.wrong("run %s says %s = %d, the markers say %d", run.ID, name, run.Counts[name], sums[name])
			}
		}
	}
	a.Runs[run.ID] = r
	return nil
}

// slots are the mini-batches of a run's plan, read from the input files anew.
func (b *books) slots(run string) (map[int]slot, error) {
	records, err := b.plan(run)
	if err != nil {
		return nil, err
	}
	rows, err := b.db.Query(`SELECT number, state, records, gone FROM mini_batches WHERE run_id = ? ORDER BY number`, run)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells what matters
	slots := map[int]slot{}
	for rows.Next() && len(records) > 0 { // those of an unfinished planning are nobody's
		var (
			number, n int
			s         slot
		)
		if err := rows.Scan(&number, &s.state, &n, &s.gone); err != nil {
			return nil, err
		}
		s.records, records = records[:n], records[n:]
		slots[number] = s
	}
	return slots, rows.Err()
}

// predicted are the keys of the rows that have a prediction.
func (t Table) predicted(key string) map[string]bool {
	keys := map[string]bool{}
	for _, row := range t.Query(fmt.Sprintf(`SELECT %s FROM %s WHERE %s IS NOT NULL`, key, t.Name, t.Prediction)) {
		keys[row[0]] = true
	}
	return keys
}

// markers are those of a run, by mini-batch: a later run attempt's beside an
// earlier one's would be a record written twice.
func (t Table) markers(run string) (map[int]marker, error) {
	found := map[int]marker{}
	if !t.Marked {
		return found, nil
	}
	for _, row := range t.Query(fmt.Sprintf(`SELECT unit, %srows%s, gone FROM _batch_commits WHERE run = '%s'`, t.Quote, t.Quote, run)) {
		number, m, err := markerOf(row)
		if err != nil {
			return nil, err
		}
		if before, twice := found[number]; twice {
			return nil, fmt.Errorf("mini-batch %d has two markers, %s and %s", number, before.unit, m.unit)
		}
		found[number] = m
	}
	return found, nil
}

func markerOf(row []string) (number int, m marker, err error) {
	m.unit = row[0]
	if _, err := fmt.Sscanf(m.unit, "mini_batch/%d", &number); err != nil {
		return 0, m, fmt.Errorf("marker %q: %w", m.unit, err)
	}
	if _, err := fmt.Sscan(row[1], &m.rows); err != nil {
		return 0, m, fmt.Errorf("marker %s: rows %q: %w", m.unit, row[1], err)
	}
	gone := map[string]int{}
	if err := json.Unmarshal([]byte(row[2]), &gone); err != nil {
		return 0, m, fmt.Errorf("marker %s: gone %q: %w", m.unit, row[2], err)
	}
	for _, n := range gone {
		m.gone += n
	}
	return number, m, nil
}
