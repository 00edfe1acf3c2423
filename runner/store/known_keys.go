package store

import (
	"database/sql"
	"encoding/hex"
)

// RowHashes tell a row of a table again: by its key, and whether what was read
// of it is still the same. Empty where nobody asks.
type RowHashes struct {
	Key   string
	Input string
}

// HashesOf writes the two hashes as they are stored.
func HashesOf(key, input []byte) RowHashes {
	return RowHashes{Key: hex.EncodeToString(key), Input: hex.EncodeToString(input)}
}

// KnownKey is a row that is a dead letter, and so left out of a predicate as
// long as it stays as it was.
type KnownKey struct {
	RowHashes
	Run string // whose dead letter it is
}

const (
	knownKeys = `SELECT key, input, run_id FROM known_keys WHERE uid = $1 AND identity = $2 AND key IN (SELECT value FROM json_each($3))`
	anyKeys   = `SELECT 1 FROM known_keys WHERE uid = $1 AND identity = $2 LIMIT 1`
	// A letter that was sent again stays one until its prediction is visible. An
	// older run that ends later does not replace what a newer one has read.
	keysKnown = `INSERT INTO known_keys (uid, identity, key, input, run_id, at)
		SELECT $1, $2, key, input, $3, $4 FROM dead_letters WHERE run_id = $3 AND key <> ''
		ON CONFLICT (uid, key) DO UPDATE SET identity = excluded.identity, input = excluded.input, run_id = excluded.run_id, at = excluded.at
		WHERE known_keys.at <= excluded.at OR known_keys.identity <> excluded.identity`
)

// KnowsKeys tells whether a job has dead letters to leave out of the input of
// that identity, Job.InputIdentity.
func (s *Store) KnowsKeys(uid, identity string) (bool, error) {
	found, err := list(s.reader(), func(rows *sql.Rows) (one int, err error) {
		err = rows.Scan(&one)
		return one, err
	}, anyKeys, uid, identity)
	return len(found) > 0, err
}

// KnownKeys finds those of some keys that are dead letters, in no order.
func (s *Store) KnownKeys(uid, identity string, keys []string) ([]KnownKey, error) {
	return list(s.reader(), func(rows *sql.Rows) (k KnownKey, err error) {
		err = rows.Scan(&k.Key, &k.Input, &k.Run)
		return k, err
	}, knownKeys, uid, identity, encode(keys))
}

// KnowKeys remembers the dead letters that a run has now, instead of those that
// it had before.
func (t *Tx) KnowKeys(uid, identity string, plan Plan) error {
	if err := t.exec(`DELETE FROM known_keys WHERE run_id = $1`, plan.Run); err != nil {
		return err
	}
	return t.exec(keysKnown, uid, identity, plan.Run, nanos(plan.CreatedAt))
}
