package database_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/database"
	"github.com/batchpattern/terraform-provider-batch/runner/database/databasetest"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

// What the table finds equal has one canonical text, and nothing else has: the
// unique index of a real table is asked which of the keys it takes beside the
// ones before.
func TestKeysAreTheSameWhereTheTableSaysSo(t *testing.T) {
	texts := []string{"text:a", "text:A", "text:a ", "text:ä", "text:Ä", "text:ae", "text:1", "1", "text:01", "text:", "text:ß", "text:ss", "text:a\tb", "text:a b", "text:a-b"}
	for name, test := range map[string]struct {
		sqlite, postgres, mysql string // types, none where there is no such
		keys                    []string
		none                    int // how many of them are no keys of the column
	}{
		"integers": {"INTEGER", "bigint", "BIGINT", []string{"1", "text:01", `"1"`, "text:+1", "2", "-1", "text:-01", "9007199254740993", "9007199254740992", "text:x", "1.0", "null"}, 3},
		"decimals": {"NUMERIC", "numeric(10,2)", "DECIMAL(10,2)", []string{"1", "1.0", "text:1.00", "1e0", "2", "2.5", "-2.5", "text:x", "null"}, 2},
		"rounded":  {"", "numeric(10,2)", "DECIMAL(10,2)", []string{"1", "1.001", "1.004", "1.01"}, 0},
		"wide":     {"", "numeric", "DECIMAL(38,10)", []string{"1", "1.0", "9007199254740993", "9007199254740992", "0.1", "0.10"}, 0},
		"floats":   {"REAL", "float8", "DOUBLE", []string{"0", "-0.0", "1", "1.0", "1e0", "0.1", "0.10000000000000001", "0.2", "text:x"}, 1},
		"texts":    {"TEXT", "text", "VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", texts, 0},
		"no case":  {"TEXT COLLATE NOCASE", "", "VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci", texts, 0},
		"accents":  {"TEXT COLLATE RTRIM", "", "VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci", texts, 0},
		"default":  {"", "varchar(20)", "VARCHAR(20)", texts, 0},
		"padded":   {"", "char(20)", "CHAR(20)", texts, 0},
		"instants": {"", "timestamptz", "DATETIME(6)", []string{`"2026-01-01T00:00:00Z"`, `"2026-01-01T01:00:00+01:00"`, `"2026-01-01T00:00:00.000Z"`, `"2026-01-01T00:00:00.000001Z"`, `"no time"`}, 1},
		"seconds":  {"", "timestamptz(0)", "DATETIME", []string{`"2026-01-01T00:00:00Z"`, `"2026-01-01T00:00:00.1Z"`, `"2026-01-01T00:00:01Z"`}, 0},
		"days":     {"", "date", "DATE", []string{`"2026-01-01"`, `"2026-01-02"`, `"2026-13-01"`}, 1},
		"uuids":    {"", "uuid", "", []string{`"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"`, `"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"`, `"{a0eebc999c0b4ef8bb6d6bb9bd380a11}"`, `"b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"`, `"no uuid"`}, 1},
		"bytes":    {"BLOB", "bytea", "VARBINARY(20)", []string{`"AQ=="`, `"Ag=="`, `"AQA="`, `"?"`}, 1},
		"digits":   {"REAL", "float8", "DOUBLE", []string{"0.3", "0.30000000000000004", "0.3e0"}, 0},
		"anything": {" ", "", "", []string{"1", "1.0", "text:1", "text:01", "2", "2.5", "text:a", "text:A"}, 0},
		"affinity": {"UUID", "", "", []string{"1", "1.0", "text:1", "text:01", "text:1a", "text:01a", "text:1e1", "10", "text:a", "text:A", "text:"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			databasetest.Each(t, func(t *testing.T, dsn string) {
				kind := word(dsn, test.sqlite, test.postgres, test.mysql)
				if kind == "" {
					return
				}
				databasetest.Exec(t, dsn, "CREATE TABLE items (k "+kind+" NOT NULL UNIQUE, p DOUBLE PRECISION)")
				db := open(t, dsn)
				table := database.Table{Name: "items", Key: []string{"k"}, Results: []string{"p"}, Write: api.WriteInsert}
				check(t, db, table)
				keys := make([][]format.Value, len(test.keys))
				for at, key := range test.keys {
					keys[at] = values([]string{key})
				}
				texts, err := db.Canonical(t.Context(), table, keys)
				if err != nil {
					t.Fatal(err)
				}
				none, first := 0, map[string]string{}
				for at, key := range test.keys {
					if texts[at] == nil {
						none++
						continue
					}
					unit := commit(table, []string{key, "0.5"})
					unit.Unit = fmt.Sprintf("mini_batch/%d", at)
					result, err := db.Commit(t.Context(), unit)
					if err != nil {
						t.Fatalf("%s: %v", key, err)
					}
					other, same := first[string(texts[at])]
					if taken := result.Written == 0; same != taken {
						t.Errorf("%s: the table has such a key: %t; by the canonical texts: %t (%s)", key, taken, same, other)
					}
					if !same {
						first[string(texts[at])] = key
					}
				}
				if none != test.none {
					t.Errorf("%d of %s are no keys, expected %d", none, strings.Join(test.keys, ", "), test.none)
				}
			})
		})
	}
}

