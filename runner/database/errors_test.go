package database

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
)

func TestErrorsAreJudged(t *testing.T) {
	state := func(code string) error { return &pgconn.PgError{Code: code} }
	number := func(n uint16) error { return &mysql.MySQLError{Number: n} }
	for _, c := range []struct {
		name              string
		err               error
		transient, config bool
	}{
		{"nothing", nil, false, false},
		{"deadlock", state("40P01"), true, false},
		{"serialization", state("40001"), true, false},
		{"lock timeout", state("55P03"), true, false},
		{"shutdown", state("57P01"), true, false},
		{"idle in transaction", state("25P03"), true, false},
		{"too many connections", state("53300"), true, false},
		{"wrong password", state("28P01"), false, true},
		{"no such table", state("42P01"), false, true},
		{"no such database", state("3D000"), false, true},
		{"no right", state("42501"), false, true},
		{"not a number", state("22P02"), false, false},
		{"duplicate", state("23505"), false, false},
		{"no code", state(""), false, false},
		{"deadlock", number(1213), true, false},
		{"lock wait timeout", number(1205), true, false},
		{"too many connections", number(1040), true, false},
		{"shutdown", number(1053), true, false},
		{"wrong password", number(1045), false, true},
		{"no such table", number(1146), false, true},
		{"no such column", number(1054), false, true},
		{"duplicate", number(1062), false, false},
		{"connection lost", mysql.ErrInvalidConn, true, false},
		{"connection lost", io.ErrUnexpectedEOF, true, false},
		{"refused", &net.OpError{Op: "dial", Err: errors.New("refused")}, true, false},
		{"no such file", &fs.PathError{Op: "stat", Err: fs.ErrNotExist}, false, false},
		{"stopped by the caller", fmt.Errorf("%w: %w", context.Canceled, io.EOF), false, false},
		{"anything else", errors.New("anything"), false, false},
		{"what a person mends", fail("", io.EOF), false, false},
	} {
		err := c.err
		if err != nil {
			err = fmt.Errorf("commit: %w", err)
		}
		if Transient(err) != c.transient || err != nil && config(err) != c.config {
			t.Errorf("%s (%v): transient %v, config %v", c.name, c.err, Transient(err), config(err))
		}
	}
}
