package main

import (
	"context"
	"io"

	"github.com/spf13/pflag"
)

// commands is the program, in the order of its help.
var commands []command

func init() { // not a literal: help commands look themselves up
	commands = []command{
		{name: "serve", summary: "run the daemon", setup: setupServe},
		{name: "predict", summary: "carry out one job file, without a daemon", setup: setupPredict},
		{name: "status", args: "[JOB]", most: 1, summary: "how jobs are: last run, health, next due time", setup: setupStatus},
		{name: "runs", args: "JOB", least: 1, most: 1, summary: "a job's runs", setup: setupRuns},
		{name: "why", args: "RUN", least: 1, most: 1, summary: "how a run came to its state, and what to do", setup: setupWhy},
		{name: "logs", args: "RUN", least: 1, most: 1, summary: "what a run's prediction servers wrote", setup: setupLogs},
		{name: "schedule preview", args: "[JOB]", most: 1, summary: "when a job, a job file or an expression is due", setup: setupPreview},
		{name: "run", args: "JOB", least: 1, most: 1, summary: "run a job now", setup: setupRun},
		{name: "rerun", args: "JOB", least: 1, most: 1, summary: "run an occurrence once more, over fresh input", setup: setupRerun},
		{name: "backfill", args: "JOB", least: 1, most: 1, summary: "run a range of past occurrences", setup: setupBackfill},
		{name: "retry", args: "RUN", least: 1, most: 1, summary: "go on with an unfinished run over the same plan", setup: setupRetry},
		{name: "accept", args: "RUN", least: 1, most: 1, summary: "publish a withheld run in spite of its failures", setup: setupAccept},
		{name: "cancel", args: "RUN", least: 1, most: 1, summary: "end a run; nothing of it is published", setup: setupCancel},
		{name: "hold", args: "JOB", least: 1, most: 1, summary: "skip what falls due for a job, until it is released", setup: setupHold},
		{name: "release", args: "JOB", least: 1, most: 1, summary: "end a hold", setup: setupRelease},
		{name: "cursor", args: "JOB", least: 1, most: 1, summary: "set up to when a job's occurrences are decided", setup: setupCursor},
		{name: "doctor", args: "[JOB]", most: 1, summary: "look at the runner's surroundings, and at a job's", setup: setupDoctor},
		{name: "version", summary: "print the version", setup: setupVersion},
	}
}

func printOverview(w io.Writer) {
	p := &printer{w: w}
	p.line("batch-runner runs batch prediction jobs. Usage: batch-runner COMMAND [flags]")
	p.line("")
	rows := make([][]string, len(commands))
	for i, c := range commands {
		rows[i] = []string{"  " + c.usage(), c.summary}
	}
	p.table(rows)
	p.line("")
	p.line("COMMAND --help tells more. --endpoint or BATCH_ENDPOINT names the runner to ask.")
	p.line("Exit codes: 0 done or healthy, 1 error, 2 incomplete, 3 failed, stopped,")
	p.line("cancelled or unhealthy, 4 unreachable, 5 conflict, 64 usage.")
}

func printHelp(w io.Writer, c command, flags *pflag.FlagSet) {
	p := &printer{w: w}
	p.line("batch-runner %s: %s", c.name, c.summary)
	p.line("")
	p.line("Usage: batch-runner %s [flags]", c.usage())
	if flags.HasFlags() {
		p.line("")
		p.text(flags.FlagUsagesWrapped(80))
	}
}

func (c command) usage() string { return c.name + prefixed(" ", c.args) }

func setupVersion(a *app, _ *pflag.FlagSet) action {
	return func(context.Context, []string) (exit, error) {
		a.out().line("batch-runner %s", version)
		return exitDone, nil
	}
}
