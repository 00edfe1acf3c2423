package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/pflag"
)

// commands is the program, in the order of its help.
var commands []command

// The groups of the overview.
const (
	groupLook    = "look"
	groupRun     = "run"
	groupRepair  = "repair"
	groupOperate = "operate"
)

// The columns of the overview, of which two fit a line.
const (
	usageWidth = 16
	cellWidth  = 41
)

func init() { // not a literal: help commands look themselves up
	commands = []command{
		{name: "status", args: "[JOB]", most: 1, group: groupLook, brief: "health, last run, next", summary: "how jobs are: last run, health, next due time", setup: setupStatus},
		{name: "runs", args: "[JOB]", most: 1, group: groupLook, brief: "runs, newest first", summary: "runs of a job, or of all", setup: setupRuns},
		{name: "why", args: "RUN", least: 1, most: 1, group: groupLook, brief: "cause, and what to do", summary: "how a run came to its state, and what to do", setup: setupWhy},
		{name: "dead-letters", args: "RUN", least: 1, most: 1, group: groupLook, brief: "records given up", summary: "the records that a run gave up because of their data", setup: setupDeadLetters},
		{name: "diff", args: "RUN", least: 1, most: 1, group: groupLook, brief: "against files or table", summary: "how a run's predictions differ from other files or a table", setup: setupDiff},
		{name: "logs", args: "RUN", least: 1, most: 1, group: groupLook, brief: "what servers wrote", summary: "what a run's prediction servers wrote", setup: setupLogs},
		{name: "history", args: "JOB", least: 1, most: 1, group: groupLook, brief: "who changed what", summary: "who changed a job's specification, when and why", setup: setupHistory},
		{name: "cost", args: "[JOB]", most: 1, group: groupLook, brief: "server time, monthly", summary: "what prediction servers came to in a month", setup: setupCost},
		{name: "schedule preview", args: "[JOB]", most: 1, group: groupLook, brief: "when it is due", summary: "when a job, a job file or an expression is due", setup: setupPreview},
		{name: "run", args: "JOB", least: 1, most: 1, group: groupRun, brief: "now", summary: "run a job now", setup: setupRun},
		{name: "rerun", args: "JOB", least: 1, most: 1, group: groupRun, brief: "an occurrence again", summary: "run an occurrence once more, over fresh input", setup: setupRerun},
		{name: "backfill", args: "JOB", least: 1, most: 1, group: groupRun, brief: "a range of past ones", summary: "run a range of past occurrences", setup: setupBackfill},
		{name: "predict", group: groupRun, brief: "a file, no daemon", summary: "carry out one job file, without a daemon", setup: setupPredict},
		{name: "retry", args: "RUN", least: 1, most: 1, group: groupRepair, brief: "go on, same plan", summary: "go on with an unfinished run over the same plan", setup: setupRetry},
		{name: "accept", args: "RUN", least: 1, most: 1, group: groupRepair, brief: "publish what it has", summary: "publish a withheld run in spite of its failures", setup: setupAccept},
		{name: "cancel", args: "RUN", least: 1, most: 1, group: groupRepair, brief: "end it, unpublished", summary: "end a run; nothing of it is published", setup: setupCancel},
		{name: "hold", args: "JOB", least: 1, most: 1, group: groupRepair, brief: "skip what falls due", summary: "skip what falls due for a job, until it is released", setup: setupHold},
		{name: "release", args: "JOB", least: 1, most: 1, group: groupRepair, brief: "end a hold", summary: "end a hold", setup: setupRelease},
		{name: "cursor", args: "JOB", least: 1, most: 1, group: groupRepair, brief: "how far it decided", summary: "set up to when a job's occurrences are decided", setup: setupCursor},
		{name: "serve", group: groupOperate, brief: "run the daemon", summary: "run the daemon", setup: setupServe},
		{name: "doctor", args: "[JOB]", most: 1, group: groupOperate, brief: "check surroundings", summary: "look at the runner's surroundings, and at a job's", setup: setupDoctor},
		{name: "backup", args: "FILE", least: 1, most: 1, group: groupOperate, brief: "copy the store", summary: "copy a runner's store, which goes on working", setup: setupBackup},
		{name: "restore", args: "FILE", least: 1, most: 1, group: groupOperate, brief: "go back to a copy", summary: "bring a data dir's store back to a backup", setup: setupRestore},
		{name: "version", group: groupOperate, brief: "print it", summary: "print the version", setup: setupVersion},
	}
}

func printOverview(w io.Writer) {
	p := &printer{w: w}
	p.line("batch-runner runs batch prediction jobs. Usage: batch-runner COMMAND [flags]")
	for _, group := range []string{groupLook, groupRun, groupRepair, groupOperate} {
		p.line("%s", group)
		p.pairs(group)
	}
	p.line("")
	p.line("COMMAND --help tells more. --endpoint or BATCH_ENDPOINT names the runner to ask.")
	p.line("Exit codes: 0 done or healthy, 1 error, 2 incomplete, 3 failed, stopped,")
	p.line("cancelled or unhealthy, 4 unreachable, 5 conflict, 64 usage.")
}

// cell is a command in the overview; arguments that need more room than there
// is are told by its help.
func (c command) cell() string {
	usage := c.usage()
	if len(usage) > usageWidth {
		usage = c.name
	}
	return fmt.Sprintf("  %-*s %s", usageWidth, usage, c.brief)
}

// pairs shows the commands of a group, two in a line.
func (p *printer) pairs(group string) {
	left := ""
	for _, c := range commands {
		switch {
		case c.group != group:
		case left == "":
			left = c.cell()
		default:
			p.line("%-*s%s", cellWidth, left, c.cell())
			left = ""
		}
	}
	if left != "" {
		p.line("%s", left)
	}
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
