package launch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// child plays a prediction server, or one of its descendants, and gives its
// exit code. Whoever stays ends by itself after a while, should the test die.
func child(role string) int {
	time.AfterFunc(time.Minute, func() { os.Exit(98) })
	if role == "runner" {
		return runner()
	}
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	switch role {
	case "report":
		report()
		return 0
	case "exit":
		fmt.Println("on stdout")
		fmt.Fprintln(os.Stderr, "model file is missing")
		return 3
	case "exit-0":
		return 0
	case "chatty-exit":
		for i := range 2000 {
			fmt.Fprintf(os.Stderr, "line %d\n", i)
		}
		return 1
	case "sigkilled", "sigtermed":
		number := map[string]syscall.Signal{"sigkilled": syscall.SIGKILL, "sigtermed": syscall.SIGTERM}[role]
		signal.Reset()
		_ = syscall.Kill(os.Getpid(), number)
		stay()
	case "polite":
		fmt.Println("ready")
		<-terminated
		fmt.Println("bye")
		return 0
	case "slow":
		finished := make(chan os.Signal, 1)
		signal.Notify(finished, syscall.SIGUSR1)
		fmt.Println("ready")
		<-terminated
		fmt.Println("stopping")
		<-finished
		fmt.Println("bye")
		return 0
	case "stubborn":
		fmt.Println("ready")
		stay()
	case "echo":
		echo()
	case "program":
		return program()
	case "quiet":
		stay()
	case "family":
		// As a server with workers: one in its group, one in a session of its
		// own, one that has left everything behind, its launch id too.
		descend("member", os.Environ(), false)
		descend("stranger", os.Environ(), true)
		descend("hidden", []string{roleVariable + "=stubborn"}, true)
		fmt.Println("ready")
		stay()
	case "careless":
		descend("hidden", []string{roleVariable + "=stubborn"}, true)
		<-terminated
		return 0
	case "daemon":
		// Goes to the background, and leaves somebody who holds its output.
		descend("left", os.Environ(), true)
		return 0
	case "wrapper":
		// As a shell: dies at once of SIGTERM, unlike the server it started.
		descendAs("slow", "server", os.Environ(), false)
		<-terminated
		return 143
	}
	return 99
}

// runner launches a family as the runner does, and gets killed.
func runner() int {
	executable, err := os.Executable()
	if err != nil {
		return 90
	}
	p, err := Prepare(Command{
		ID:   os.Getenv("FAMILY_ID"),
		Args: []string{executable},
		Env:  map[string]string{roleVariable: "family"},
		Log:  os.Stdout,
	})
	if err == nil {
		err = p.Start()
	}
	if err != nil {
		fmt.Println(err)
		return 91
	}
	fmt.Println("server", p.PID())
	stay()
	_ = p.Stop(context.Background(), 0)
	return 92
}

func report() {
	for _, variable := range os.Environ() {
		fmt.Printf("env %s\n", variable)
	}
	dir, _ := os.Getwd()
	fmt.Printf("dir %s\nargs %q\ngroup %t\n", dir, os.Args[1:], syscall.Getpgrp() == os.Getpid())
	rest, err := os.Stdin.Read(make([]byte, 1))
	fmt.Printf("stdin %d %v\n", rest, err)
}

// echo answers each SIGUSR1 with a line.
func echo() {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR1)
	fmt.Println("ready")
	for range asked {
		fmt.Println("answer")
	}
}

func descend(name string, env []string, ownSession bool) {
	descendAs("stubborn", name, env, ownSession)
}

func descendAs(role, name string, env []string, ownSession bool) {
	executable, err := os.Executable()
	if err != nil {
		panic(err)
	}
	env = append(env, roleVariable+"="+role)
	c := &exec.Cmd{Path: executable, Env: env, Stdout: os.Stdout, SysProcAttr: &syscall.SysProcAttr{Setsid: ownSession}}
	if err := c.Start(); err != nil {
		panic(errors.Join(err, errors.New(strings.Join(env, " "))))
	}
	fmt.Println(name, c.Process.Pid)
}

func stay() { time.Sleep(time.Hour) }
