package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBackupAndRestore(t *testing.T) {
	b := newBench(t)
	c, stop := b.startRunner()
	b.declare(c, b.job("iris", 1, 20))
	file, data := filepath.Join(b.dir, "monday.backup"), filepath.Join(b.dir, "data")

	said := b.expect(exitDone, "backup", file)
	contains(t, said.out, file+": ", "as of 2026-11-21T01:00:00Z, checked", "not the outputs, inputs, logs and secrets")
	info, err := os.Stat(file)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the backup has mode %v", info.Mode())
	}
	contains(t, b.expect(exitError, "backup", file).err, "is there already", "--force")
	b.expect(exitDone, "backup", "--force", file)
	contains(t, b.expect(exitError, "backup", "--data-dir", data, filepath.Join(b.dir, "no")).err, "in use by another runner")
	contains(t, b.expect(exitError, "restore", file, "--data-dir", data).err, "in use by another runner")
	b.declare(c, b.job("lost", 1, 20))
	stop()

	offline := filepath.Join(b.dir, "tuesday.backup")
	contains(t, b.expect(exitDone, "backup", "--data-dir", data, offline).out, "checked")
	contains(t, b.expect(exitUnreachable, "backup", filepath.Join(b.dir, "no")).err, "no answer")
	contains(t, b.expect(exitError, "restore", file, "--data-dir", data).err, "--replace")
	contains(t, b.expect(exitDone, "restore", file, "--data-dir", data, "--replace").out,
		"as of 2026-11-21T01:00:00Z", "the store that was there is now "+filepath.Join(data, "store.db.replaced-"), "missed (restored)", "never run both")
	entries, err := os.ReadDir(b.dir)
	must(t, err)
	for _, entry := range entries {
		if strings.Contains(entry.Name(), ".part-") || entry.Name() == "no" {
			t.Errorf("%s is left", entry.Name())
		}
	}
	c, _ = b.startRunner()
	for name, there := range map[string]bool{"iris": true, "lost": false} {
		if _, err := c.Job(t.Context(), name); (err == nil) != there {
			t.Errorf("job %s: %v", name, err)
		}
	}
	if info, err := c.Info(t.Context()); err != nil || info.Epoch < 3 {
		t.Errorf("the restored runner is %+v, %v", info, err)
	}
}

func TestAFileThatIsNoBackupIsNotRestored(t *testing.T) {
	b := newBench(t)
	file := filepath.Join(b.dir, "notes.txt")
	must(t, os.WriteFile(file, []byte(strings.Repeat("to do\n", 1000)), 0o600))
	contains(t, b.expect(exitError, "restore", file, "--data-dir", filepath.Join(b.dir, "data")).err, file, "not a database")
	if _, err := os.Stat(filepath.Join(b.dir, "data", "store.db")); err == nil {
		t.Error("a store is made of it")
	}
}
