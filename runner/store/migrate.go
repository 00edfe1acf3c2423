package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

//go:embed migrations/*.sql
var migrations embed.FS

// schema is what the migrations make of an empty database, written by them: one
// script takes a tenth of their time.
//
//go:embed schema.sql
var schema string

// completions is what SQL can't do of a migration.
var completions = map[string]func(context.Context, *sql.Tx) error{
	"migrations/003_calendar.sql": rereadJobs,
	"migrations/004_outcomes.sql": rereadJobs, // new defaults
}

// step is one migration: a script and, where it has one, what completes it in
// the same transaction.
type step struct {
	script   string
	complete func(context.Context, *sql.Tx) error
}

// migrate brings the database at path to the schema of this binary. A newer
// schema is refused. An older one is first migrated and checked in a copy, so
// that a failure leaves the original as it was; the copy of the old state
// stays beside it as a backup.
func migrate(ctx context.Context, db *sql.DB, path string) error {
	steps, err := loadMigrations()
	if err != nil {
		return err
	}
	have, err := schemaVersion(ctx, db, path)
	if err != nil {
		return err
	}
	if have == 0 {
		return apply(ctx, db, []step{{script: schema}}, len(steps)-1)
	}
	return migrateBy(ctx, db, path, steps)
}

func schemaVersion(ctx context.Context, db *sql.DB, path string) (have int, err error) {
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&have); err != nil {
		return 0, fmt.Errorf("open the store %s: %w", path, err)
	}
	return have, nil
}

func migrateBy(ctx context.Context, db *sql.DB, path string, steps []step) error {
	have, err := schemaVersion(ctx, db, path)
	if err != nil {
		return err
	}
	switch {
	case have > len(steps):
		return fmt.Errorf("the store %s has schema %d; this batch-runner knows up to %d: run the newer batch-runner that wrote it, or choose another data dir", path, have, len(steps))
	case have == len(steps):
		return nil
	case have > 0:
		if err := rehearse(ctx, db, fmt.Sprintf("%s.schema-%d", path, have), steps[have:], have); err != nil {
			return fmt.Errorf("the store %s can't be brought from schema %d to %d and was left as it is: %w", path, have, len(steps), err)
		}
	}
	return apply(ctx, db, steps[have:], have)
}

func loadMigrations() ([]step, error) {
	names, err := fs.Glob(migrations, "migrations/*.sql") // sorted
	if err != nil {
		return nil, err
	}
	steps := make([]step, len(names))
	for i, name := range names {
		text, err := migrations.ReadFile(name)
		if err != nil {
			return nil, err
		}
		steps[i] = step{string(text), completions[name]}
	}
	return steps, nil
}

// rehearse keeps a backup and migrates a second copy of it.
func rehearse(ctx context.Context, db *sql.DB, backup string, steps []step, have int) (err error) {
	rehearsal := backup + ".rehearsal"
	defer func() {
		for _, suffix := range []string{"", "-wal", "-shm"} {
			if e := os.Remove(rehearsal + suffix); e != nil && !errors.Is(e, fs.ErrNotExist) {
				err = errors.Join(err, e)
			}
		}
	}()
	for _, copied := range []string{backup, rehearsal} {
		if err := os.Remove(copied); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if _, err := db.ExecContext(ctx, "VACUUM INTO ?", copied); err != nil {
			return fmt.Errorf("copy to %s: %w", copied, err)
		}
	}
	trial, err := openDB(rehearsal)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, trial.Close()) }()
	if err := apply(ctx, trial, steps, have); err != nil {
		return err
	}
	if err := integrityCheck(ctx, trial); err != nil {
		return fmt.Errorf("the migrated copy: %w", err)
	}
	return nil
}

func apply(ctx context.Context, db *sql.DB, steps []step, have int) error {
	for i, step := range steps {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, step.script)
		if err == nil && step.complete != nil {
			err = step.complete(ctx, tx)
		}
		if err == nil {
			_, err = tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", have+i+1))
		}
		if err != nil {
			return errors.Join(fmt.Errorf("migration %d: %w", have+i+1, err), tx.Rollback())
		}
		if err := tx.Commit(); err != nil {
			return fmt.Errorf("migration %d: %w", have+i+1, err)
		}
	}
	return nil
}
