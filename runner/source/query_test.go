package source_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/database"
	"github.com/batchpattern/terraform-provider-batch/runner/database/databasetest"
	"github.com/batchpattern/terraform-provider-batch/runner/durable"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
)

// queried is a database of one kind, and a run that reads it.
type queried struct {
	t   *testing.T
	dsn string
	db  *database.DB
	in  *source.Inputs
}

func (q queried) exec(statements ...string) {
	q.t.Helper()
	databasetest.Exec(q.t, q.dsn, statements...)
}

// eachDatabase runs a test over a table t of every kind of database.
func eachDatabase(t *testing.T, test func(q queried)) {
	databasetest.Each(t, func(t *testing.T, dsn string) {
		db, err := database.Open(t.Context(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(db.Close)
		databasetest.Exec(t, dsn, `CREATE TABLE items (id INTEGER PRIMARY KEY, name VARCHAR(40), price DECIMAL(12,4), at TIMESTAMP NULL, day DATE)`)
		for id := 1; id <= 5; id++ {
			databasetest.Exec(t, dsn, fmt.Sprintf(`INSERT INTO items VALUES (%d, 'it''s "%d"', %d.5, '2026-11-2%d 10:00:00', '2026-11-2%d')`, id, id, id, id, id))
		}
		test(queried{t, dsn, db, spooling(t)})
	})
}

// all takes the columns named, whatever else there is.
func all(columns ...string) func([]api.Column) ([]string, error) {
	return func([]api.Column) ([]string, error) { return columns, nil }
}

// lines are the spool of a file.
func (q queried) lines(f source.File) string {
	q.t.Helper()
	text, err := os.ReadFile(filepath.Join(q.in.RunsDir, f.SpoolRun, f.Spool))
	if err != nil || int64(len(text)) != f.SpoolSize {
		q.t.Fatalf("the spool holds %d bytes, and %d by its file: %v", len(text), f.SpoolSize, err)
	}
	return string(text)
}

func TestAQueryIsSpooledAsLinesOfJSON(t *testing.T) {
	eachDatabase(t, func(q queried) {
		file, err := q.in.Query(q.t.Context(), q.db, source.Query{
			Text: "SELECT id, name, CASE WHEN id = 2 THEN NULL ELSE name END AS maybe FROM items WHERE id < 3 ORDER BY id", Columns: all("maybe", "id"),
		})
		if err != nil {
			q.t.Fatal(err)
		}
		if got, want := q.lines(file), `{"id":1,"name":"it's \"1\"","maybe":"it's \"1\""}`+"\n"+`{"id":2,"name":"it's \"2\"","maybe":null}`+"\n"; got != want {
			q.t.Errorf("spooled\n%s\nwant\n%s", got, want)
		}
		if got := strings.Join(file.Columns(), " "); got != "id name maybe" || file.Path != source.QueryName || file.Format != api.FormatJSONL || file.StartLine != 1 {
			q.t.Errorf("pinned %+v", file)
		}
		if got := strings.Join(rowsOf(q.t.Context(), q.t, q.in, []source.File{file}, "id", "maybe"), " "); got != `1:1,"it's \"1\"" 2:2,null` {
			q.t.Errorf("read %s", got)
		}
	})
}

func TestAQueryIsToldTheInstantsOfItsRun(t *testing.T) {
	eachDatabase(t, func(q queried) {
		day := func(n int) time.Time { return time.Date(2026, 11, n, 12, 0, 0, 0, time.UTC) }
		ids := func(query source.Query) string {
			query.Text = "SELECT id FROM items WHERE at <= :scheduled_at AND (:previous_success_at IS NULL OR at > :previous_success_at) ORDER BY id"
			query.Columns = all("id")
			if q.db.Kind() == "sqlite" { // which has no type for instants
				query.Text = strings.NewReplacer(" at ", " datetime(at) ", "<= :scheduled_at", "<= datetime(:scheduled_at)", "> :previous_success_at", "> datetime(:previous_success_at)").Replace(query.Text)
			}
			file, err := q.in.Query(q.t.Context(), q.db, query)
			if err != nil {
				q.t.Fatal(err)
			}
			return strings.Join(rowsOf(q.t.Context(), q.t, q.in, []source.File{file}, "id"), " ")
		}
		if got := ids(source.Query{ScheduledAt: day(22)}); got != "1:1 2:2" {
			q.t.Errorf("without a success before: %s", got)
		}
		if got := ids(source.Query{ScheduledAt: day(24), PreviousSuccess: day(22)}); got != "1:3 2:4" {
			q.t.Errorf("after a success: %s", got)
		}
	})
}

func TestAStretchOfAWatermark(t *testing.T) {
	eachDatabase(t, func(q queried) {
		for _, test := range []struct{ column, low, high, want string }{
			{"at", "", "2026-11-22T10:00:00Z", "1 2"},
			{"at", "2026-11-22T10:00:00Z", "2026-11-24T10:00:00.000001Z", "3 4"},
			{"at", "2026-11-22T09:59:59.5Z", "2026-11-22T10:00:00.5Z", "2"},
			{"at", "2026-11-25T10:00:00Z", "2026-11-25T10:00:00Z", ""},
			{"at", "2026-11-23T12:00:00+02:00", "2027-01-01T00:00:00Z", "4 5"}, // 10:00 in UTC
			{"day", "", "2026-11-22T23:59:59.999999Z", "1 2"},
			{"day", "2026-11-22T23:59:59.999999Z", "2026-11-23T23:59:59.999999Z", "3"},
			{"day", "2026-11-22", "2026-11-24T23:59:59.999999Z", "3 4"},
		} {
			file, err := q.in.Query(q.t.Context(), q.db, source.Query{
				Text: "SELECT id, at, day FROM items -- all of it", Columns: all("id"), Watermark: &database.Range{Column: test.column, Low: lowOf(test.low), High: test.high},
			})
			if err != nil {
				q.t.Fatal(err)
			}
			var ids []string
			for _, row := range rowsOf(q.t.Context(), q.t, q.in, []source.File{file}, "id") {
				ids = append(ids, row[strings.Index(row, ":")+1:])
			}
			if got := strings.Join(ids, " "); got != test.want {
				q.t.Errorf("%s from %q to %q: %q, want %q", test.column, test.low, test.high, got, test.want)
			}
		}
	})
}

func TestAWatermarkIsOfInstantsOrDates(t *testing.T) {
	eachDatabase(t, func(q queried) {
		query := source.Query{Text: "SELECT id, name, at, day FROM items -- all", Columns: all("id")}
		for column, want := range map[string]string{"id": `column "id" of the query's result is of type int64`, "other": `no column "other"; it has "id", "name", "at"`} {
			_, err := query.WatermarkTop(q.t.Context(), q.db, column, 0)
			wantFailure(q.t, err, api.Reason(api.ClassConfig), want)
		}
		_, err := source.Query{Text: "SELECT nothing_like_it FROM items"}.WatermarkTop(q.t.Context(), q.db, "at", 0)
		wantFailure(q.t, err, api.Reason(api.ClassConfig), "refuses the query", "nothing_like_it")
	})
}

// The top of a watermark leaves out the unit that the clock is in: its rows are
// not all there yet.
func TestTheTopOfAWatermarkIsAsCoarseAsItsColumn(t *testing.T) {
	types := map[string]map[string]time.Duration{
		"postgres": {"TIMESTAMP(0)": time.Second, "TIMESTAMPTZ(3)": time.Millisecond, "TIMESTAMPTZ": 0, "DATE": 24 * time.Hour},
		"mysql":    {"DATETIME": time.Second, "TIMESTAMP(3) NULL": time.Millisecond, "DATETIME(6)": 0, "DATE": 24 * time.Hour},
		"sqlite":   {"TEXT": time.Second, "DATETIME": time.Second, "TIMESTAMP(3)": time.Millisecond, "DATE": 24 * time.Hour},
	}
	eachDatabase(t, func(q queried) {
		for kind, unit := range types[q.db.Kind()] {
			q.exec("DROP TABLE IF EXISTS seen", "CREATE TABLE seen (id INTEGER, at "+kind+")")
			before, err := q.db.Now(q.t.Context())
			if err != nil {
				q.t.Fatal(err)
			}
			text, err := source.Query{Text: "SELECT id, at FROM seen"}.WatermarkTop(q.t.Context(), q.db, "at", time.Minute)
			if err != nil {
				q.t.Fatal(err)
			}
			after, err := q.db.Now(q.t.Context())
			if err != nil {
				q.t.Fatal(err)
			}
			low, high := before.Add(-time.Minute), after.Add(-time.Minute)
			if unit > 0 {
				low, high = low.Truncate(unit).Add(-unit), high.Truncate(unit).Add(-unit)
			}
			if top, err := time.Parse(time.RFC3339Nano, text); err != nil || top.Before(low) || top.After(high) || unit > 0 && !top.Equal(top.Truncate(unit)) {
				q.t.Errorf("the top of a column %s is %s, between %s and %s", kind, text, low, high)
			}
		}
	})
}

// Two rows of one second, the later of which is written when the first has been
// looked for already, are read once each.
func TestRowsOfTheSecondOfTheMarkAreReadOnce(t *testing.T) {
	kind := map[string]string{"postgres": "TIMESTAMPTZ(0)", "mysql": "DATETIME", "sqlite": "TEXT"}
	eachDatabase(t, func(q queried) {
		name := q.db.Kind()
		q.exec("CREATE TABLE seen (id INTEGER, at " + kind[name] + ")")
		query := source.Query{Text: "SELECT id, at FROM seen ORDER BY id", Columns: all("id")}
		top, second := q.topWithin(query)
		insert := func(id int) {
			at := second.Format(time.DateTime)
			if name == "postgres" {
				at += "+00"
			}
			q.exec(fmt.Sprintf("INSERT INTO seen VALUES (%d, '%s')", id, at))
		}
		read := func(low *string, high string) (ids string) {
			query.Watermark = &database.Range{Column: "at", Low: low, High: high}
			file, err := q.in.Query(q.t.Context(), q.db, query)
			if err != nil {
				q.t.Fatal(err)
			}
			return q.lines(file)
		}
		insert(1)
		first := read(nil, top)
		insert(2)
		if got := first + read(&top, "2999-01-01T00:00:00Z"); strings.Count(got, `{"id":1,`) != 1 || strings.Count(got, `{"id":2,`) != 1 {
			q.t.Errorf("up to %s and from there on, read\n%s", top, got)
		}
	})
}

// topWithin gives the top of a column, and the second of the database's clock in
// which that was asked for.
func (q queried) topWithin(query source.Query) (top string, second time.Time) {
	q.t.Helper()
	for {
		before, err := q.db.Now(q.t.Context())
		if err != nil {
			q.t.Fatal(err)
		}
		if top, err = query.WatermarkTop(q.t.Context(), q.db, "at", 0); err != nil {
			q.t.Fatal(err)
		}
		after, err := q.db.Now(q.t.Context())
		if err != nil {
			q.t.Fatal(err)
		}
		if second = before.Truncate(time.Second); second.Equal(after.Truncate(time.Second)) {
			return top, second
		}
	}
}

func lowOf(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func TestWhatIsWrongWithAQueryIsSaidBeforeItIsRead(t *testing.T) {
	eachDatabase(t, func(q queried) {
		read := func(text string, columns ...string) error {
			_, err := q.in.Query(q.t.Context(), q.db, source.Query{Text: text, Columns: all(columns...)})
			return err
		}
		wantFailure(q.t, read("SELECT id, name FROM items", "id", "size", "shape"), api.Reason(api.ClassConfig),
			`lacks "size", "shape"; it has "id", "name"`, "select them in input.sql.query")
		wantFailure(q.t, read("SELECT id, nothing FROM items", "id"), api.Reason(api.ClassConfig), "refuses the query", "nothing")
		if read("SELECT id FROM items", "id") != nil { // the sessions are free again
			q.t.Error("a query that is fine is refused")
		}
		entries, err := os.ReadDir(filepath.Join(q.in.RunsDir, "r1", "spool"))
		if err != nil || len(entries) != 1 {
			q.t.Errorf("the spool holds %v, %v", entries, err)
		}
	})
}

func TestASpoolHasABound(t *testing.T) {
	eachDatabase(t, func(q queried) {
		in := source.New(source.Options{RunsDir: q.t.TempDir(), Run: "r1", FS: durable.OS(), MaxSpool: 100})
		_, err := in.Query(q.t.Context(), q.db, source.Query{Text: "SELECT * FROM items", Columns: all("id")})
		wantFailure(q.t, err, api.Reason(api.ClassConfig), "input.max_spool, 100 bytes", "raise input.max_spool")
		if left, err := filepath.Glob(filepath.Join(in.RunsDir, "r1", "spool", "*")); err != nil || len(left) > 0 {
			q.t.Errorf("left in the spool: %v, %v", left, err)
		}
	})
}

// The choice sees each row once, in order, however the rows fall into blocks.
func TestRowsAreChosen(t *testing.T) {
	eachDatabase(t, func(q queried) {
		seen := 0
		file, err := q.in.Query(q.t.Context(), q.db, source.Query{
			Text:    "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 900), p(k) AS (SELECT 0 UNION ALL SELECT 1 UNION ALL SELECT 2) SELECT 900 * k + id AS id, 'x' AS a FROM n, p ORDER BY 1",
			Columns: all("a", "id"),
			Keep: func(rows format.Reader) (stay []bool, err error) {
				for {
					record, err := rows.Read()
					if errors.Is(err, io.EOF) {
						return stay, nil
					}
					if err != nil {
						return nil, err
					}
					seen++
					if got := string(record.Values[1].Bytes); got != fmt.Sprint(seen) {
						return nil, fmt.Errorf("row %d is %s", seen, got)
					}
					stay = append(stay, seen%3 == 0)
				}
			},
		})
		if err != nil {
			q.t.Fatal(err)
		}
		rows := rowsOf(q.t.Context(), q.t, q.in, []source.File{file}, "id")
		if seen != 2700 || len(rows) != 900 || rows[0] != "1:3" || rows[899] != "900:2700" {
			q.t.Errorf("%d rows were shown, %d kept: %v", seen, len(rows), rows[:min(3, len(rows))])
		}
	})
}
