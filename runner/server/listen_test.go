package server

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/client"
)

// folder is a folder with a short path, since sockets take no other.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "s")
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	return dir
}

func TestASocketIsItsOwnersAloneAndGoesWithTheServer(t *testing.T) {
	path := filepath.Join(folder(t), "r.sock")
	listener, err := listen("unix://" + path)
	must(t, err)
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode is %v", info.Mode())
	}
	must(t, listener.Close())
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("after Close: %v", err)
	}
}

func TestTheSocketOfADeadRunnerIsReplaced(t *testing.T) {
	path := filepath.Join(folder(t), "r.sock")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: path})
	must(t, err)
	dead.SetUnlinkOnClose(false)
	must(t, dead.Close())
	listener, err := listen("unix://" + path)
	must(t, err)
	conn, err := net.Dial("unix", path)
	must(t, err)
	must(t, conn.Close())
	must(t, listener.Close())
}

func TestWhatMustNotBeListenedOnIsRefused(t *testing.T) {
	dir := folder(t)
	live, err := listen("unix://" + filepath.Join(dir, "live.sock"))
	must(t, err)
	defer func() { must(t, live.Close()) }()
	must(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	for address, want := range map[string]string{
		"unix://" + dir + "/live.sock":    "another runner",
		"unix://" + dir + "/file":         "no socket",
		"unix://" + dir + "/missing/sock": "no such file",
		"unix://relative.sock":            "not absolute",
		"0.0.0.0:0":                       "loopback",
		"localhost":                       "neither",
		"example.com:80":                  "loopback",
	} {
		listener, err := listen(address)
		if err == nil {
			must(t, listener.Close())
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
	}
	if _, err := os.Lstat(filepath.Join(dir, "live.sock")); err != nil {
		t.Errorf("the live socket: %v", err)
	}
}

func TestALongSocketPathCanBeServedAndReached(t *testing.T) {
	dir := filepath.Join(folder(t), strings.Repeat("long", 40))
	must(t, os.Mkdir(dir, 0o700))
	b := newBench(t, func(o *Options) { o.Listen = "unix://" + filepath.Join(dir, "r.sock") })
	b.server.Start()
	b.server.Start() // a second one does nothing
	c, err := client.New(client.Options{Endpoint: b.server.Endpoint()})
	must(t, err)
	defer c.Close()
	info, err := c.Info(t.Context())
	if err != nil || info.RunnerID != b.store.RunnerID() || info.PID != os.Getpid() || len(info.BinarySHA256) != 64 {
		t.Errorf("got %+v, %v", info, err)
	}
}

func TestAFreePortIsTold(t *testing.T) {
	b := newBench(t, func(o *Options) { o.Listen, o.Token = "127.0.0.1:0", "t" })
	b.server.Start()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.server.Endpoint()+"/healthz", nil)
	must(t, err)
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(request)
	must(t, err)
	must(t, response.Body.Close())
	if response.StatusCode != http.StatusOK {
		t.Errorf("status %d", response.StatusCode)
	}
}

func TestAServerStopsTwiceAndUnstarted(t *testing.T) {
	b := newBench(t)
	for range 2 {
		must(t, b.server.Stop(context.Background()))
	}
	if _, err := os.Lstat(filepath.Join(b.dir, "data", "runner.sock")); !os.IsNotExist(err) {
		t.Errorf("the socket is left: %v", err)
	}
}
