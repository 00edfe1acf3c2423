// Command batch-runner is the runner daemon and its command line: serve runs
// the daemon, predict carries out one job file without one, and everything
// else asks a daemon through its API.
//
// The table in commands.go is the list of commands, each in a file of its own
// or with its siblings; what they share is app (command.go), the outcome of
// runs (outcome.go), progress (progress.go) and tables (table.go).
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"
)

// version is set when a release is built.
var version = "dev"

func main() {
	stop := make(chan os.Signal, 2)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	a := &app{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv, signals: stop,
		asks: term.IsTerminal(int(os.Stdin.Fd())), draws: term.IsTerminal(int(os.Stderr.Fd())),
	}
	a.width, _, _ = term.GetSize(int(os.Stderr.Fd())) // 0 where it is no terminal
	os.Exit(int(a.main(context.Background(), os.Args[1:])))
}
