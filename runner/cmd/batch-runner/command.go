package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/pflag"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// exit is the exit code of a command; the meanings are part of its face.
type exit int

const (
	exitDone        exit = 0  // done, or healthy
	exitError       exit = 1  // anything else that went wrong
	exitIncomplete  exit = 2  // a run ended incomplete
	exitFailed      exit = 3  // a run failed, was stopped or cancelled, or a job is unhealthy
	exitUnreachable exit = 4  // no runner answered, or not the one meant
	exitConflict    exit = 5  // the state of things forbids it
	exitUsage       exit = 64 // the command line is wrong
)

// app is one call of the program with all it takes from outside.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	signals        <-chan os.Signal
	asks           bool // stdin is a terminal: somebody can answer
	draws          bool // stderr is a terminal: lines may be drawn over
	width          int  // of that terminal; 0 where it is not known
}

// command is what the first word of the command line names, or the first two.
type command struct {
	name    string
	args    string // as the usage shows them
	summary string
	group   string // of the overview
	brief   string // the summary there
	// arity is how many arguments it takes at least and at most.
	least, most int
	// setup declares the flags and gives what carries the command out.
	setup func(a *app, flags *pflag.FlagSet) action
}

type action func(ctx context.Context, args []string) (exit, error)

// usageError is a command line that is wrong.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// main carries out one command line.
func (a *app) main(ctx context.Context, args []string) exit {
	if len(args) == 0 || args[0] == "help" || strings.HasPrefix(args[0], "-") {
		return a.overview(args)
	}
	likely := "batch-runner --help lists them"
	for _, c := range commands {
		if rest, ok := c.of(args); ok {
			return a.run(ctx, c, rest)
		}
		if strings.HasPrefix(c.name, args[0]+" ") {
			likely = "did you mean batch-runner " + c.name + "?"
		}
	}
	a.err().line("batch-runner: there is no command %q; %s", args[0], likely)
	return exitUsage
}

// of tells whether a command line is the command's, and what follows its name.
func (c command) of(args []string) (rest []string, ok bool) {
	words := strings.Fields(c.name)
	if len(args) < len(words) || !slices.Equal(args[:len(words)], words) {
		return nil, false
	}
	return args[len(words):], true
}

func (a *app) overview(args []string) exit {
	switch {
	case len(args) > 0 && args[0] == "--version":
		a.out().line("batch-runner %s", version)
		return exitDone
	case len(args) > 1 && args[0] == "help":
		return a.main(context.Background(), slices.Concat(args[1:], []string{"--help"}))
	case len(args) > 0 && (args[0] == "--help" || args[0] == "-h" || args[0] == "help"):
		printOverview(a.stdout)
		return exitDone
	}
	printOverview(a.stderr)
	return exitUsage
}

func (a *app) run(ctx context.Context, c command, args []string) exit {
	flags := pflag.NewFlagSet(c.name, pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.SortFlags = false
	do := c.setup(a, flags)
	err := flags.Parse(args)
	if errors.Is(err, pflag.ErrHelp) {
		printHelp(a.stdout, c, flags)
		return exitDone
	}
	if err != nil {
		err = usageError{err}
	} else if n := flags.NArg(); n < c.least || n > c.most {
		err = usagef("it takes %s, not %d arguments", wanted(c), n)
	}
	code := exitDone
	if err == nil {
		code, err = do(ctx, flags.Args())
	}
	if err == nil {
		return code
	}
	a.err().line("batch-runner %s: %s", c.name, indented(err.Error(), "  "))
	if _, usage := errors.AsType[usageError](err); usage {
		a.err().line("see batch-runner %s --help", c.name)
	}
	return codeOf(err)
}

func wanted(c command) string {
	if c.args == "" {
		return "no arguments"
	}
	return c.args
}

// errDeclined is "no" as the answer to what a command wants to do.
var errDeclined = errors.New("nothing was done")

// codeOf maps what went wrong to an exit code.
func codeOf(err error) exit {
	if _, usage := errors.AsType[usageError](err); usage {
		return exitUsage
	}
	switch api.CodeOf(err) {
	case api.CodeUnreachable, api.CodeOtherRunner:
		return exitUnreachable
	case api.CodeConflict, api.CodeExists, api.CodeOwner, api.CodePrecondition:
		return exitConflict
	}
	return exitError
}

// interruptible gives a context that ends with the first signal; the second
// calls again.
func (a *app) interruptible(ctx context.Context, again func()) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		for first := true; ; first = false {
			select {
			case <-done:
				return
			case s := <-a.signals:
				if first {
					cancel(interruption{s})
				} else {
					again()
				}
			}
		}
	})
	return ctx, func() {
		close(done)
		watch.Wait()
		cancel(nil)
	}
}

// interruption is the cause of a context that a signal ended.
type interruption struct{ signal os.Signal }

func (i interruption) Error() string { return "stopped by " + i.signal.String() }
