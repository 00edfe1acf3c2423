package launch

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// inherited is all that a server gets of the runner's environment, which may
// hold credentials that are not the server's.
var inherited = []string{"PATH", "HOME", "LANG", "TZ"}

func expandArgs(args []string, placeholders map[string]string) ([]string, error) {
	if len(args) == 0 {
		return nil, fail("", errors.New("predict.server.command is empty"))
	}
	expanded := make([]string, len(args))
	for i, arg := range args {
		var err error
		if expanded[i], err = api.ExpandCommand(arg, placeholders); err != nil {
			return nil, fail("", fmt.Errorf("predict.server.command[%d] %q: %w", i, arg, err))
		}
	}
	return expanded, nil
}

// Where a command stands in the job, for hints.
const (
	serverSpec  = "predict.server"
	programSpec = "predict.program"
)

func expandEnv(env, placeholders map[string]string) (map[string]string, error) {
	expanded := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		value, err := api.ExpandCommand(env[name], placeholders)
		if err != nil {
			return nil, fail("", fmt.Errorf("predict.server.env.%s: %w", name, err))
		}
		expanded[name] = value
	}
	return expanded, nil
}

// environment is the whole environment of a process, sorted. A job may set
// PATH and the like anew, but not what is ours: PORT and the launch id.
func environment(own, secrets, ours map[string]string) ([]string, error) {
	values := map[string]string{}
	for _, name := range inherited {
		if value, found := os.LookupEnv(name); found {
			values[name] = value
		}
	}
	for _, group := range []map[string]string{own, secrets, ours} {
		maps.Copy(values, group)
	}
	env := make([]string, 0, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if strings.ContainsRune(values[name], 0) {
			return nil, fail("", fmt.Errorf("set environment variable %s: its value holds a NUL byte", name))
		}
		env = append(env, name+"="+values[name])
	}
	return env, nil
}

func checkDir(spec, dir string) error {
	if dir == "" {
		return nil
	}
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is not a folder", dir)
	}
	if err != nil {
		return fail(spec+".working_dir must be a folder on the runner's host", fmt.Errorf("open working directory: %w", err))
	}
	return nil
}

// Executable finds the program of a server's command: it looks a bare name up in the runner's own PATH, whatever PATH
// the server is given, and takes a relative path from the working directory.
func Executable(command, dir string) (string, error) { return find(serverSpec, command, dir) }

// ProgramExecutable finds that of a Program.
func ProgramExecutable(command, dir string) (string, error) { return find(programSpec, command, dir) }

func find(spec, command, dir string) (string, error) {
	if strings.Contains(command, "/") {
		path := command
		if !filepath.IsAbs(path) {
			if dir == "" {
				return "", fail("write an absolute path, or set "+spec+".working_dir, from which a relative one is taken",
					fmt.Errorf("find command %q: it is relative and there is no working directory", command))
			}
			path = filepath.Join(dir, path)
		}
		if _, err := exec.LookPath(path); err != nil {
			return "", fail(spec+".command[0] must be an executable file on the runner's host",
				fmt.Errorf("find command %q: looked at %s: %w", command, path, cause(err)))
		}
		return path, nil
	}
	// What lies in a relative folder of PATH is refused (exec.ErrDot): it would
	// be another file in another working directory.
	path, err := exec.LookPath(command)
	if err == nil {
		return path, nil
	}
	return "", fail("write the absolute path in "+spec+".command[0], or add its folder to the PATH that the runner is started with",
		fmt.Errorf("find command %q: looked in the runner's PATH %q: %w", command, os.Getenv("PATH"), cause(err)))
}

// cause takes off the name that exec.LookPath puts in front of its error.
func cause(err error) error {
	if e, ok := errors.AsType[*exec.Error](err); ok {
		return e.Err
	}
	return err
}
