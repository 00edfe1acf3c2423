package store

import (
	"encoding/json"
	"errors"
)

// Creation says how a live job came to be, for a Create that is sent again.
type Creation struct {
	Key     string `json:"key"`     // the Idempotency-Key it was sent with
	Resumed bool   `json:"resumed"` // it dug up a buried job
}

func creationKey(uid string) string { return "creation " + uid }

// KeepCreation notes how a job came to be.
func (t *Tx) KeepCreation(uid string, c Creation) error {
	return t.exec(`INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
		creationKey(uid), encode(c))
}

// Creation tells how a job came to be.
func (t *Tx) Creation(uid string) (Creation, error) {
	var (
		text string
		c    Creation
	)
	if err := t.row(`SELECT value FROM meta WHERE key = $1`, creationKey(uid))(&text); err != nil {
		return c, err
	}
	return c, json.Unmarshal([]byte(text), &c)
}

// ForgetJob removes what PurgeJob does not know of: how the job came to be,
// and its own history.
func (t *Tx) ForgetJob(uid string) error {
	return errors.Join(
		t.exec(`DELETE FROM meta WHERE key = $1`, creationKey(uid)),
		t.exec(`DELETE FROM events WHERE uid = $1`, uid))
}
