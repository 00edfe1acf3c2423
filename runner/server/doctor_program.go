package server

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"strings"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/launch"
)

// checkExecutable prepares a launch without starting it.
func checkExecutable(spec api.Job) api.Check {
	server := spec.Predict.Server
	_, err := launch.Prepare(launch.Command{ID: "doctor", Args: server.Command, Dir: server.WorkingDir, Env: server.Env, Model: spec.Predict.Model})
	return executable(err, server.Command[0], server.WorkingDir)
}

// checkProgram does the same with a program.
func checkProgram(spec api.Job) api.Check {
	program := spec.Predict.Program
	_, err := launch.OpenPool(launch.Program{ID: "doctor", Args: program.Command, Dir: program.WorkingDir, Env: program.Env})
	return executable(err, program.Command[0], program.WorkingDir)
}

func executable(err error, command, dir string) api.Check {
	if err != nil {
		return bad("executable", err, "")
	}
	file, err := launch.Executable(command, dir)
	if err == nil {
		err = interpreted(file)
	}
	if err != nil {
		return bad("executable", err, "install it on the runner's host, or correct the first line of the script")
	}
	return good("executable", "%s is there, and the runner's user may execute it", file)
}

// interpreted looks for the interpreter that a script's first line names: the
// system reports one that is missing as if the script were.
func interpreted(file string) error {
	script, err := os.Open(file)
	if errors.Is(err, os.ErrPermission) {
		return nil // a program that can be executed and not read is none
	}
	if err != nil {
		return err
	}
	defer func() { _ = script.Close() }() // read only
	first, _ := bufio.NewReaderSize(script, 4096).ReadString('\n')
	line, found := strings.CutPrefix(first, "#!")
	words := strings.Fields(line)
	if !found || len(words) == 0 {
		return nil
	}
	if path.Base(words[0]) == "env" && len(words) == 2 { // with options it is anybody's guess
		words = words[1:]
	}
	if _, err := exec.LookPath(words[0]); err != nil {
		return fmt.Errorf("%s wants the interpreter %s: %w", file, words[0], err)
	}
	return nil
}
