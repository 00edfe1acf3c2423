package launch

import (
	"context"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

func TestServerGetsExactlyItsEnvironment(t *testing.T) {
	t.Setenv("AWS_SECRET_ACCESS_KEY", "not for the server")
	t.Setenv("HOME", "/home/of the runner")
	t.Setenv("LANG", "C.UTF-8")
	t.Setenv("TZ", "Europe/Berlin")
	c := command(t, "report")
	c.Model = api.Model{Name: "churn", Version: "7"}
	c.Env["ADDRESS"] = "{{127.0.0.1:{port}}}"
	c.Env["TZ"] = "UTC"
	c.SecretEnv = map[string]string{"TOKEN": "a{port}b{"}
	c.Args = append(c.Args, "serve", "/models/{model_name}/{model_version}", "--port={port}")
	p, out := start(t, c)
	if err := awaitExit(t, p); err == nil {
		t.Fatal("a server that ended has no ExitError")
	}

	address, err := url.Parse(p.URL())
	if err != nil || address.Hostname() != "127.0.0.1" || address.Port() == "0" {
		t.Fatalf("url %s, %v", p.URL(), err)
	}
	port := address.Port()
	want := []string{
		"env ADDRESS={127.0.0.1:" + port + "}",
		"env BATCH_LAUNCH_ID=" + c.ID,
		"env HOME=/home/of the runner",
		"env LANG=C.UTF-8",
		"env " + roleVariable + "=report",
		"env PATH=" + os.Getenv("PATH"),
		"env PORT=" + port,
		"env TOKEN=a{port}b{",
		"env TZ=UTC",
		"dir " + c.Dir,
		`args ["serve" "/models/churn/7" "--port=` + port + `"]`,
		"group true",
		"stdin 0 EOF",
	}
	if got := strings.Split(strings.TrimSpace(out.String()), "\n"); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestVariablesThatTheRunnerLacksAreNotMadeUp(t *testing.T) {
	for _, name := range inherited {
		t.Setenv(name, "") // restores it
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
	p, out := start(t, command(t, "report"))
	_ = awaitExit(t, p)
	for _, name := range inherited {
		if strings.Contains(out.String(), "env "+name+"=") {
			t.Errorf("%s is set in\n%s", name, out)
		}
	}
}

func TestPrepareFindsTheCommand(t *testing.T) {
	tool := executableFile(t, "tool", "#!/bin/sh\n", 0o700)
	dir, bin := filepath.Dir(filepath.Dir(tool)), filepath.Base(filepath.Dir(tool))
	t.Setenv("PATH", filepath.Dir(tool)+":/nowhere")

	for _, test := range []struct{ name, command, dir string }{
		{"absolute path", tool, ""},
		{"bare name in the runner's PATH", "tool", ""},
		{"relative path from the working directory", bin + "/tool", dir},
		{"dot slash", "./tool", filepath.Dir(tool)},
		{"placeholder in the path", filepath.Dir(tool) + "/{model_name}", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, err := Prepare(Command{ID: "x", Args: []string{test.command}, Dir: test.dir, Model: api.Model{Name: "tool"}, Env: map[string]string{"PATH": "/elsewhere"}})
			if err != nil {
				t.Fatal(err)
			}
			if p.cmd.Path != tool {
				t.Fatalf("found %s, want %s", p.cmd.Path, tool)
			}
		})
	}
}

func TestPrepareErrorsSayWhatWasSearched(t *testing.T) {
	plain := executableFile(t, "plain", "text", 0o600)
	dir := filepath.Dir(plain)
	t.Chdir(filepath.Dir(executableFile(t, "here", "#!/bin/sh\n", 0o700)))
	t.Setenv("PATH", "/nowhere:"+dir+":.")

	for _, test := range []struct {
		name string
		c    Command
		want []string
	}{
		{"no id", Command{Args: []string{"x"}}, []string{"launch id"}},
		{"no command", Command{ID: "x"}, []string{"command is empty"}},
		{"not in PATH", Command{ID: "x", Args: []string{"mlserver"}}, []string{`"mlserver"`, `PATH "/nowhere:` + dir + `:."`, "write the absolute path"}},
		{"in a relative folder of PATH", Command{ID: "x", Args: []string{"here"}}, []string{`"here"`, "relative to current directory"}},
		{"no such file", Command{ID: "x", Args: []string{"/no/such"}}, []string{"looked at /no/such", "no such file"}},
		{"no such relative file", Command{ID: "x", Args: []string{"bin/serve"}, Dir: dir}, []string{`"bin/serve"`, "looked at " + dir + "/bin/serve"}},
		{"relative without a working directory", Command{ID: "x", Args: []string{"./serve"}}, []string{`"./serve"`, "no working directory", "working_dir"}},
		{"not executable", Command{ID: "x", Args: []string{plain}}, []string{plain, "permission denied"}},
		{"a folder", Command{ID: "x", Args: []string{dir}}, []string{dir, "directory"}},
		{"no working directory", Command{ID: "x", Args: []string{"/bin/sh"}, Dir: "/no/such"}, []string{"/no/such", "working_dir"}},
		{"file as working directory", Command{ID: "x", Args: []string{"/bin/sh"}, Dir: plain}, []string{plain + " is not a folder"}},
		{"unknown placeholder", Command{ID: "x", Args: []string{"/bin/sh", "{prot}"}}, []string{"command[1]", "{prot}", "{port}"}},
		{"unknown placeholder in env", Command{ID: "x", Args: []string{"/bin/sh"}, Env: map[string]string{"A": "{prot}"}}, []string{"env.A", "{prot}"}},
		{"NUL in a secret", Command{ID: "x", Args: []string{"/bin/sh"}, SecretEnv: map[string]string{"A": "b\x00c"}}, []string{"variable A", "NUL"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Prepare(test.c)
			checkFailure(t, err, test.want...)
		})
	}
}

func TestStartErrorsSayWhatIsWrongWithTheFile(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       string
	}{
		{"no program", "text\n", "no program for this machine"},
		{"no interpreter", "#!/no/such\n", "the interpreter in its first line"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := executableFile(t, "server", test.text, 0o700)
			p, err := Prepare(Command{ID: "x", Args: []string{path}})
			if err != nil {
				t.Fatal(err)
			}
			checkFailure(t, p.Start(), path, test.want)
			if p.PID() != 0 || p.StartTime() != "" {
				t.Errorf("pid %d, start time %q of a process that never was", p.PID(), p.StartTime())
			}
			stop(t, p, time.Hour)
		})
	}
}

