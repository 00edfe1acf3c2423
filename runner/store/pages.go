package store

import (
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// The lists that programs read page by page. Each goes on behind the last row
// of the page before, so that a page costs the same however far it is, and
// rows that are added meanwhile neither double nor hide others.

// RunFilter says which runs a list holds; the zero value is all of them.
type RunFilter struct {
	UID     string // of one job
	States  []api.RunState
	Origins []api.Origin
	Since   time.Time // occurrences from here on
	Until   time.Time // occurrences up to here
}

// RunsPage lists runs behind the run of that id (empty: from the first on).
// Those of one job come newest occurrence first, those of all jobs last queued
// first. ErrNotFound says that there is no run to go on behind.
func (s *Store) RunsPage(f RunFilter, after string, limit int) ([]Run, error) {
	query, args := f.query(after, limit)
	if after != "" {
		if _, err := s.Run(after); err != nil {
			return nil, err
		}
	}
	return runs(s.reader(), query, args...)
}

func (f RunFilter) query(after string, limit int) (string, []any) {
	conditions, args := []string{"1"}, []any{}
	when := func(condition string, values ...any) {
		for _, value := range values {
			args = append(args, value)
			condition = strings.Replace(condition, "?", fmt.Sprint("$", len(args)), 1)
		}
		conditions = append(conditions, condition)
	}
	order := "rowid DESC"
	behind := "rowid < (SELECT o.rowid FROM runs AS o WHERE o.id = ?)"
	if f.UID != "" {
		when("uid = ?", f.UID)
		order = "occurrence DESC, created_at DESC, rowid DESC"
		behind = "(occurrence, created_at, rowid) < (SELECT o.occurrence, o.created_at, o.rowid FROM runs AS o WHERE o.id = ?)"
	}
	if len(f.States) > 0 {
		when("state IN ("+marks(len(f.States))+")", anys(f.States)...)
	}
	if len(f.Origins) > 0 {
		when("origin IN ("+marks(len(f.Origins))+")", anys(f.Origins)...)
	}
	if !f.Since.IsZero() {
		when("occurrence >= ?", nanos(f.Since))
	}
	if !f.Until.IsZero() {
		when("occurrence <= ?", nanos(f.Until))
	}
	if after != "" {
		when(behind, after)
	}
	args = append(args, limit)
	return fmt.Sprintf("WHERE %s ORDER BY %s LIMIT $%d", strings.Join(conditions, " AND "), order, len(args)), args
}

func marks(n int) string { return strings.TrimSuffix(strings.Repeat("?, ", n), ", ") }

func anys[T ~string](words []T) []any {
	values := make([]any, len(words))
	for i, word := range words {
		values[i] = string(word)
	}
	return values
}

// Spot is the place of a dead letter in its run.
type Spot struct{ MiniBatch, Position int64 }

const deadLettersPage = `SELECT mini_batch, position, body FROM dead_letters
	WHERE run_id = $1 AND (mini_batch, position) > ($2, $3) ORDER BY mini_batch, position LIMIT $4`

// DeadLettersPage lists a run's dead letters behind a spot, in input order.
func (s *Store) DeadLettersPage(run string, after Spot, limit int) ([]PlacedDeadLetter, error) {
	return list(s.reader(), func(rows *sql.Rows) (letter PlacedDeadLetter, err error) {
		var batch int64
		err = rows.Scan(&batch, &letter.Position, document{&letter.DeadLetter})
		letter.MiniBatch = batch
		return letter, err
	}, deadLettersPage, run, after.MiniBatch, after.Position, limit)
}

const eventsPage = `SELECT id, at, kind, actor, "from", "to", reason, detail FROM (
		SELECT 0 AS id, created_at AS at, 'state' AS kind, actor, '' AS "from", 'queued' AS "to", origin AS reason, '' AS detail FROM runs WHERE id = $1
		UNION ALL
		SELECT id, at, kind, actor, "from", "to", reason, detail FROM events WHERE uid = (SELECT uid FROM runs WHERE id = $1) AND run_id = $1)
	WHERE id > $2 ORDER BY id LIMIT $3`

// EventsPage lists a run's history above an event's id, oldest first; -1 is
// from the first on, which has the id 0 and is told by the run's own row.
func (s *Store) EventsPage(run string, after int64, limit int) ([]api.Event, error) {
	return list(s.reader(), func(rows *sql.Rows) (e api.Event, err error) {
		err = rows.Scan(&e.ID, instant{&e.At}, &e.Kind, &e.Actor, &e.From, &e.To, &e.Reason, &e.Detail)
		return e, err
	}, eventsPage, run, after, limit)
}

// RunAttempts lists the passes of a run over its plan.
func (s *Store) RunAttempts(run string) ([]api.RunAttempt, error) {
	return list(s.reader(), func(rows *sql.Rows) (a api.RunAttempt, err error) {
		err = rows.Scan(&a.Number, &a.Generation, &a.ExecSpecHash, instant{&a.StartedAt}, instant{&a.EndedAt}, &a.Outcome, &a.Reason, &a.Message)
		return a, err
	}, `SELECT attempt, generation, exec_spec_hash, started_at, ended_at, outcome, reason, message FROM run_attempts WHERE run_id = $1 ORDER BY attempt`, run)
}

// MiniBatchAttempts lists the attempts at a mini-batch that have ended.
func (s *Store) MiniBatchAttempts(run string, number int64) ([]api.MiniBatchAttempt, error) {
	return list(s.reader(), func(rows *sql.Rows) (a api.MiniBatchAttempt, err error) {
		err = rows.Scan(&a.MiniBatch, &a.Fence, &a.RunAttempt, instant{&a.EndedAt}, &a.Outcome, &a.Class, &a.Status, &a.Error)
		return a, err
	}, `SELECT mini_batch, fence, run_attempt, ended_at, outcome, class, status, error FROM attempts
		WHERE run_id = $1 AND mini_batch = $2 ORDER BY fence`, run, number)
}

const ledgerPage = `SELECT id, run_id, occurrence, mini_batch, file, first_line, records, carries, class, error, since, taken_by FROM ledger
	WHERE uid = $1 AND settled_by = '' AND id > $2 ORDER BY id LIMIT $3`

// LedgerPage lists what a job owes above an entry's id, oldest first.
func (s *Store) LedgerPage(uid string, after int64, limit int) ([]api.OwedSlice, error) {
	return list(s.reader(), func(rows *sql.Rows) (o api.OwedSlice, err error) {
		var file struct {
			Path string `json:"path"` // the one name that identities of all sources share
		}
		err = rows.Scan(&o.ID, &o.Run, instant{&o.Occurrence}, &o.MiniBatch, document{&file}, &o.FirstLine, &o.Records, &o.Carries,
			&o.Class, &o.Error, instant{&o.Since}, &o.TakenBy)
		o.File = file.Path
		return o, err
	}, ledgerPage, uid, after, limit)
}

// Carried is where records are now that a run left to the next one.
type Carried struct {
	Records, Slices    int64
	TakenBy, SettledBy string // runs; both empty: they wait for the next one
}

// CarriedBy sums up what a run left to the next one, by where it is now.
func (s *Store) CarriedBy(run string) ([]Carried, error) {
	return list(s.reader(), func(rows *sql.Rows) (c Carried, err error) {
		err = rows.Scan(&c.Records, &c.Slices, &c.TakenBy, &c.SettledBy)
		return c, err
	}, `SELECT SUM(l.records), COUNT(*), l.taken_by, l.settled_by FROM mini_batches AS m JOIN ledger AS l ON l.id = m.ledger
		WHERE m.run_id = $1 AND m.carried = 1 GROUP BY l.taken_by, l.settled_by ORDER BY MIN(m.number)`, run)
}

// Inherited are mini-batches that a run took from the ledger.
type Inherited struct {
	From            string // the run that owed them
	Records, Slices int64
}

// InheritedBy sums up what a run took from the ledger.
func (s *Store) InheritedBy(run string) ([]Inherited, error) {
	return list(s.reader(), func(rows *sql.Rows) (i Inherited, err error) {
		err = rows.Scan(&i.From, &i.Records, &i.Slices)
		return i, err
	}, `SELECT l.run_id, SUM(m.records), COUNT(*) FROM mini_batches AS m JOIN ledger AS l ON l.id = m.ledger
		WHERE m.run_id = $1 AND l.run_id <> $1 GROUP BY l.run_id ORDER BY MIN(m.number)`, run)
}

// Debtors tells of a run's mini-batches in a range, by number, which run owed
// their records first; those of its own input are not among them.
func (s *Store) Debtors(run string, first, last int64) (map[int64]string, error) {
	debtors := map[int64]string{}
	_, err := list(s.reader(), func(rows *sql.Rows) (number int64, err error) {
		var from string
		err = rows.Scan(&number, &from)
		debtors[number] = from
		return number, err
	}, `SELECT m.number, l.run_id FROM mini_batches AS m JOIN ledger AS l ON l.id = m.ledger
		WHERE m.run_id = $1 AND m.number BETWEEN $2 AND $3 AND l.run_id <> $1`, run, first, last)
	return debtors, err
}

// DeadKind are the dead letters of a run that are of one kind.
type DeadKind struct {
	Class     api.Class
	Group     string // of records that could not be told apart
	Records   int64
	File      string // where they are, if that is one place
	FirstLine int64
	LastLine  int64
}

// DeadKinds sums up a run's dead letters, the most frequent kind first.
func (s *Store) DeadKinds(run string, limit int) ([]DeadKind, error) {
	return list(s.reader(), func(rows *sql.Rows) (k DeadKind, err error) {
		err = rows.Scan(&k.Class, &k.Group, &k.Records, &k.File, &k.FirstLine, &k.LastLine)
		return k, err
	}, `SELECT body ->> '$.class' AS class, COALESCE(body ->> '$.group', '') AS "group", COUNT(*),
			CASE WHEN COUNT(DISTINCT body ->> '$.source.file') = 1 THEN MIN(body ->> '$.source.file') ELSE '' END, MIN(line), MAX(line)
		FROM dead_letters WHERE run_id = $1 GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT $2`, run, limit)
}
