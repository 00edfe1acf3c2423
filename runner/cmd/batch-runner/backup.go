package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
	"github.com/batchpattern/terraform-provider-batch/runner"
)

// setupBackup copies the store of a runner, which goes on working, or of a data
// dir that none works on.
func setupBackup(a *app, flags *pflag.FlagSet) action {
	dataDir := flags.String("data-dir", "", "copy this data dir's store, without a runner")
	force := flags.Bool("force", false, "replace FILE where it is there")
	connection := a.connectionFlags(flags)
	return func(ctx context.Context, args []string) (exit, error) {
		from := func(ctx context.Context, w io.Writer) error { return runner.Backup(ctx, *dataDir, version, w) }
		if *dataDir == "" {
			asked, err := connection.open()
			if err != nil {
				return 0, err
			}
			defer asked.Close()
			from = asked.Backup
		}
		ctx, done := a.interruptible(ctx, func() {})
		defer done()
		return exitDone, a.backup(ctx, args[0], *force, from)
	}
}

func (a *app) backup(ctx context.Context, path string, force bool, from func(context.Context, io.Writer) error) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) && !force {
		if err == nil {
			err = fmt.Errorf("%s is there already; choose another name, or --force to replace it", path)
		}
		return err
	}
	var info runner.BackupInfo
	size, err := writeWhole(path, force, func(file *os.File) (err error) {
		if err = from(ctx, file); err == nil {
			info, err = runner.CheckBackup(ctx, file.Name())
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("back up to %s: %w", path, err)
	}
	a.out().line("%s: %s bytes, the store of runner %s as of %s, checked", path, api.Thousands(size), info.RunnerID, info.At.Format(time.RFC3339))
	a.out().line("It holds the jobs, their runs and history; not the outputs, inputs, logs and secrets.")
	return nil
}

// writeWhole makes a file that is there whole or not at all, for its owner
// alone to read, and gives its size.
func writeWhole(path string, replace bool, fill func(*os.File) error) (size int64, err error) {
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".part-*") // with mode 0600
	if err != nil {
		return 0, err
	}
	name := file.Name()
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(name))
		}
	}()
	if err = fill(file); err == nil {
		err = file.Sync()
	}
	if info, e := file.Stat(); e == nil {
		size = info.Size()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return 0, err
	}
	if replace {
		err = os.Rename(name, path)
	} else if err = os.Link(name, path); err == nil { // fails where somebody was faster
		err = os.Remove(name)
	}
	if err != nil {
		return 0, err
	}
	return size, syncFolder(filepath.Dir(path))
}

func syncFolder(dir string) error {
	open, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(open.Sync(), open.Close())
}

// setupRestore brings the store of a data dir back to a backup.
func setupRestore(a *app, flags *pflag.FlagSet) action {
	dataDir := flags.String("data-dir", client.DefaultDataDir(), "the runner's data dir, which it must not be working on")
	replace := flags.Bool("replace", false, "put a store that is there aside")
	return func(ctx context.Context, args []string) (exit, error) {
		dir, err := filepath.Abs(*dataDir)
		if err != nil {
			return 0, err
		}
		ctx, done := a.interruptible(ctx, func() {})
		defer done()
		restored, err := runner.Restore(ctx, args[0], dir, *replace)
		if err != nil {
			return 0, err
		}
		p := a.out()
		p.line("restored the store of runner %s as of %s into %s", restored.Backup.RunnerID, restored.Backup.At.Format(time.RFC3339), dir)
		if restored.Replaced != "" {
			p.line("the store that was there is now %s", restored.Replaced)
		}
		p.line("")
		p.line("When the runner starts: what was due since the backup is missed (restored), for")
		p.line("it may have run; runs that had not ended are cancelled; jobs that remember what")
		p.line("they took are held. batch-runner status shows all of it, and what to do.")
		p.line("It has the identity of the runner that was backed up: never run both.")
		return exitDone, nil
	}
}
