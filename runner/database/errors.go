package database

import (
	"context"
	"crypto/tls"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// errRaced says that another session wrote a row between two statements of
// ours: the transaction is repeated.
var errRaced = errors.New("another session has written the same rows at the same time")

// unreachable is a database that can't be connected to for a reason that may
// pass: nobody answers, or something else does.
type unreachable struct{ err error }

func (u *unreachable) Error() string { return u.err.Error() }
func (u *unreachable) Unwrap() error { return u.err }

// notConnected judges why a session could not be had. Its text is one line, and
// does not repeat who connects to what.
func notConnected(ctx context.Context, err error) error {
	if ctx.Err() != nil || config(err) {
		return fmt.Errorf("connect: %w", err)
	}
	if hint := untrusted(err); hint != "" {
		return fail(hint, fmt.Errorf("connect: %s", reason(err)))
	}
	return &unreachable{err}
}

// untrusted is the remedy where TLS can't be had as the DSN wants it; empty where
// that is not what is wrong.
func untrusted(err error) string {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "give the authority that has signed the server's certificate (PostgreSQL: sslrootcert=/path in the DSN; MySQL: in the system's certificates), " +
			"name the host as the certificate does, or have the certificate renewed"
	}
	// Where TLS is preferred only, what the server said without it comes last.
	text := strings.TrimSpace(err.Error())
	if errors.Is(err, mysql.ErrNoTLS) || strings.HasSuffix(text, "server refused TLS connection") {
		return "turn TLS on at the server, or say in the DSN that there is none (PostgreSQL: sslmode=disable; MySQL: tls=false)"
	}
	return ""
}

// reason is what an error of a connection comes down to, in one line.
func reason(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Error()
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		return e.Error()
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return e.Err.Error()
	}
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return e.Error()
	}
	if e, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		err = e.Unwrap() // it names user and database again
	}
	switch text := strings.Join(strings.Fields(err.Error()), " "); {
	case strings.Contains(text, "received unexpected message"):
		return "what answers there does not speak PostgreSQL's protocol"
	case strings.Contains(text, "server refused TLS connection"):
		return "the server refuses TLS"
	default:
		return text
	}
}

// Transient tells whether an error passes by itself: a deadlock, a
// serialization failure, a lock or connection that could not be had, a
// connection lost, a server that stops, or that something else answers for.
func Transient(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) {
		return false
	}
	if _, judged := errors.AsType[*api.Failure](err); judged {
		return false
	}
	if _, ok := errors.AsType[*unreachable](err); ok || errors.Is(err, errRaced) {
		return true
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return transientState(e.Code)
	}
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return transientNumbers[e.Number]
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()&0xff == sqliteBusy || e.Code()&0xff == sqliteLocked
	}
	return lost(err)
}

// lost tells whether the network or the server's process ended a connection.
func lost(err error) bool {
	for _, sign := range []error{
		driver.ErrBadConn, mysql.ErrInvalidConn, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, context.DeadlineExceeded, os.ErrDeadlineExceeded,
		syscall.ECONNRESET, syscall.ECONNREFUSED, syscall.EPIPE,
	} {
		if errors.Is(err, sign) {
			return true
		}
	}
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return true
	}
	_, ok := errors.AsType[*net.DNSError](err)
	return ok || pgconn.SafeToRetry(err)
}

// transientState judges a SQLSTATE of PostgreSQL.
func transientState(code string) bool {
	switch code {
	case "40001", "40P01", "55P03", // serialization, deadlock, lock timeout
		"57P01", "57P02", "57P03", "57P05", "25P03": // shutdown, crash, starting, idle timeouts
		return true
	}
	return strings.HasPrefix(code, "08") || strings.HasPrefix(code, "53") // connection, resources
}

// transientNumbers are errors of MySQL and MariaDB.
var transientNumbers = map[uint16]bool{
	1020: true, 1205: true, 1213: true, 3572: true, // row changed, lock wait timeout, deadlock, not waited for
	1040: true, 1203: true, // too many connections
	1053: true, 1077: true, 1079: true, 1927: true, 3169: true, 4031: true, // shutdown, killed, idle
	1158: true, 1159: true, 1160: true, 1161: true, 1184: true, // connection
}

// The primary result codes of SQLite that we judge.
const (
	sqliteError    = 1
	sqlitePerm     = 3
	sqliteBusy     = 5
	sqliteLocked   = 6
	sqliteReadOnly = 8
	sqliteCantOpen = 14
	sqliteAuth     = 23
	sqliteNotADB   = 26
)

// configNumbers are what a person has to mend, by number of MySQL and MariaDB.
var configNumbers = map[uint16]bool{
	1044: true, 1045: true, 1049: true, 1698: true, 3118: true, // access, database, account
	1046: true, 1051: true, 1054: true, 1060: true, 1064: true, 1109: true, 1146: true, 1305: true, // names, syntax
	1142: true, 1143: true, 1227: true, 1290: true, 1370: true, // rights, read-only
}

// config tells whether an error stays until somebody changes the job, the
// table or the rights.
func config(err error) bool {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		class := e.Code[:min(2, len(e.Code))]
		return class == "28" || class == "3D" || class == "3F" || class == "42" && e.Code != "42P05" || e.Code == "25006"
	}
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return configNumbers[e.Number]
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		switch e.Code() & 0xff {
		case sqliteError, sqlitePerm, sqliteReadOnly, sqliteCantOpen, sqliteAuth, sqliteNotADB:
			return true
		}
	}
	return false
}

// explain makes a Failure of class config of what a person has to mend.
func explain(err error) error {
	if err == nil {
		return nil
	}
	if _, done := errors.AsType[*api.Failure](err); done || !config(err) {
		return err
	}
	return fail("", err)
}

func fail(hint string, err error) error {
	return api.Fail(api.Reason(api.ClassConfig), hint, err)
}

func failf(hint, format string, args ...any) error {
	return fail(hint, fmt.Errorf(format, args...))
}
