package database_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/database"
	"github.com/batchpattern/terraform-provider-batch/runner/database/databasetest"
)

// A value that the table does not take is an error of its row alone: who writes
// is told which ones, whatever it is that refuses them, and nothing is written.
func TestRowsThatATableRefusesAreTold(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, dsn string) {
		db := open(t, dsn)
		databasetest.Exec(t, dsn, "CREATE TABLE items (id BIGINT PRIMARY KEY, whole BIGINT, p DOUBLE PRECISION CHECK (p < 100), "+
			"word VARCHAR(3) NOT NULL DEFAULT '' CHECK (LENGTH(word) < 4), code VARCHAR(9) UNIQUE)", series(dsn, "INSERT INTO items (id) SELECT n", 12))
		for _, write := range []string{api.WriteUpdate, api.WriteUpsert, api.WriteInsert} {
			table := database.Table{Name: "items", Key: []string{"id"}, Results: []string{"whole", "p", "word", "code"}, Write: write}
			check(t, db, table)
			from := 1
			if write == api.WriteInsert {
				from = 101 // rows that are not there
			}
			row := func(n int, whole, p, word string) []string {
				return []string{fmt.Sprint(from + n), whole, p, word, fmt.Sprintf(`"%s%d"`, write, n)}
			}
			c := commit(table,
				row(0, "1", "0.5", `"a"`),
				row(1, "1.5", "0.5", `"a"`),  // rounded by some
				row(2, `"x"`, "0.5", `"a"`),  // kept as it is by others
				row(3, "1", "1e999", `"a"`),  // infinity
				row(4, "1", `"abc"`, `"a"`),  //
				row(5, "1", "100", `"a"`),    // a CHECK
				row(6, "1", "0.5", "null"),   // NOT NULL
				row(7, "1", "0.5", `"long"`), // too long
				row(8, "2.0", "0.5", `"b"`),
				[]string{fmt.Sprint(from + 9), "1", "0.5", `"c"`, fmt.Sprintf(`"%s%d"`, write, 0)}, // the code of the first
				[]string{"null", "1", "0.5", `"c"`, `"z"`},                                         // no key
				row(11, "3", "0.5", `"c"`),
			)
			c.Unit = write
			if r, err := db.Commit(t.Context(), c); !database.Unfit(err) || database.Transient(err) {
				t.Fatalf("%s: %+v, %v", write, r, err)
			}
			refused, err := db.Refused(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			var which []int64
			for _, r := range refused {
				which = append(which, r.Record)
				if r.Reason == "" || r.Record != 10 && r.Key != fmt.Sprintf("id=%d", int64(from)+r.Record) {
					t.Errorf("%s: %+v", write, r)
				}
			}
			if fmt.Sprint(which) != "[1 2 3 4 5 6 7 9 10]" {
				t.Errorf("%s: refused are %v", write, refused)
			}
			holds(t, dsn, "SELECT count(*) FROM items WHERE p IS NOT NULL", "0")
			holds(t, dsn, "SELECT count(*) FROM _batch_commits", "0")
		}
		table := database.Table{Name: "items", Key: []string{"id"}, Results: []string{"p"}, Write: api.WriteUpdate}
		if refused, err := db.Refused(t.Context(), commit(table, []string{"1", "0.5"}, []string{"99", "0.5"})); err != nil || len(refused) > 0 {
			t.Errorf("of rows that fit, refused are %v, %v", refused, err)
		}
	})
}

