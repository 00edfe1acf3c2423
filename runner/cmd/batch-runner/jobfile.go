package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// readJob reads a job file. Paths that are relative count from the file's
// folder, so that a job and its data can be moved together.
func readJob(path string) (api.Job, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return api.Job{}, fmt.Errorf("read job: %w", err)
	}
	folder, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return api.Job{}, fmt.Errorf("read job: %w", err)
	}
	var job api.Job
	if err := api.Decode(text, &job); err != nil {
		if e, ok := errors.AsType[*api.Error](err); ok {
			e.Message = path + ": " + e.Message
		}
		return api.Job{}, err
	}
	return resolve(job, folder), nil
}

// resolve makes the relative paths of a job absolute.
func resolve(job api.Job, folder string) api.Job {
	if in := job.Input.Files; in != nil {
		in.URI = join(escapeGlob(escapeBraces(folder)), in.URI)
	}
	if wait := job.Input.WaitFor; wait != nil {
		wait.URI = join(escapeGlob(escapeBraces(folder)), wait.URI)
	}
	if program := job.Predict.Program; program != nil {
		if program.WorkingDir != "" {
			program.WorkingDir = join(folder, program.WorkingDir)
		}
		if len(program.Command) > 0 && strings.Contains(program.Command[0], "/") {
			program.Command[0] = join(folder, program.Command[0])
		}
	}
	if out := job.Output.Files; out != nil {
		out.URI = join(escapeBraces(folder), out.URI)
	}
	if server := job.Predict.Server; server != nil {
		if server.WorkingDir != "" {
			server.WorkingDir = join(folder, server.WorkingDir)
		}
		for i, path := range server.ModelFiles {
			server.ModelFiles[i] = join(escapeGlob(folder), path)
		}
		// Without a slash it is looked up on the PATH.
		if len(server.Command) > 0 && strings.Contains(server.Command[0], "/") {
			server.Command[0] = join(escapeBraces(folder), server.Command[0])
		}
	}
	return job
}

// join leaves what is absolute, empty or a URL alone. A slash at the end and
// placeholders stay as they are.
func join(folder, path string) string {
	if path == "" || filepath.IsAbs(path) || strings.Contains(path, "://") {
		return path
	}
	return strings.TrimSuffix(folder, "/") + "/" + strings.TrimPrefix(path, "./")
}

// escapeBraces writes a folder's name so that no part of it is a placeholder.
func escapeBraces(folder string) string {
	return strings.NewReplacer("{", "{{", "}", "}}").Replace(folder)
}

// escapeGlob writes a folder's name so that it matches itself only.
func escapeGlob(folder string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(folder)
}
