package database_test

import (
	"context"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/runner/database"
	"github.com/batchpattern/terraform-provider-batch/runner/database/databasetest"
	"github.com/batchpattern/terraform-provider-batch/runner/e2e/faultynet"
)

// A connection that is dead without a word does not hold a run for ever: it is
// lost like any other, and the next one is as good as new.
func TestADeadConnectionIsLostInTime(t *testing.T) {
	for _, kind := range []string{"postgres", "mariadb", "mysql"} {
		t.Run(kind, func(t *testing.T) {
			dsn := databasetest.New(t, kind)
			u, err := url.Parse(dsn)
			if err != nil {
				t.Fatal(err)
			}
			var mu sync.Mutex
			left, after := 0, int64(0)
			proxy, err := faultynet.Listen(u.Host, func() (faultynet.Fault, int64) {
				mu.Lock()
				defer mu.Unlock()
				if left--; left < 0 {
					return faultynet.None, 0
				}
				return faultynet.HalfOpen, after
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = proxy.Close() })
			u.Host = proxy.Addr()
			table := items(t, dsn, 3)
			check(t, open(t, dsn), table)
			// In the middle of the first answer, when logged in, and later on.
			for n, bytes := range []int64{5, 1200, 2500, 4000} {
				db := open(t, u.String())
				db.Limit(2*time.Second, 2*time.Second)
				db.Forget()
				mu.Lock()
				left, after = 1, bytes
				mu.Unlock()
				c := commit(table, []string{"1", "0.5"})
				c.Unit = strings.Repeat("u", n+1)
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				for ctx.Err() == nil {
					_, err := db.Commit(ctx, c)
					if err == nil {
						break
					}
					if !database.Transient(err) {
						t.Fatalf("after %d bytes: %v", bytes, err)
					}
				}
				if ctx.Err() != nil {
					t.Errorf("after %d bytes the connection is waited for", bytes)
				}
				cancel()
			}
			if proxy.Struck()[faultynet.HalfOpen] == 0 {
				t.Error("no connection was dead")
			}
			holds(t, dsn, "SELECT count(*) FROM _batch_commits", "4")
		})
	}
}