// Each database has limits and triggers of its own: none of them may keep a row
// from its table that has nothing to do with them.
func TestWhatOneDatabaseAloneRefusesIsRefusedAlone(t *testing.T) {
	long, deep := `"`+strings.Repeat("0123456789abcdef", 1000)+`"`, strings.Repeat("[", 150)+strings.Repeat("]", 150)
	for name, test := range map[string]struct {
		kind   string
		tables []string
		bad    string // a result that is refused
	}{
		"an index's limit": {"postgres", []string{"CREATE TABLE items (id BIGINT PRIMARY KEY, p text)", "CREATE INDEX ON items (p)", "ALTER TABLE items ALTER p SET STORAGE EXTERNAL"}, long},
		"a trigger's own code": {"postgres", []string{"CREATE TABLE items (id BIGINT PRIMARY KEY, p text)",
			"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF NEW.p = ''bad'' THEN RAISE EXCEPTION ''no'' USING ERRCODE = ''U0001''; END IF; RETURN NEW; END'",
			"CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON items FOR EACH ROW EXECUTE FUNCTION refuse()"}, `"bad"`},
		"JSON's depth":      {"mysql", []string{"CREATE TABLE items (id BIGINT PRIMARY KEY, p JSON)"}, deep},
		"MariaDB's depth":   {"mariadb", []string{"CREATE TABLE items (id BIGINT PRIMARY KEY, p JSON)"}, deep},
		"a partition":       {"mysql", []string{"CREATE TABLE items (id BIGINT, p BIGINT, PRIMARY KEY (id)) PARTITION BY RANGE (id) (PARTITION a VALUES LESS THAN (3))"}, "9"},
		"MariaDB's part":    {"mariadb", []string{"CREATE TABLE items (id BIGINT, p BIGINT, PRIMARY KEY (id)) PARTITION BY RANGE (id) (PARTITION a VALUES LESS THAN (3))"}, "9"},
		"a trigger's error": {"mysql", []string{"CREATE TABLE items (id BIGINT PRIMARY KEY, p BIGINT)", "CREATE TRIGGER refuse BEFORE INSERT ON items FOR EACH ROW IF NEW.p = 9 THEN SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 30001; END IF"}, "9"},
	} {
		t.Run(name, func(t *testing.T) {
			dsn := databasetest.New(t, test.kind)
			databasetest.Exec(t, dsn, test.tables...)
			db, table := open(t, dsn), database.Table{Name: "items", Key: []string{"id"}, Results: []string{"p"}, Write: api.WriteUpsert}
			check(t, db, table)
			c := commit(table, []string{"1", "1"}, []string{"3", test.bad}, []string{"2", "2"})
			if r, err := db.Commit(t.Context(), c); !database.Unfit(err) || database.Transient(err) {
				t.Fatalf("it gives %+v, %v", r, err)
			}
			if refused, err := db.Refused(t.Context(), c); err != nil || len(refused) != 1 || refused[0].Key != "id=3" {
				t.Errorf("refused are %+v, %v", refused, err)
			}
		})
	}
}

// A NULL would have the query of the job find the row again, as if it had no
// prediction.
func TestAResultThatMustBeSetIsRefusedAsNull(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, dsn string) {
		db, table := open(t, dsn), items(t, dsn, 3)
		table.OnlyIfUnset, table.Set = true, true
		check(t, db, table)
		c := commit(table, []string{"1", "0.5"}, []string{"2", "null"})
		if _, err := db.Commit(t.Context(), c); !database.Unfit(err) {
			t.Errorf("it gives %v", err)
		}
		if refused, err := db.Refused(t.Context(), c); err != nil || len(refused) != 1 || refused[0].Record != 1 || !refused[0].Unset {
			t.Errorf("refused are %+v, %v", refused, err)
		}
	})
}

// CSV has no other way to say that a number is not there.
func TestAnEmptyTextIsNoNumber(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, dsn string) {
		db := open(t, dsn)
		databasetest.Exec(t, dsn, "CREATE TABLE items (id BIGINT PRIMARY KEY, whole INTEGER, p DOUBLE PRECISION, word VARCHAR(9))", "INSERT INTO items (id, whole) VALUES (1, 7)")
		table := database.Table{Name: "items", Key: []string{"id"}, Results: []string{"whole", "p", "word"}, Write: api.WriteUpdate}
		check(t, db, table)
		wrote(t, db, commit(table, []string{"1", "text:", "text:", "text:"}), database.Result{Written: 1})
		holds(t, dsn, "SELECT whole, p, word FROM items", "NULL|NULL|")
	})
}

func TestARowThatATriggerLeavesOutIsRefused(t *testing.T) {
	dsn := databasetest.New(t, "postgres")
	db, table := open(t, dsn), items(t, dsn, 2)
	databasetest.Exec(t, dsn, "CREATE FUNCTION drops() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF NEW.id IN (2, 8) THEN RETURN NULL; END IF; RETURN NEW; END'",
		"CREATE TRIGGER drops BEFORE INSERT OR UPDATE ON items FOR EACH ROW EXECUTE FUNCTION drops()")
	table.Write = api.WriteUpsert
	check(t, db, table)
	c := commit(table, []string{"1", "0.5"}, []string{"2", "0.5"}, []string{"7", "0.5"}, []string{"8", "0.5"})
	if r, err := db.Commit(t.Context(), c); !database.Unfit(err) {
		t.Errorf("it gives %+v, %v", r, err)
	}
	if refused, err := db.Refused(t.Context(), c); err != nil || len(refused) != 2 || refused[0].Key != "id=2" || refused[1].Key != "id=8" {
		t.Errorf("refused are %+v, %v", refused, err)
	}
}
