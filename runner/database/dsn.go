package database

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// address is a parsed DSN. It prints without its password.
type address struct {
	url  *url.URL
	open func() (server, error)
}

// String names the database, and neither password nor options.
func (a address) String() string {
	shown := url.URL{Scheme: a.url.Scheme, Host: a.url.Host, Path: a.url.Path}
	if name := a.url.User.Username(); name != "" {
		shown.User = url.User(name)
	}
	return shown.String()
}

// parseDSN reads a DSN without connecting. The text of a DSN that can't be
// read is not shown: nobody knows where its password ends.
func parseDSN(dsn string) (address, error) {
	u, err := url.Parse(strings.TrimSpace(dsn))
	if err != nil {
		return address{}, badDSN("it is not a URL: percent-encode what a user name or password holds beside letters and digits")
	}
	// Behind what is taken for the host there may be a part of the password.
	if u.Fragment != "" || strings.HasSuffix(dsn, "#") || u.Scheme != "sqlite" && strings.Count(strings.TrimSpace(dsn), "@") > 1 || u.User == nil && u.Scheme != "sqlite" && strings.Contains(dsn, "@") {
		return address{}, badDSN("a raw #, ?, / or @ ends what it stands in: percent-encode what a user name or password holds beside letters and digits")
	}
	a := address{url: u}
	switch u.Scheme {
	case "postgres", "postgresql":
		a.open = func() (server, error) { return openPostgres(u) }
	case "mysql", "mariadb":
		a.open = func() (server, error) { return openMySQL(u) }
	case "sqlite":
		if u.Host != "" || !strings.HasPrefix(u.Path, "/") || u.Path == "/" {
			return address{}, badDSN("a SQLite file is written with three slashes and its absolute path: sqlite:///var/lib/scores.db")
		}
		a.open = func() (server, error) { return openSQLite(u) }
	default:
		return address{}, badDSN("it begins with none of postgres://, postgresql://, mysql://, mariadb:// and sqlite:///")
	}
	return a, nil
}

func badDSN(why string) error {
	return api.Fail(api.Reason(api.ClassConfig), "correct the file, secret or variable that the job's dsn names",
		fmt.Errorf("read dsn: %s", why))
}

// onlyOptions refuses options of a DSN that nobody would read.
func onlyOptions(u *url.URL, known ...string) error {
	for name := range u.Query() {
		if !contains(known, name) {
			return badDSN(fmt.Sprintf("%s:// has no option %q; it has %s", u.Scheme, name, strings.Join(known, ", ")))
		}
	}
	return nil
}