func TestExitErrorTellsHowTheServerEnded(t *testing.T) {
	for _, test := range []struct {
		role string
		want []string
	}{
		{"exit", []string{"exited with code 3", "model file is missing"}},
		{"exit-0", []string{"exited with code 0", "wrote nothing to stderr"}},
		{"sigkilled", []string{"was ended by SIGKILL", "no memory"}},
		{"sigtermed", []string{"was ended by SIGTERM"}},
	} {
		t.Run(test.role, func(t *testing.T) {
			p, _ := start(t, command(t, test.role))
			err := awaitExit(t, p)
			for _, want := range append(test.want, p.cmd.Path) {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%v lacks %q", err, want)
				}
			}
		})
	}
}

func TestExitErrorKeepsTheLast8KiBOfStderrInWholeLines(t *testing.T) {
	p, out := start(t, command(t, "chatty-exit"))
	err := awaitExit(t, p)
	tail := p.Stderr()
	if len(tail) > 8<<10 || len(tail) < 8<<10-20 {
		t.Errorf("kept %d bytes", len(tail))
	}
	if !strings.HasPrefix(tail, "line ") || !strings.HasSuffix(tail, "\nline 1999") || !strings.HasSuffix(err.Error(), tail) {
		t.Errorf("kept %q in %q", tail, err)
	}
	if !strings.HasPrefix(out.String(), "line 0\n") {
		t.Error("the log lacks the beginning")
	}
}

func TestLastOutputIsTheTimeOfTheNewestByte(t *testing.T) {
	before := time.Now()
	p, out := start(t, command(t, "polite"))
	out.find(t, "ready")
	first := p.LastOutput()
	if first.Before(before) || first.After(time.Now()) {
		t.Fatalf("last output %v, began %v", first, before)
	}
	if p.ExitError() != nil {
		t.Fatal("a running server has an ExitError")
	}
	stop(t, p, patience)
	if !p.LastOutput().After(first) {
		t.Fatal("a later line does not count")
	}
	silent, _ := start(t, command(t, "exit-0"))
	_ = awaitExit(t, silent)
	if !silent.LastOutput().IsZero() {
		t.Fatal("a silent server has a last output")
	}
}

func TestStopLetsAPoliteServerSayGoodbye(t *testing.T) {
	p, out := start(t, command(t, "polite"))
	out.find(t, "ready")
	stop(t, p, patience)
	out.find(t, "bye")
	if err := p.ExitError(); err == nil || !strings.Contains(err.Error(), "code 0") {
		t.Fatal(err)
	}
	stop(t, p, patience) // again
}

func TestStopKillsAStubbornServer(t *testing.T) {
	for _, test := range []struct {
		name  string
		grace time.Duration
		ended bool // whether the context has
	}{
		{"after the grace", 20 * time.Millisecond, false},
		{"at once when the context ends", time.Hour, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, out := start(t, command(t, "stubborn"))
			out.find(t, "ready")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if test.ended {
				cancel()
			}
			if err := p.Stop(ctx, test.grace); err != nil {
				t.Fatal(err)
			}
			if err := awaitExit(t, p); !strings.Contains(err.Error(), "SIGKILL") {
				t.Fatal(err)
			}
		})
	}
}

func TestStopGivesTheWholeGroupItsGrace(t *testing.T) {
	p, out := start(t, command(t, "wrapper"))
	server := out.findPID(t, "server ")
	out.find(t, "ready")
	stopped := make(chan error)
	go func() { stopped <- p.Stop(context.Background(), patience) }()
	out.find(t, "stopping")
	_ = awaitExit(t, p) // the wrapper's; its server is still busy
	if err := syscall.Kill(server, syscall.SIGUSR1); err != nil {
		t.Error(err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	out.find(t, "bye")
}

func TestAProcessStartsOnce(t *testing.T) {
	p, _ := start(t, command(t, "exit-0"))
	checkFailure(t, p.Start(), "started or stopped before")

	unborn, err := Prepare(command(t, "exit-0"))
	if err != nil {
		t.Fatal(err)
	}
	stop(t, unborn, 0)
	checkFailure(t, unborn.Start(), "started or stopped before")
}

func checkFailure(t *testing.T, err error, want ...string) {
	t.Helper()
	failure, ok := errors.AsType[*api.Failure](err)
	if !ok || failure.Reason != api.ReasonLaunchFailed {
		t.Fatalf("%v is not a failure launch_failed", err)
	}
	for _, text := range want {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%q lacks %q", err, text)
		}
	}
}
