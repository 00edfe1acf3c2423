package engine

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/secret"
)

// A database that nobody asks for is closed when another one is asked for the
// next time; one that is in use stays as it is.
func TestADatabaseThatNobodyAsksForIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var refs []api.SecretRef
		dir := t.TempDir()
		for _, name := range []string{"a", "b"} {
			file := filepath.Join(dir, name)
			if err := os.WriteFile(file+".db", nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte("sqlite://"+file+".db"), 0o600); err != nil {
				t.Fatal(err)
			}
			refs = append(refs, api.SecretRef{File: file})
		}
		d := newDatabases(secret.New("", ""))
		defer d.close()
		first, err := d.get(t.Context(), refs[0])
		if err != nil {
			t.Fatal(err)
		}
		for range 30 {
			time.Sleep(time.Hour)
			if _, err := d.get(t.Context(), refs[1]); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := first.Now(t.Context()); err == nil {
			t.Error("a database unused for more than a day is open")
		}
		again, err := d.get(t.Context(), refs[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := again.Now(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
