package database

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
)

// mySQL is a server of MySQL 8 or MariaDB 10.6 and later.
type mySQL struct {
	db *sql.DB
}

func openMySQL(u *url.URL) (server, error) {
	config, err := mysqlConfig(u)
	if err != nil {
		return nil, err
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, failf("see its options", "its options can't be used: %w", err)
	}
	db := sql.OpenDB(connector)
	db.SetMaxIdleConns(keptIdle)
	db.SetConnMaxIdleTime(keptIdleFor)
	return &mySQL{db: db}, nil
}

// mysqlConfig translates mysql://user:password@host:port/database?tls=…. Times
// stay text: nothing rounds or moves them.
func mysqlConfig(u *url.URL) (*mysql.Config, error) {
	if err := onlyOptions(u, "tls", "socket", "connect_timeout"); err != nil {
		return nil, err
	}
	config := mysql.NewConfig()
	config.Net, config.Addr = "tcp", u.Host
	if u.Port() == "" {
		config.Addr = u.Host + ":3306"
	}
	if u.Hostname() == "" {
		config.Addr = "127.0.0.1" + config.Addr
	}
	options := u.Query()
	if socket := options.Get("socket"); socket != "" {
		config.Net, config.Addr = "unix", socket
	}
	config.User = u.User.Username()
	config.Passwd, _ = u.User.Password()
	config.DBName = strings.TrimPrefix(u.Path, "/")
	config.TLSConfig = options.Get("tls")
	config.Timeout = 10 * time.Second
	if text := options.Get("connect_timeout"); text != "" {
		timeout, err := time.ParseDuration(text)
		if err != nil {
			return nil, badDSN("connect_timeout is written like 10s")
		}
		config.Timeout = timeout
	}
	dials := *dialer
	dials.Timeout = config.Timeout
	config.DialFunc = dials.DialContext
	config.Collation = "utf8mb4_general_ci"
	config.ClientFoundRows = true
	config.InterpolateParams = true // one round trip a statement, not three
	config.MaxAllowedPacket = 0     // the server's
	config.Logger = &mysql.NopLogger{}
	config.Params = map[string]string{
		"time_zone":                "'+00:00'",
		"sql_mode":                 "CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')",
		"innodb_lock_wait_timeout": "60",
		"lock_wait_timeout":        "60",
		"wait_timeout":             "60",
		"net_write_timeout":        "600", // who reads rows may wait for a disk
	}
	return config, nil
}

func (m *mySQL) kind() string { return "mysql" }

func (m *mySQL) close() { _ = m.db.Close() }

func (m *mySQL) begin(ctx context.Context, writes bool) (session, error) {
	statements := []string{"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"}
	if writes {
		// Locks of rows that are there, and of no gaps between them.
		statements = []string{"SET TRANSACTION ISOLATION LEVEL READ COMMITTED", "START TRANSACTION READ WRITE"}
	}
	s, err := beginSQL(ctx, m.db, statements...)
	if err != nil {
		return nil, err
	}
	s.cells = newMySQLCells
	s.shown, s.unit = mysqlWord, mysqlUnit
	return &mysqlSession{sqlSession: s}, nil
}

// mysqlSession finds out which text of MariaDB is JSON.
type mysqlSession struct{ *sqlSession }

// stream asks first what the protocol does not tell: MariaDB's JSON is a text
// with a check. Its JSON_ARRAY takes JSON as it is and quotes text.
func (s *mysqlSession) stream(ctx context.Context, text string, args []any) (cursor, error) {
	isJSON, err := s.findJSON(ctx, text, args)
	if err != nil {
		return nil, err
	}
	s.cells = func(types []*sql.ColumnType) cells {
		made := newMySQLCells(types).(*mysqlCells)
		for at, column := range types {
			if isJSON[column.Name()] {
				made.names[at] = "JSON"
			}
		}
		return made
	}
	s.shown = func(column *sql.ColumnType) string {
		if isJSON[column.Name()] {
			return api.TypeJSON
		}
		return mysqlWord(column)
	}
	return s.sqlSession.stream(ctx, text, args)
}

