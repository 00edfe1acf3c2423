// Package secret finds the values behind api.SecretRef: a file in the runner's
// secrets_dir, any file on the runner's host, or a name in its
// environment_file. Files are read at each use, so that a rotated secret needs
// no restart.
//
// Values leave this package through Resolve only: errors and Describe tell
// where a secret lies and what is wrong with it, never what it is. Who may
// refer to which secret is decided elsewhere.
package secret

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// maxFile is more than any password, token or key file holds; a larger file is
// the wrong one.
const maxFile = 1 << 20

// Resolver resolves references against the settings of one runner. It holds no
// secret and is safe for concurrent use.
type Resolver struct {
	dir             string
	environmentFile string
	now             func() time.Time
}

// New makes a Resolver. Either path may be empty: references into it then fail
// with an error that says which setting is missing.
func New(secretsDir, environmentFile string) *Resolver {
	return &Resolver{dir: secretsDir, environmentFile: environmentFile, now: time.Now}
}

// Resolve reads the secret. One trailing newline of a file is not part of it.
func (r *Resolver) Resolve(ref api.SecretRef) (string, error) {
	value, _, err := r.find(ref)
	return value, err
}

// Describe says for a person whether the secret is set, how long it is and when
// it changed, and warns when everybody on the host can read it.
func (r *Resolver) Describe(ref api.SecretRef) string {
	value, info, err := r.find(ref)
	if err != nil {
		return "not set: " + err.Error()
	}
	text := fmt.Sprintf("set, %d bytes, changed %s", len(value), ago(r.now().Sub(info.ModTime())))
	if info.Mode().Perm()&0o004 != 0 {
		path, _, _ := r.locate(ref)
		text += fmt.Sprintf("; its mode %#o lets everybody on this host read %s: chmod 600 it", info.Mode().Perm(), path)
	}
	return text
}

func (r *Resolver) find(ref api.SecretRef) (string, os.FileInfo, error) {
	path, missing, err := r.locate(ref)
	if err != nil {
		return "", nil, err
	}
	text, info, err := read(path)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil, fmt.Errorf("%w: %s", err, missing)
	}
	if err != nil {
		return "", nil, err
	}
	value := trimNewline(text)
	if ref.Env != "" {
		values, err := parseEnvironment(path, text)
		if err != nil {
			return "", nil, err
		}
		var found bool
		if value, found = values[ref.Env]; !found {
			return "", nil, fmt.Errorf("read secret from environment_file %s: it has no %s: add a line %s=…", path, ref.Env, ref.Env)
		}
	}
	if value == "" {
		return "", nil, fmt.Errorf("read secret %s: it is empty; write the value into %s", name(ref), path)
	}
	return value, info, nil
}

// locate gives the file to read, and the remedy in case that file is missing.
func (r *Resolver) locate(ref api.SecretRef) (path, missing string, err error) {
	switch ref {
	case api.SecretRef{Secret: ref.Secret}:
		if ref.Secret == "" {
			return "", "", errors.New("read secret: the reference is empty; set one of secret, file and env")
		}
		if strings.ContainsAny(ref.Secret, `/\`) || ref.Secret == "." || ref.Secret == ".." {
			return "", "", fmt.Errorf("read secret %q: that is not the name of a file in secrets_dir; for a path write file = …", ref.Secret)
		}
		if r.dir == "" {
			return "", "", fmt.Errorf("read secret %q: the runner has no secrets_dir; set it, and put the secret into a file %s there", ref.Secret, ref.Secret)
		}
		return filepath.Join(r.dir, ref.Secret), fmt.Sprintf("put the secret into a file %s in secrets_dir %s", ref.Secret, r.dir), nil
	case api.SecretRef{File: ref.File}:
		if !filepath.IsAbs(ref.File) {
			return "", "", fmt.Errorf("read secret file %q: the path is not absolute", ref.File)
		}
		return ref.File, "put the secret into this file on the runner's host", nil
	case api.SecretRef{Env: ref.Env}:
		if r.environmentFile == "" {
			return "", "", fmt.Errorf("read secret %s: the runner has no environment_file; set it, and add a line %s=… to it", ref.Env, ref.Env)
		}
		return r.environmentFile, fmt.Sprintf("make the runner's environment_file with a line %s=…", ref.Env), nil
	}
	return "", "", errors.New("read secret: the reference names more than one place; keep one of secret, file and env")
}

// name is how an error calls the secret.
func name(ref api.SecretRef) string {
	switch {
	case ref.Secret != "":
		return fmt.Sprintf("%q in secrets_dir", ref.Secret)
	case ref.Env != "":
		return ref.Env + " in environment_file"
	}
	return "file " + ref.File
}

func read(path string) (string, os.FileInfo, error) {
	// Stat first: opening a named pipe would wait for a writer.
	info, err := os.Stat(path)
	if err != nil {
		return "", nil, fmt.Errorf("read secret file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return "", nil, fmt.Errorf("read secret file %s: it is not a regular file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return "", nil, fmt.Errorf("read secret file: %w", err)
	}
	defer func() { _ = file.Close() }() // only read
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return "", nil, fmt.Errorf("read secret file: %w", err)
	}
	if len(text) > maxFile {
		return "", nil, fmt.Errorf("read secret file %s: it is larger than 1 MiB and hardly a secret", path)
	}
	return string(text), info, nil
}

// trimNewline takes off the one newline that an editor or echo adds. A secret
// that ends in newlines of its own keeps the others.
func trimNewline(text string) string {
	if rest, found := strings.CutSuffix(text, "\r\n"); found {
		return rest
	}
	return strings.TrimSuffix(text, "\n")
}

func ago(d time.Duration) string {
	switch {
	case d < time.Minute: // or in the future, by a clock that was set back
		return "just now"
	case d < time.Hour:
		return fmt.Sprintf("%dm ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh ago", int(d.Hours()))
	}
	return fmt.Sprintf("%dd ago", int(d.Hours())/24)
}
