package engine

import (
	"context"
	"sync"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/database"
	"github.com/batchpattern/terraform-provider-batch/runner/secret"
)

// databases are those that runs read and write. Each is opened once, by its
// DSN: a DSN that has changed, as a rotated password does it, is another one.
type databases struct {
	secrets *secret.Resolver

	mu     sync.Mutex
	byDSN  map[string]*database.DB
	closed bool
}

func newDatabases(secrets *secret.Resolver) *databases {
	return &databases{secrets: secrets, byDSN: map[string]*database.DB{}}
}

// get opens a database, or gives one that is open.
func (d *databases) get(ctx context.Context, ref api.SecretRef) (*database.DB, error) {
	dsn, err := d.secrets.Resolve(ref)
	if err != nil {
		return nil, api.Fail(api.Reason(api.ClassConfig), "", err)
	}
	d.mu.Lock()
	db := d.byDSN[dsn]
	d.mu.Unlock()
	if db != nil {
		return db, nil
	}
	if db, err = database.Open(ctx, dsn); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	other := d.byDSN[dsn]
	switch {
	case d.closed:
		db.Close()
		return nil, errDraining
	case other != nil: // somebody was faster
		db.Close()
		return other, nil
	}
	d.byDSN[dsn] = db
	return db, nil
}

// close ends all sessions, once nobody needs them any more.
func (d *databases) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	for _, db := range d.byDSN {
		db.Close()
	}
	clear(d.byDSN)
}
