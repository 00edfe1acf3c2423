package database

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

// Canonical gives each key a text that two keys share exactly where the
// table's key columns find them equal: 1 and 01 in an integer, 'a' and 'A' in a
// collation without case. A key that the table can't hold at all has none
// (nil): Commit refuses that record. Other tables, other texts.
func (d *DB) Canonical(ctx context.Context, t Table, keys [][]format.Value) ([][]byte, error) {
	found, err := d.target(ctx, Table{Name: t.Name, Key: t.Key, Write: api.WriteUpdate})
	if err != nil {
		return nil, err
	}
	texts := make([][]byte, len(keys))
	part, places := newChunk(found), []int(nil) // of the keys in part
	flush := func() error {
		if part.rows() == 0 {
			return nil
		}
		err := d.canonical(ctx, part, part.order, func(row int, text []byte) { texts[places[row]] = text })
		part.reset()
		places = places[:0]
		return err
	}
	for at, key := range keys {
		if part.add(key) != nil { // it fits no such column
			continue
		}
		places = append(places, at)
		if part.full() {
			if err := flush(); err != nil {
				return nil, err
			}
		}
	}
	return texts, flush()
}

// canonical asks the database, but for what needs no asking. What the database
// can't read is narrowed down to the keys that it can't.
func (d *DB) canonical(ctx context.Context, c *chunk, rows []int, is func(row int, text []byte)) error {
	if c.target.integers() {
		for _, row := range rows {
			is(row, c.integers(row))
		}
		return nil
	}
	found, err := d.askCanonical(ctx, c, rows)
	switch {
	case err != nil && !unreadable(err):
		return fmt.Errorf("compare keys as table %s does: %w", c.target.Name, explain(err))
	case err != nil && len(rows) == 1:
		return nil
	case err != nil:
		half := len(rows) / 2
		if err := d.canonical(ctx, c, rows[:half], is); err != nil {
			return err
		}
		return d.canonical(ctx, c, rows[half:], is)
	}
	for at, row := range rows {
		is(row, found[at])
	}
	return nil
}

// askCanonical gives the texts of some rows; nil for what the database reads as
// NULL.
func (d *DB) askCanonical(ctx context.Context, c *chunk, rows []int) ([][]byte, error) {
	s := &statement{dialect: d.server}
	var texts strings.Builder
	for at, column := range c.target.key() {
		texts.WriteString(", " + d.server.canonical(column, d.server.cell(at)))
	}
	source := d.server.source(c, rows, s)
	var found [][]string
	err := d.within(ctx, false, func(session session) (err error) {
		found, err = session.query(ctx, fmt.Sprintf("SELECT %s%s FROM %s", d.server.number(), texts.String(), source), s.args...)
		return err
	})
	if err != nil {
		return nil, err
	}
	keys := make([][]byte, len(rows))
	for _, row := range found {
		at, err := strconv.Atoi(row[0])
		at -= d.server.firstNumber()
		if err != nil || at < 0 || at >= len(keys) {
			return nil, fmt.Errorf("the database answers for row %q of %d", row[0], len(keys))
		}
		key := []byte{}
		for _, text := range row[1:] {
			if text == "" { // NULL; a text begins with a mark
				key = nil
				break
			}
			key = append(binary.AppendUvarint(key, uint64(len(text))), text...)
		}
		keys[at] = key
	}
	return keys, nil
}

// integers tells whether the whole key is of integers: they are compared here.
func (t *target) integers() bool {
	for _, column := range t.key() {
		if column.class != classInteger {
			return false
		}
	}
	return true
}

// integers is the canonical text of a row whose cells are integers of 64 bits.
func (c *chunk) integers(row int) []byte {
	var key []byte
	for at := range c.target.cells {
		text, _ := c.cell(row, at)
		if v, err := strconv.ParseInt(string(text), 10, 64); err == nil {
			key = strconv.AppendInt(key, v, 10)
		} else {
			v, _ := strconv.ParseUint(string(text), 10, 64)
			key = strconv.AppendUint(key, v, 10)
		}
		key = append(key, ',')
	}
	return key
}

// unreadable tells whether an error is about a value that is none of its type.
func unreadable(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && strings.HasPrefix(e.Code, "22")
}

// canonical is a hash that goes with the equality of the column's type and
// collation, 128 bits of it; but for decimals, whose hash leaves the sign out.
func (p *postgres) canonical(c column, cell string) string {
	if c.class == classDecimal {
		return "'=' || trim_scale(" + p.key(c, cell) + ")"
	}
	value := "ARRAY[" + p.key(c, cell)
	if c.collation != "" {
		value += " COLLATE " + c.collation
	}
	value += "]"
	return fmt.Sprintf("'=' || hash_array_extended(%s, 0) || ' ' || hash_array_extended(%s, 1)", value, value)
}

// canonical is the weight of a text in its collation; a type's own text of
// anything else. Spaces at the end have a weight only where they are not
// padding.
func (m *mySQL) canonical(c column, cell string) string {
	switch value := m.key(c, cell); {
	case c.charset != "":
		if !strings.Contains(c.collation, "_0900_") && !strings.Contains(c.collation, "nopad") {
			value = "CONVERT(RTRIM(" + cell + ") USING " + c.charset + ") COLLATE " + c.collation
		}
		return "CONCAT('=', HEX(WEIGHT_STRING(" + value + ")))"
	case c.class == classBytes:
		return "CONCAT('=', HEX(" + value + "))"
	case c.cast == "DOUBLE":
		return "CONCAT('=', " + value + " + 0e0)" // 0 for -0
	default:
		return "CONCAT('=', " + value + ")"
	}
}

// canonical follows the column's affinity, and its collation.
func (f *sqliteFile) canonical(c column, cell string) string {
	number := "quote(CAST(" + cell + " AS NUMERIC))" // with all its digits
	switch {
	case c.class == classNumber || c.class == classInteger:
		return "'=' || " + number
	case c.class == classAny:
		return fmt.Sprintf("CASE WHEN typeof(%[1]s) = 'text' THEN '=' || %[1]s WHEN %[1]s = CAST(%[1]s AS INTEGER) THEN '#' || CAST(%[1]s AS INTEGER) ELSE '#' || quote(%[1]s) END", cell)
	case c.cast == numeric: // a cast gives a text its affinity: 01 is 1, and 1a no number
		return fmt.Sprintf("CASE WHEN %[1]s = CAST(%[1]s AS NUMERIC) THEN '#' || %[2]s ELSE '=' || %[1]s END", cell, number)
	case c.collation == "NOCASE":
		cell = "lower(" + cell + ")"
	case c.collation == "RTRIM":
		cell = "rtrim(" + cell + ")"
	}
	return "'=' || " + cell
}
