package main

import (
	"context"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/pflag"

	"github.com/batchpattern/terraform-provider-batch/internal/client"
	"github.com/batchpattern/terraform-provider-batch/runner"
)

// setupServe runs the daemon until a signal drains it; a second one ends the
// drain. Each flag can be set as BATCH_RUNNER_<FLAG> too.
func setupServe(a *app, flags *pflag.FlagSet) action {
	var o runner.Options
	flags.StringVar(&o.DataDir, "data-dir", client.DefaultDataDir(), "where everything is kept")
	flags.StringVar(&o.Listen, "listen", "", "unix:///path or 127.0.0.1:port (default runner.sock in the data dir)")
	flags.StringVar(&o.TokenFile, "token-file", "", "token that clients on a port send (default token in the data dir, made where missing)")
	flags.StringVar(&o.EnvironmentFile, "environment-file", "", "file of NAME=VALUE lines that jobs take secrets from")
	flags.StringVar(&o.SecretsDir, "secrets-dir", "", "folder whose files are jobs' secrets")
	flags.DurationVar(&o.DrainTimeout, "drain-timeout", runner.DefaultDrainTimeout, "how long what is in flight may take to finish")
	flags.IntVar(&o.MaxConcurrentRuns, "max-concurrent-runs", runner.DefaultMaxConcurrentRuns, "runs under way at a time")
	flags.DurationVar(&o.KeepHistory, "keep-history", runner.DefaultKeepHistory, "how long the details of ended runs are kept")
	flags.StringVar(&o.ConfigHash, "config-hash", "", "told at /v1/info, so that an installer knows its settings")
	format := flags.String("log-format", "text", "text or json")
	level := flags.String("log-level", "info", "debug, info, warn or error")
	_ = flags.MarkHidden("config-hash")
	return func(ctx context.Context, _ []string) (exit, error) {
		if err := a.fromEnvironment(flags); err != nil {
			return 0, err
		}
		log, err := newLog(a.stderr, *format, *level)
		if err != nil {
			return 0, err
		}
		o.Version, o.Log = version, log
		r, err := runner.New(ctx, o)
		if err != nil {
			return 0, err
		}
		ctx, done := a.interruptible(ctx, r.Kill)
		defer done()
		return exitDone, r.Run(ctx)
	}
}

// fromEnvironment sets the flags that were not given from BATCH_RUNNER_<FLAG>.
func (a *app) fromEnvironment(flags *pflag.FlagSet) (err error) {
	flags.VisitAll(func(f *pflag.Flag) {
		variable := "BATCH_RUNNER_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value := a.getenv(variable)
		if f.Changed || value == "" || err != nil {
			return
		}
		if setting := flags.Set(f.Name, value); setting != nil {
			err = usagef("%s %q: %v", variable, value, setting)
		}
	})
	return err
}

func newLog(w io.Writer, format, level string) (*slog.Logger, error) {
	var least slog.Level
	if err := least.UnmarshalText([]byte(level)); err != nil {
		return nil, usagef("--log-level %q is not known; it takes debug, info, warn or error", level)
	}
	options := &slog.HandlerOptions{Level: least}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, options)), nil
	}
	return nil, usagef("--log-format %q is not known; it takes text or json", format)
}
