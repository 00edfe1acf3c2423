package server

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// maxSocketPath is the longest path of a socket that every system takes.
const maxSocketPath = 104

// listen binds a unix socket or a loopback port. Any other address is refused:
// the API speaks plain HTTP.
func listen(address string) (net.Listener, error) {
	if path, ok := strings.CutPrefix(address, "unix://"); ok {
		return listenSocket(path)
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: it is neither unix:///path nor address:port, like 127.0.0.1:8080", address)
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("listen on %q: only loopback addresses are taken, like 127.0.0.1:8080: the API is not encrypted", address)
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	return listener, nil
}

// socket is a listener on a socket file that it removes in the end, unless the
// path belongs to another one by then.
type socket struct {
	*net.UnixListener
	path   string
	file   fs.FileInfo
	remove sync.Once
}

// listenSocket binds a socket that only its owner may use. It is bound under
// another name and renamed, so that it never stands there with wider
// permissions, and the file of a runner that died is replaced in one step.
func listenSocket(path string) (net.Listener, error) {
	if !filepath.IsAbs(path) {
		return nil, fmt.Errorf("listen on unix://%s: the path is not absolute", path)
	}
	if err := checkFree(path); err != nil {
		return nil, err
	}
	fresh := path + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("listen on unix://%s: %w", path, err)
	}
	var listener *net.UnixListener
	err := throughFolder(fresh, func(name string) (err error) {
		listener, err = net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: name})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listen on unix://%s: %w", path, err)
	}
	listener.SetUnlinkOnClose(false)
	s := &socket{UnixListener: listener, path: path}
	if err = os.Chmod(fresh, 0o600); err == nil {
		if s.file, err = os.Lstat(fresh); err == nil {
			err = os.Rename(fresh, path)
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen on unix://%s: %w", path, err), listener.Close(), os.Remove(fresh))
	}
	return s, nil
}

// checkFree refuses a path where somebody listens, or something else lies.
func checkFree(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("listen on unix://%s: %w", path, err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("listen on unix://%s: a file that is no socket is there; remove it, or choose another path", path)
	}
	err = throughFolder(path, func(name string) error {
		conn, err := net.DialTimeout("unix", name, time.Second)
		if err == nil {
			err = errors.Join(errors.New("another runner listens there; stop it, or choose another path"), conn.Close())
		}
		return err
	})
	if errors.Is(err, syscall.ECONNREFUSED) {
		return nil // left behind by a runner that died
	}
	return fmt.Errorf("listen on unix://%s: %w", path, err)
}

// Close gives the path back too.
func (s *socket) Close() error {
	err := s.UnixListener.Close()
	s.remove.Do(func() {
		if now, stat := os.Lstat(s.path); stat == nil && os.SameFile(now, s.file) {
			err = errors.Join(err, os.Remove(s.path))
		}
	})
	return err
}

// throughFolder uses a socket by a name that fits the kernel's structure. On
// Linux a folder can be named by an open file, however long its path is.
func throughFolder(path string, use func(name string) error) error {
	if len(path) <= maxSocketPath {
		return use(path)
	}
	if runtime.GOOS != "linux" {
		return fmt.Errorf("the path has %d bytes, %s takes at most %d; choose a shorter one", len(path), runtime.GOOS, maxSocketPath)
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(use("/proc/self/fd/"+strconv.Itoa(int(folder.Fd()))+"/"+filepath.Base(path)), folder.Close())
}

// Endpoint is the address that clients use: unix:///path or http://host:port.
func (s *Server) Endpoint() string {
	if file, ok := s.listener.(*socket); ok {
		return "unix://" + file.path
	}
	return "http://" + s.listener.Addr().String()
}
