package database_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/database"
)

func TestADSNThatCannotBeUsedIsAFailureThatShowsNoPassword(t *testing.T) {
	for _, dsn := range []string{
		"", "s3cret", "oracle://user:s3cret@host/db", "postgres://user:s3cret %@host/db", "postgres://user:s3cret@host:port/db", "://s3cret",
		"postgres://user:s3cret@127.0.0.1:1/db?sslmode=s3cret2", "mysql://user:s3cret@127.0.0.1/db?multiStatements=true", "mysql://user:s3cret@127.0.0.1/db?tls=nothing",
		"postgres://user:p@ss3cret#w@127.0.0.1/db", "postgres://user:x@ss3cret@127.0.0.1/db", "mysql://user:12/s3cret@127.0.0.1/db", "mysql://user:12?s3cret@127.0.0.1/db", "postgres://user:s3cret#",
		"sqlite://relative.db", "sqlite:///", "sqlite:///no/such/s3.db", "sqlite:///tmp/x.db?mode=s3cret", "mysql://user:s3cret@127.0.0.1/db?connect_timeout=s3cret",
	} {
		_, err := database.Open(t.Context(), dsn)
		if f, ok := errors.AsType[*api.Failure](err); !ok || f.Reason != "config" || database.Transient(err) {
			t.Errorf("%q gives %v", dsn, err)
		}
		if strings.Contains(err.Error(), "s3cret@") || strings.Contains(err.Error(), "ss3cret") || strings.Contains(err.Error(), ":s3cret") {
			t.Errorf("%q shows its password: %v", dsn, err)
		}
	}
}

func TestAServerThatIsNotThereIsTransient(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for _, dsn := range []string{"postgres://user:s3cret@127.0.0.1:1/db?sslmode=disable", "mysql://user:s3cret@127.0.0.1:1/db"} {
		_, err := database.Open(ctx, dsn)
		if !database.Transient(err) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s gives %v", dsn, err)
		}
	}
}
