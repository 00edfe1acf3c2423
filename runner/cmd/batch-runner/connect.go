package main

import (
	"cmp"
	"context"
	"os"
	"strconv"
	"time"

	"github.com/spf13/pflag"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
)

// connection are the flags of commands that ask a runner.
type connection struct {
	a                          *app
	endpoint, token, tokenFile *string
}

func (a *app) connectionFlags(flags *pflag.FlagSet) *connection {
	return &connection{
		a:         a,
		endpoint:  flags.String("endpoint", "", "where the runner listens (BATCH_ENDPOINT)"),
		token:     flags.String("token", "", "token of a runner on a port (BATCH_TOKEN)"),
		tokenFile: flags.String("token-file", "", "file that holds the token (BATCH_TOKEN_FILE)"),
	}
}

// open makes the client; it dials on its first use.
func (c *connection) open() (*client.Client, error) {
	o := client.Options{Actor: c.a.actor(), Owner: c.a.getenv(client.EnvOwner)}
	o.Endpoint, o.Source = c.setting(*c.endpoint, "--endpoint", client.EnvEndpoint)
	if o.Endpoint == "" {
		o.Endpoint, o.Source = client.SocketEndpoint(client.DefaultDataDir()), "the default endpoint"
	}
	o.Token, o.TokenSource = c.setting(*c.token, "--token", client.EnvToken)
	if o.Token == "" {
		file, source := c.setting(*c.tokenFile, "--token-file", client.EnvTokenFile)
		if file != "" {
			token, err := client.ReadToken(file)
			if err != nil {
				return nil, err
			}
			o.Token, o.TokenSource = token, source
		}
	}
	opened, err := client.New(o)
	if err != nil {
		return nil, usageError{err}
	}
	return opened, nil
}

// setting is a flag's value or that of its environment variable, and which.
func (c *connection) setting(flag, name, variable string) (value, source string) {
	if flag != "" {
		return flag, name
	}
	return c.a.getenv(variable), variable
}

// asking makes an action of one that asks a runner.
func (c *connection) asking(do func(ctx context.Context, c *client.Client, args []string) (exit, error)) action {
	return func(ctx context.Context, args []string) (exit, error) {
		opened, err := c.open()
		if err != nil {
			return 0, err
		}
		defer opened.Close()
		ctx, done := c.a.interruptible(ctx, func() {})
		defer done()
		return do(ctx, opened, args)
	}
}

// zoneOfRun is the zone of a run's job; UTC where that is gone.
func zoneOfRun(ctx context.Context, c *client.Client, run api.Run) *time.Location {
	job, err := c.Job(ctx, run.Job)
	if err != nil {
		return time.UTC
	}
	return zoneOf(job.Spec)
}

// actor is who writes, for the history of runs.
func (a *app) actor() string {
	return "cli:" + cmp.Or(a.getenv("USER"), a.getenv("LOGNAME"), "uid-"+strconv.Itoa(os.Getuid()))
}
