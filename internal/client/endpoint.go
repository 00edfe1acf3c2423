package client

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// maxSocketPath is the longest path of a socket that every system takes.
const maxSocketPath = 104

// The environment variables that provider and command line share.
const (
	EnvEndpoint  = "BATCH_ENDPOINT"
	EnvToken     = "BATCH_TOKEN"
	EnvTokenFile = "BATCH_TOKEN_FILE"
	EnvOwner     = "BATCH_OWNER"
)

// endpoint is a parsed Options.Endpoint.
type endpoint struct {
	network, address string // for the dialer
	base             string // what the paths of requests are appended to
	host             string // name to verify a certificate against
}

// DefaultDataDir is where a runner keeps its data unless told otherwise.
func DefaultDataDir() string {
	if os.Geteuid() == 0 {
		return "/var/lib/batch-runner"
	}
	state := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) {
		home, _ := os.UserHomeDir()
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "batch-runner")
}

// SocketEndpoint is the default endpoint of a runner with this data dir.
func SocketEndpoint(dataDir string) string {
	return "unix://" + filepath.Join(dataDir, "runner.sock")
}

// DefaultEndpoint is the endpoint used where none is set, and its source.
func DefaultEndpoint() (endpoint, source string) {
	if value := os.Getenv(EnvEndpoint); value != "" {
		return value, EnvEndpoint
	}
	return SocketEndpoint(DefaultDataDir()), "the default endpoint"
}

// ReadToken reads a token file.
func ReadToken(file string) (string, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read token: %w", err)
	}
	token := strings.TrimSpace(string(content))
	if token == "" {
		return "", fmt.Errorf("read token: %s is empty", file)
	}
	return token, nil
}

// CheckEndpoint says whether an endpoint is written well; the error continues
// a sentence that begins with the endpoint.
func CheckEndpoint(text string) error {
	_, err := parseEndpoint(text)
	return err
}

func parseEndpoint(text string) (endpoint, error) {
	u, err := url.Parse(text)
	if err != nil {
		return endpoint{}, errors.New("is not a URL; write it like unix:///run/batch-runner.sock or https://host:port")
	}
	switch u.Scheme {
	case "unix":
		if u.Host != "" || !filepath.IsAbs(u.Path) {
			return endpoint{}, errors.New("has no absolute path; write it like unix:///run/batch-runner.sock")
		}
		if len(u.Path) > maxSocketPath && runtime.GOOS != "linux" {
			return endpoint{}, fmt.Errorf("is a socket path of %d bytes; %s takes at most %d, choose a shorter one", len(u.Path), runtime.GOOS, maxSocketPath)
		}
		return endpoint{network: "unix", address: u.Path, base: "http://runner"}, nil
	case "http", "https":
		if u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.User != nil || u.RawQuery != "" {
			return endpoint{}, errors.New("is not just scheme, host and port; write it like https://host:port")
		}
		if u.Scheme == "http" && !isLoopback(u.Hostname()) {
			return endpoint{}, errors.New("would send its token in the clear; use https, or http on a loopback address")
		}
		port := cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
		return endpoint{network: "tcp", address: net.JoinHostPort(u.Hostname(), port), base: u.Scheme + "://" + u.Host, host: u.Hostname()}, nil
	}
	return endpoint{}, errors.New("is neither unix:///path, http://host:port nor https://host:port")
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// shortSocket gives a path of a socket that fits the kernel's structure, and
// what to call when it is not needed any more. On Linux a folder can be named
// by an open file, however long its path is.
func shortSocket(path string) (string, func(), error) {
	if len(path) <= maxSocketPath {
		return path, func() {}, nil
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return "", nil, err
	}
	return "/proc/self/fd/" + strconv.Itoa(int(folder.Fd())) + "/" + filepath.Base(path), func() { _ = folder.Close() }, nil
}
