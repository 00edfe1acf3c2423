package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/database"
	"github.com/batchpattern/terraform-provider-batch/runner/secret"
)

// databaseUnused is how long a database is kept that nobody asks for. Its idle
// sessions end sooner; who has it in hand needs no longer than this.
const databaseUnused = 24 * time.Hour

// databases are those that runs read and write. Each is opened once, by its
// DSN: a DSN that has changed, as a rotated password does it, is another one.
type databases struct {
	secrets *secret.Resolver

	mu     sync.Mutex
	byDSN  map[string]*openDatabase
	closed bool
}

type openDatabase struct {
	*database.DB
	asked time.Time // the last time
}

func newDatabases(secrets *secret.Resolver) *databases {
	return &databases{secrets: secrets, byDSN: map[string]*openDatabase{}}
}

// of is get for a field of the job, which errors name.
func (d *databases) of(ctx context.Context, field string, ref api.SecretRef) (*database.DB, error) {
	db, err := d.get(ctx, ref)
	if failure, ok := errors.AsType[*api.Failure](err); ok {
		return nil, api.Fail(failure.Reason, failure.Hint, fmt.Errorf("%s: %w", field, failure.Err))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", field, err)
	}
	return db, nil
}

// get opens a database, or gives one that is open.
func (d *databases) get(ctx context.Context, ref api.SecretRef) (*database.DB, error) {
	dsn, err := d.secrets.Resolve(ref)
	if err != nil {
		return nil, api.Fail(api.Reason(api.ClassConfig), "", err)
	}
	if db := d.open(dsn); db != nil {
		return db, nil
	}
	db, err := database.Open(ctx, dsn)
	if err != nil {
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
		return other.DB, nil
	}
	d.byDSN[dsn] = &openDatabase{db, time.Now()}
	return db, nil
}

// open gives a database that is open, and closes those that nobody has asked
// for lately.
func (d *databases) open(dsn string) *database.DB {
	d.mu.Lock()
	defer d.mu.Unlock()
	maps.DeleteFunc(d.byDSN, func(other string, db *openDatabase) bool {
		unused := other != dsn && time.Since(db.asked) > databaseUnused
		if unused {
			db.Close()
		}
		return unused
	})
	db := d.byDSN[dsn]
	if db == nil {
		return nil
	}
	db.asked = time.Now()
	return db.DB
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
