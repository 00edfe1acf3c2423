package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/launch"
)

// fileHashes remembers the sha256 of files for as long as they look unchanged:
// a model of many gigabytes is read once, not at each launch.
type fileHashes struct {
	mu    sync.Mutex
	known map[string]*fileHash // by path
}

type fileHash struct {
	mu   sync.Mutex // held while the file is read, so that one launch reads it
	info os.FileInfo
	sum  string
}

// interpreters are programs that say little about a server: the script that
// they are given does.
var interpreters = []string{"python", "pypy", "sh", "bash", "dash", "zsh", "node", "deno", "bun", "ruby", "perl", "php", "Rscript", "java", "julia", "env", "uv"}

// command gives the hashes of a command's program and, where that is an
// interpreter, of the first argument that is a file.
func (h *fileHashes) command(ctx context.Context, command []string, dir string) (program, script string, err error) {
	path, err := launch.Executable(command[0], dir)
	if err != nil {
		return "", "", err
	}
	if program, err = h.sum(ctx, path); err != nil {
		return "", "", err
	}
	name := filepath.Base(path)
	if !slices.ContainsFunc(interpreters, func(i string) bool { return name == i || strings.HasPrefix(name, "python") }) {
		return program, "", nil
	}
	for _, arg := range command[1:] {
		if !filepath.IsAbs(arg) {
			arg = filepath.Join(dir, arg)
		}
		if info, err := os.Stat(arg); err == nil && info.Mode().IsRegular() {
			script, err = h.sum(ctx, arg)
			return program, script, err
		}
	}
	return program, "", nil
}

// files gives one hash over the names and contents of all files that the
// patterns match; none where there are no patterns.
func (h *fileHashes) files(ctx context.Context, patterns []string) (string, error) {
	var paths []string
	for _, pattern := range patterns {
		found, err := filepath.Glob(api.Path(pattern))
		if err != nil || len(found) == 0 {
			return "", missingModelFile(pattern, os.ErrNotExist)
		}
		paths = append(paths, found...)
	}
	if len(paths) == 0 {
		return "", nil
	}
	slices.Sort(paths)
	all := sha256.New()
	for _, path := range slices.Compact(paths) {
		sum, err := h.sum(ctx, path)
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		if err != nil {
			return "", missingModelFile(path, err)
		}
		_, _ = fmt.Fprintf(all, "%s %s\n", sum, path)
	}
	return hex.EncodeToString(all.Sum(nil)), nil
}

func missingModelFile(path string, err error) error {
	return api.Fail(api.Reason(api.ClassConfig), "predict.server.model_files must name files that the runner can read", fmt.Errorf("read model file %s: %w", path, err))
}

// sum is the sha256 of a file.
func (h *fileHashes) sum(ctx context.Context, path string) (string, error) {
	h.mu.Lock()
	if h.known == nil {
		h.known = map[string]*fileHash{}
	}
	known := h.known[path]
	if known == nil {
		known = &fileHash{}
		h.known[path] = known
	}
	h.mu.Unlock()

	known.mu.Lock()
	defer known.mu.Unlock()
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close() //nolint:errcheck // read only
	info, err := file.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is not a file", path)
	}
	if unchanged(known.info, info) {
		return known.sum, nil
	}
	content := sha256.New()
	if _, err := io.Copy(content, interruptible{ctx, file}); err != nil {
		return "", err
	}
	known.info, known.sum = info, hex.EncodeToString(content.Sum(nil))
	return known.sum, nil
}

// settled is how old a file must be for its time to tell a later change:
// coarser clocks of file systems give two writes one time.
const settled = 2 * time.Second

func unchanged(was, is os.FileInfo) bool {
	return was != nil && os.SameFile(was, is) && was.Size() == is.Size() && was.ModTime().Equal(is.ModTime()) &&
		time.Since(is.ModTime()) > settled
}

// interruptible is a reader that ends with its context.
type interruptible struct {
	ctx context.Context
	r   io.Reader
}

func (i interruptible) Read(p []byte) (int, error) {
	if i.ctx.Err() != nil {
		return 0, context.Cause(i.ctx)
	}
	return i.r.Read(p)
}