func (s *mysqlSession) findJSON(ctx context.Context, text string, args []any) (map[string]bool, error) {
	version, err := s.query(ctx, "SELECT VERSION()")
	if err != nil || !strings.Contains(version[0][0], "MariaDB") {
		return nil, err
	}
	candidates, err := s.texts(ctx, text, args)
	if err != nil {
		return nil, err
	}
	isJSON := map[string]bool{}
	for _, name := range candidates {
		column := "q." + (&mySQL{}).quote(name)
		rows, err := s.query(ctx, fmt.Sprintf("SELECT JSON_ARRAY(%[1]s), %[1]s FROM (%[2]s\n) AS q WHERE %[1]s IS NOT NULL LIMIT 1", column, text), args...)
		if err != nil {
			return nil, err
		}
		isJSON[name] = len(rows) > 0 && strings.HasPrefix(rows[0][0], "["+rows[0][1])
	}
	return isJSON, nil
}

// texts are the columns of a query that may be JSON.
func (s *mysqlSession) texts(ctx context.Context, text string, args []any) ([]string, error) {
	rows, err := s.conn.QueryContext(ctx, "SELECT * FROM ("+text+"\n) AS q LIMIT 0", args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells what matters
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, column := range types {
		if name := column.DatabaseTypeName(); name == "TEXT" || name == "LONGTEXT" {
			names = append(names, column.Name())
		}
	}
	return names, rows.Err()
}

// mysqlWord is the type of a column for an output.
func mysqlWord(column *sql.ColumnType) string {
	switch name := strings.TrimPrefix(column.DatabaseTypeName(), "UNSIGNED "); name {
	case "TINYINT", "SMALLINT", "MEDIUMINT", "INT", "BIGINT", "YEAR", "BIT":
		return api.TypeInt64
	case "FLOAT", "DOUBLE":
		return api.TypeDouble
	case "DECIMAL":
		if precision, scale, ok := column.DecimalSize(); ok && scale <= precision {
			return decimal(precision, scale)
		}
	case "DATE":
		return api.TypeDate
	case "DATETIME", "TIMESTAMP":
		return api.TypeTimestamp
	case "JSON":
		return api.TypeJSON
	}
	return api.TypeString
}

func mysqlUnit(column *sql.ColumnType) time.Duration {
	switch column.DatabaseTypeName() {
	case "DATE":
		return day
	case "DATETIME", "TIMESTAMP":
		if digits, _, ok := column.DecimalSize(); ok {
			return fraction(digits)
		}
	}
	return 0
}

// mysqlCells reads raw bytes, valid until the next row, and floats.
type mysqlCells struct {
	names  []string
	values []sql.RawBytes
	floats []sql.NullFloat64
	to     []any
}

func newMySQLCells(types []*sql.ColumnType) cells {
	c := &mysqlCells{values: make([]sql.RawBytes, len(types)), floats: make([]sql.NullFloat64, len(types))}
	for at, column := range types {
		name := strings.TrimPrefix(column.DatabaseTypeName(), "UNSIGNED ")
		c.names = append(c.names, name)
		if name == "FLOAT" || name == "DOUBLE" {
			c.to = append(c.to, &c.floats[at])
		} else {
			c.to = append(c.to, &c.values[at])
		}
	}
	return c
}

func (c *mysqlCells) scan(rows *sql.Rows) error { return rows.Scan(c.to...) }

func (c *mysqlCells) append(to []byte, column int) []byte {
	if float := c.floats[column]; float.Valid {
		return appendFloat(to, float.Float64)
	}
	text := c.values[column]
	if text == nil {
		return append(to, "null"...)
	}
	switch c.names[column] {
	case "TINYINT", "SMALLINT", "MEDIUMINT", "INT", "BIGINT", "YEAR", "DECIMAL":
		for len(text) > 1 && text[0] == '0' && text[1] != '.' { // ZEROFILL
			text = text[1:]
		}
		return appendNumber(to, text)
	case "BIT": // as it is written
		var bits uint64
		for _, b := range text {
			bits = bits<<8 | uint64(b)
		}
		return strconv.AppendUint(to, bits, 10)
	case "DATETIME", "TIMESTAMP":
		return appendInstant(to, text)
	case "JSON":
		return appendJSON(to, text)
	case "BLOB", "TINYBLOB", "MEDIUMBLOB", "LONGBLOB", "BINARY", "VARBINARY", "GEOMETRY", "VECTOR":
		return appendBytes(to, text)
	}
	return format.AppendString(to, text)
}
