package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
	"github.com/batchpattern/terraform-provider-batch/runner"
)

// setupPredict carries out one job file in this process: no listener, no
// schedule. The same command again goes on with a run that was cut short.
func setupPredict(a *app, flags *pflag.FlagSet) action {
	file := flags.StringP("file", "f", "", "the job, as JSON; relative paths count from its folder")
	dataDir := flags.String("data-dir", "", "where the run is kept; the same again goes on with it")
	occurrence := flags.String("occurrence", "", "nominal due time, as in 2026-11-21T02:00:00Z (default now)")
	environmentFile := flags.String("environment-file", "", "file of NAME=VALUE lines that jobs take secrets from")
	secretsDir := flags.String("secrets-dir", "", "folder whose files are jobs' secrets")
	asJSON := flags.Bool("json", false, "print how the run ended as JSON")
	return func(ctx context.Context, _ []string) (exit, error) {
		if *file == "" || *dataDir == "" {
			return 0, usagef("--file and --data-dir are required")
		}
		at, err := parseOccurrence(*occurrence)
		if err != nil {
			return 0, err
		}
		job, err := readJob(*file)
		if err != nil {
			return 0, err
		}
		dir, err := filepath.Abs(*dataDir)
		if err != nil {
			return 0, err
		}
		for _, w := range api.Warnings(job) {
			a.err().line("warning: %s %s. %s", strings.ReplaceAll(strings.TrimPrefix(w.Pointer, "/"), "/", "."), w.Message, w.Hint)
		}
		shown := a.newProgress(zoneOf(job))
		r, err := runner.New(ctx, runner.Options{
			DataDir: dir, EnvironmentFile: *environmentFile, SecretsDir: *secretsDir, Manual: true, Version: version,
			Log: slog.New(slog.NewTextHandler(shown, &slog.HandlerOptions{Level: slog.LevelWarn})),
		})
		if err != nil {
			return 0, err
		}
		why, err := a.predict(ctx, r, job, at, shown)
		if err != nil {
			return 0, err
		}
		if *asJSON {
			return outcome(why.Run), a.out().json(why)
		}
		a.out().end(why, zoneOf(job))
		if len(why.Next) > 0 {
			a.out().line("to go on with this run: batch-runner serve --data-dir %s", dir)
			a.out().line("and there, with BATCH_ENDPOINT=%s:", client.SocketEndpoint(dir))
			a.out().commands(why.Next)
		}
		return outcome(why.Run), nil
	}
}

// predict carries the run out and stops the runner, whatever happened.
func (a *app) predict(ctx context.Context, r *runner.Runner, job api.Job, at time.Time, shown *progress) (why api.Why, err error) {
	interrupted, done := a.interruptible(ctx, r.Kill)
	defer done()
	why, err = r.Predict(interrupted, runner.Prediction{
		Job: job, Occurrence: at, Actor: a.actor(),
		Begun:    shown.begin,
		Progress: shown.show,
	})
	shown.end()
	drain, cancel := context.WithTimeout(ctx, runner.DefaultDrainTimeout)
	defer cancel()
	stopping := r.Stop(drain)
	if cut, ok := errors.AsType[interruption](err); ok {
		err = fmt.Errorf("%w; the same command again goes on with the run", cut)
	}
	return why, errors.Join(err, stopping)
}

// parseOccurrence reads an instant; empty is none.
func parseOccurrence(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, usagef("--occurrence %q is not an instant; write it like 2026-11-21T02:00:00Z", text)
	}
	return at, nil
}
