package database

import "time"

// Limit sets how long a session may take to begin, and a statement to be
// answered.
func (d *DB) Limit(connect, statement time.Duration) {
	d.limits = limits{connect: connect, statement: statement}
}

// Forget ends the sessions that are idle: the next one is new.
func (d *DB) Forget() {
	switch s := d.server.(type) {
	case *postgres:
		for conn, ok := s.pop(); ok; conn, ok = s.pop() {
			closeConn(conn)
		}
	case *mySQL:
		s.db.SetMaxIdleConns(0)
		s.db.SetMaxIdleConns(keptIdle)
	}
}