func TestKeysOfSeveralColumnsAreComparedColumnByColumn(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, dsn string) {
		databasetest.Exec(t, dsn, "CREATE TABLE items (a VARCHAR(20), b VARCHAR(20), n BIGINT, p DOUBLE PRECISION, PRIMARY KEY (a, b, n))")
		db := open(t, dsn)
		table := database.Table{Name: "items", Key: []string{"a", "b", "n"}, Results: []string{"p"}, Write: api.WriteUpsert}
		check(t, db, table)
		keys := [][]format.Value{
			values([]string{"text:x", "text:yz", "1"}), values([]string{"text:xy", "text:z", "1"}),
			values([]string{"text:x", "text:yz", "text:01"}), values([]string{"text:x", "null", "1"}),
		}
		texts, err := db.Canonical(t.Context(), table, keys)
		if err != nil {
			t.Fatal(err)
		}
		if string(texts[0]) == string(texts[1]) || string(texts[0]) != string(texts[2]) || texts[0] == nil || texts[3] != nil {
			t.Errorf("canonical texts: %q", texts)
		}
	})
}

// The runner goes on for months; somebody changes the table meanwhile.
func TestKeysAreComparedAsTheTableIsNow(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, dsn string) {
		databasetest.Exec(t, dsn, "CREATE TABLE items (k INTEGER PRIMARY KEY, p DOUBLE PRECISION)")
		db := open(t, dsn)
		table := database.Table{Name: "items", Key: []string{"k"}, Write: api.WriteUpsert} // the results are not known yet
		keys := [][]format.Value{values([]string{"text:1"}), values([]string{"text:01"})}
		for _, equal := range []bool{true, false} {
			check(t, db, table)
			texts, err := db.Canonical(t.Context(), table, keys)
			if err != nil {
				t.Fatal(err)
			}
			if same := string(texts[0]) == string(texts[1]); same != equal {
				t.Errorf("1 and 01 are the same: %t, expected %t", same, equal)
			}
			databasetest.Exec(t, dsn, "DROP TABLE items", "CREATE TABLE items (k VARCHAR(9) PRIMARY KEY, p DOUBLE PRECISION)")
		}
	})
}

// More keys than one statement takes, one of which is none.
func TestManyKeysAreComparedAndWhatIsNoneIsPassedOver(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, dsn string) {
		kind := word(dsn, "NUMERIC", "numeric(10,2)", "DECIMAL(10,2)")
		databasetest.Exec(t, dsn, "CREATE TABLE items (k "+kind+" NOT NULL UNIQUE, p DOUBLE PRECISION)")
		db := open(t, dsn)
		keys := make([][]format.Value, 2500)
		for at := range keys {
			keys[at] = values([]string{fmt.Sprint(at)})
		}
		keys[1700], keys[2400] = values([]string{"text:x"}), values([]string{"text:7.00"})
		texts, err := db.Canonical(t.Context(), database.Table{Name: "items", Key: []string{"k"}, Results: []string{"p"}, Write: api.WriteUpdate}, keys)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]int{}
		for at, text := range texts {
			if first, twice := seen[string(text)]; twice && (first != 7 || at != 2400) {
				t.Errorf("keys %d and %d have the same text", first, at)
			}
			seen[string(text)] = at
			if (text == nil) != (at == 1700) {
				t.Errorf("key %d has the text %q", at, text)
			}
		}
		if string(texts[7]) != string(texts[2400]) {
			t.Error("7 and 7.00 have different texts")
		}
	})
}
