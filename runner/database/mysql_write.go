package database

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
)

const (
	mysqlInstant = "2006-01-02 15:04:05.999999"
	bits         = "UNSIGNED INTEGER" // what BIT columns are cast to
)

func (m *mySQL) quote(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

func (m *mySQL) placeholder(int) string { return "?" }

func (m *mySQL) syntax() syntax { return syntax{backslash: true, backtick: true, hash: true} }

// bound writes what a column of the same type is compared with by value: an
// integer as text would be compared as a float.
func (m *mySQL) bound(s *statement, value any) string {
	switch v := value.(type) {
	case time.Time:
		value = m.instant(v)
	case string:
		if number, err := strconv.ParseInt(v, 10, 64); err == nil {
			value = number
		} else if at, err := time.Parse(time.RFC3339Nano, v); err == nil {
			value = m.instant(at)
		}
	}
	return s.arg(value)
}

func (m *mySQL) bounded(s *statement, column, operator, bound string) string {
	return column + " " + operator + " " + m.bound(s, bound)
}

func (m *mySQL) clock() string { return "SELECT DATE_FORMAT(UTC_TIMESTAMP(6), '%Y-%m-%d %H:%i:%s.%f')" }

func (m *mySQL) user() string {
	return "SELECT CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), '''')"
}

func (m *mySQL) types() types {
	return types{text: "VARCHAR(255)", number: "DOUBLE", json: "JSON", instant: "DATETIME(6)"}
}

func (m *mySQL) columns(ctx context.Context, s session, schema, table string) (string, []column, error) {
	rows, err := s.query(ctx, `SELECT c.table_schema, t.table_type, t.engine, c.column_name, c.data_type, c.column_type, c.character_set_name, c.collation_name,
  c.is_nullable = 'NO' AND c.column_default IS NULL AND c.extra NOT LIKE '%auto_increment%' AND c.extra NOT LIKE '%GENERATED%', c.generation_expression <> ''
FROM information_schema.columns AS c JOIN information_schema.tables AS t ON t.table_schema = c.table_schema AND t.table_name = c.table_name
WHERE c.table_schema = COALESCE(NULLIF(?, ''), DATABASE()) AND c.table_name = ? ORDER BY c.ordinal_position`, schema, table)
	if err != nil || len(rows) == 0 {
		return schema, nil, err
	}
	if kind, engine := rows[0][1], rows[0][2]; kind == "BASE TABLE" && engine != "InnoDB" {
		return schema, nil, failf(fmt.Sprintf("run: ALTER TABLE %s ENGINE = InnoDB", qualified(m, schema, table)),
			"table %s is kept by %s, which has no transactions", table, engine)
	}
	checked, err := m.jsonColumns(ctx, s, rows[0][0], table)
	if err != nil {
		return schema, nil, err
	}
	var found []column
	for _, row := range rows {
		c := column{name: row[3], charset: row[6], collation: row[7], required: row[8] == "1", generated: row[9] == "1"}
		c.class, c.cast = mysqlClass(row[4], row[5])
		c.noKey = row[4] == "float" || row[4] == "bit" || c.class == classJSON
		c.noInstant = c.class != classInstant && c.charset == ""
		c.empty = c.charset != "" || c.class == classBytes
		if slices.Contains(checked, c.name) {
			c.class = classJSON
		}
		found = append(found, c)
	}
	return rows[0][0], found, nil
}

// jsonColumns are MariaDB's columns of type JSON: texts with a check.
func (m *mySQL) jsonColumns(ctx context.Context, s session, schema, table string) ([]string, error) {
	version, err := s.query(ctx, "SELECT VERSION()")
	if err != nil || !strings.Contains(version[0][0], "MariaDB") {
		return nil, err
	}
	rows, err := s.query(ctx, "SELECT check_clause FROM information_schema.check_constraints WHERE constraint_schema = ? AND table_name = ?", schema, table)
	var names []string
	for _, row := range rows {
		if clause, ok := strings.CutPrefix(row[0], "json_valid(`"); ok {
			name, _ := strings.CutSuffix(clause, "`)")
			names = append(names, strings.ReplaceAll(name, "``", "`"))
		}
	}
	return names, err
}

// mysqlClass judges a column by its data type, and gives the type that a text
// is cast to before it is compared with it; none for texts.
func mysqlClass(kind, full string) (class, string) {
	_, digits, _ := strings.Cut(full, "(")
	digits = "(" + cmp.Or(strings.TrimRight(digits, ")"), "0") + ")" // behind the point, of times
	switch kind {
	case "tinyint", "smallint", "mediumint", "int", "bigint", "year":
		if strings.Contains(full, "unsigned") {
			return classInteger, "UNSIGNED"
		}
		return classInteger, "SIGNED"
	case "bit":
		return classInteger, bits
	case "decimal":
		return classNumber, full[:strings.IndexByte(full, ')')+1]
	case "float", "double":
		return classNumber, "DOUBLE"
	case "date":
		return classText, "DATE"
	case "time":
		return classText, "TIME" + digits
	case "datetime", "timestamp":
		return classInstant, "DATETIME" + digits
	case "binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob":
		return classBytes, ""
	case "json":
		return classJSON, ""
	case "uuid", "inet4", "inet6":
		return classText, strings.ToUpper(kind)
	}
	return classText, ""
}

func (m *mySQL) uniques(ctx context.Context, s session, schema, table string) ([]index, error) {
	rows, err := s.query(ctx, `SELECT index_name, COALESCE(column_name, '') FROM information_schema.statistics
WHERE table_schema = ? AND table_name = ? AND non_unique = 0
  AND index_name NOT IN (SELECT index_name FROM information_schema.statistics WHERE table_schema = ? AND table_name = ? AND (sub_part IS NOT NULL OR column_name IS NULL))
ORDER BY index_name <> 'PRIMARY', index_name, seq_in_index`, schema, table, schema, table)
	return indexes(rows), err
}

func (m *mySQL) strayKeys(context.Context, session, *target) (string, error) { return "", nil }

func (m *mySQL) createMarkers(table string) string {
	return "CREATE TABLE IF NOT EXISTS " + table + " (`run` VARCHAR(190) NOT NULL, `run_attempt` BIGINT NOT NULL, `unit` VARCHAR(190) NOT NULL, `fence` BIGINT NOT NULL, " +
		"`rows` BIGINT NOT NULL, `gone` TEXT NOT NULL, `hash` VARCHAR(190) NOT NULL, `at` TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6), " +
		"PRIMARY KEY (`run`, `run_attempt`, `unit`)) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
}

// tryMarkers names one column twice: DDL can't be taken back here.
func (m *mySQL) tryMarkers(table string) string {
	return "CREATE TABLE " + table + " (`run` INTEGER, `run` INTEGER)"
}

func (m *mySQL) tried(err error) bool { return mysqlNumber(err, 1060) }

// insertIgnoring leaves the statement as it is: IGNORE would ignore more than
// a marker that is there.
func (m *mySQL) insertIgnoring(insert string) string { return insert }

func mysqlNumber(err error, numbers ...uint16) bool {
	e, ok := errors.AsType[*mysql.MySQLError](err)
	return ok && slices.Contains(numbers, e.Number)
}

func (m *mySQL) duplicate(err error) bool { return mysqlNumber(err, 1062, 1586) }

func (m *mySQL) immediately() string { return "" }

func (m *mySQL) denied(err error) bool { return mysqlNumber(err, 1044, 1142, 1143) }

// source is one JSON array of rows: JSON_TABLE gives its strings as texts.
func (m *mySQL) source(c *chunk, rows []int, s *statement) string {
	var columns strings.Builder
	for at := range c.target.cells {
		fmt.Fprintf(&columns, ", c%d LONGTEXT CHARACTER SET utf8mb4 PATH '$[%d]' ERROR ON ERROR", at, at)
	}
	return fmt.Sprintf("JSON_TABLE(%s, '$[*]' COLUMNS (n FOR ORDINALITY%s)) AS i", s.arg(string(c.appendRows(nil, rows))), columns.String())
}

func (m *mySQL) number() string             { return "i.n" }
func (m *mySQL) firstNumber() int           { return 1 }
func (m *mySQL) cell(at int) string         { return fmt.Sprintf("i.c%d", at) }
func (m *mySQL) instant(t time.Time) string { return t.UTC().Format(mysqlInstant) }

func (m *mySQL) key(c column, cell string) string {
	switch {
	case c.cast != "":
		return "CAST(" + cell + " AS " + c.cast + ")"
	case c.class == classBytes:
		return "UNHEX(" + cell + ")"
	case c.charset != "":
		return "CONVERT(" + cell + " USING " + c.charset + ") COLLATE " + c.collation
	}
	return cell
}

func (m *mySQL) value(c column, cell string) string {
	switch {
	case c.class == classBytes:
		return "UNHEX(" + cell + ")"
	case c.cast == bits: // which are not read from digits
		return "CAST(" + cell + " AS " + bits + ")"
	}
	return cell
}

// The order of a straight join is that of the chunk: its rows are looked up,
// and locked, one after the other by the key's index. MySQL wants to hear that
// it is not the chunk which is locked; MariaDB, which reads that as a comment,
// has no words for it.
func (m *mySQL) find(t *target, status, source, on string) string {
	return fmt.Sprintf("SELECT i.n, %s FROM %s STRAIGHT_JOIN %s AS t FORCE INDEX (%s) ON %s FOR UPDATE /*!80001 OF t */", status, source, t.quoted, m.quote(t.index), on)
}

func (m *mySQL) update(t *target, sets []string, source, on string) string {
	for at, set := range sets {
		sets[at] = "t." + set
	}
	return fmt.Sprintf("UPDATE %s STRAIGHT_JOIN %s AS t FORCE INDEX (%s) ON %s SET %s", source, t.quoted, m.quote(t.index), on, strings.Join(sets, ", "))
}
