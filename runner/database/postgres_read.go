package database

import (
	"context"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

// Types of PostgreSQL by their number, which never changes.
const (
	oidBool, oidBytea, oidInt8, oidInt2, oidInt4 = 16, 17, 20, 21, 23
	oidJSON, oidFloat4, oidFloat8, oidDate       = 114, 700, 701, 1082
	oidTimestamp, oidTimestampTZ, oidNumeric     = 1114, 1184, 1700
	oidJSONB                                     = 3802
)

// postgresCursor reads rows as the server sends them, in text.
type postgresCursor struct {
	session *postgresSession
	result  *pgconn.ResultReader
	shown   []api.Column
	types   []uint32 // of the columns
	units   []time.Duration
	element map[uint32]uint32 // array type → type of its elements
	failed  error
	done    bool
}

func (s *postgresSession) stream(ctx context.Context, text string, args []any) (cursor, error) {
	if _, err := s.run(ctx); err != nil {
		return nil, fmt.Errorf("begin a transaction: %w", err)
	}
	values, types := postgresArgs(args)
	described, err := s.conn.Prepare(ctx, "", text, types)
	if err != nil {
		return nil, err
	}
	c := &postgresCursor{session: s, element: map[uint32]uint32{}}
	for _, field := range described.Fields {
		c.types = append(c.types, field.DataTypeOID)
		c.units = append(c.units, postgresUnit(field))
	}
	if err := c.arrays(ctx); err != nil {
		return nil, err
	}
	for _, field := range described.Fields {
		c.shown = append(c.shown, api.Column{Name: field.Name, Type: c.word(field)})
	}
	// The look-up of the arrays took the unnamed statement's place.
	c.result = s.conn.ExecParams(ctx, text, values, types, nil, nil)
	return c, nil
}

// arrays asks which of the columns' types are arrays, and of what.
func (c *postgresCursor) arrays(ctx context.Context) error {
	list := []byte{'{'}
	for at, oid := range c.types {
		if at > 0 {
			list = append(list, ',')
		}
		list = strconv.AppendUint(list, uint64(oid), 10)
	}
	list = append(list, '}')
	rows, err := c.session.query(ctx, `SELECT a.oid, CASE WHEN e.typtype = 'd' THEN e.typbasetype ELSE e.oid END
FROM pg_catalog.pg_type AS a JOIN pg_catalog.pg_type AS e ON e.oid = a.typelem
WHERE a.oid = ANY ($1::oid[]) AND a.typcategory = 'A' AND e.typdelim = ','`, string(list))
	if err != nil {
		return fmt.Errorf("look up types: %w", err)
	}
	for _, row := range rows {
		array, _ := strconv.ParseUint(row[0], 10, 32)
		element, _ := strconv.ParseUint(row[1], 10, 32)
		c.element[uint32(array)] = uint32(element)
	}
	return nil
}

// word is the type of a column for an output.
func (c *postgresCursor) word(field pgconn.FieldDescription) string {
	switch field.DataTypeOID {
	case oidInt2, oidInt4, oidInt8:
		return api.TypeInt64
	case oidFloat4, oidFloat8:
		return api.TypeDouble
	case oidBool:
		return api.TypeBoolean
	case oidJSON, oidJSONB:
		return api.TypeJSON
	case oidDate:
		return api.TypeDate
	case oidTimestamp, oidTimestampTZ:
		return api.TypeTimestamp
	case oidNumeric:
		// The modifier holds precision and scale above the four bytes of a length.
		if modifier := field.TypeModifier - 4; modifier >= 0 && modifier&0xffff <= modifier>>16 {
			return decimal(int64(modifier>>16), int64(modifier&0xffff))
		}
	}
	if _, ok := c.element[field.DataTypeOID]; ok {
		return api.TypeJSON
	}
	return api.TypeString
}

func decimal(precision, scale int64) string { return fmt.Sprintf("decimal(%d,%d)", precision, scale) }

func (c *postgresCursor) columns() []api.Column { return c.shown }

func (c *postgresCursor) unit(column int) time.Duration { return c.units[column] }

// postgresUnit knows how many digits a column's seconds have by its modifier.
func postgresUnit(field pgconn.FieldDescription) time.Duration {
	switch field.DataTypeOID {
	case oidDate:
		return day
	case oidTimestamp, oidTimestampTZ:
		return fraction(int64(field.TypeModifier))
	}
	return 0
}

func (c *postgresCursor) next() bool {
	if c.done || c.result.NextRow() {
		return !c.done
	}
	c.done = true
	_, c.failed = c.result.Close()
	return false
}

func (c *postgresCursor) err() error { return c.failed }

// close does not wait for rows that nobody reads: it gives the connection up.
func (c *postgresCursor) close() {
	if !c.done {
		c.done = true
		closeConn(c.session.conn)
	}
}

func (c *postgresCursor) append(to []byte, column int) []byte {
	text := c.result.Values()[column]
	if text == nil {
		return append(to, "null"...)
	}
	oid := c.types[column]
	if element, ok := c.element[oid]; ok {
		return appendArray(to, text, element)
	}
	return appendPostgres(to, text, oid)
}

// appendPostgres writes a value, as the server writes it in text, as JSON.
func appendPostgres(to, text []byte, oid uint32) []byte {
	switch oid {
	case oidBool:
		return strconv.AppendBool(to, string(text) == "t")
	case oidInt2, oidInt4, oidInt8:
		return append(to, text...)
	case oidFloat4, oidFloat8, oidNumeric:
		return appendNumber(to, text)
	case oidJSON, oidJSONB:
		return appendJSON(to, text)
	case oidTimestamp, oidTimestampTZ:
		return appendInstant(to, text)
	case oidBytea:
		if len(text) >= 2 && string(text[:2]) == `\x` {
			if raw, err := hex.AppendDecode(nil, text[2:]); err == nil {
				return appendBytes(to, raw)
			}
		}
	}
	return format.AppendString(to, text)
}

// appendArray writes an array, {1,NULL,"a \"b\""}, nested or with bounds
// before it, [0:1]={1,2}, as a JSON array.
func appendArray(to, text []byte, element uint32) []byte {
	at := 0
	if text[0] == '[' {
		for at < len(text) && text[at] != '=' {
			at++
		}
		at++
	}
	var item []byte
	for ; at < len(text); at++ {
		switch text[at] {
		case '{':
			to = append(to, '[')
		case '}':
			to = append(to, ']')
		case ',':
			to = append(to, ',')
		case '"':
			item = item[:0]
			for at++; at < len(text) && text[at] != '"'; at++ {
				if text[at] == '\\' {
					at++
				}
				if at < len(text) {
					item = append(item, text[at])
				}
			}
			to = appendPostgres(to, item, element)
		default:
			from := at
			for at < len(text) && text[at] != ',' && text[at] != '}' {
				at++
			}
			if string(text[from:at]) == "NULL" {
				to = append(to, "null"...)
			} else {
				to = appendPostgres(to, text[from:at], element)
			}
			at--
		}
	}
	return to
}
