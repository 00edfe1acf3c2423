//go:build unix

package install_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
	"github.com/batchpattern/terraform-provider-batch/internal/install"
)

// The test binary is its own runner: Converge starts it with "serve".
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		if err := serve(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// serve is a daemon with nothing in it: it locks its data dir, answers
// /v1/info and /readyz, and ends on SIGTERM. A secrets_dir named "broken" is
// one it can't start with.
func serve(args []string) error {
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	dir, listen, hash := flags.String("data-dir", "", ""), flags.String("listen", "", ""), flags.String("config-hash", "", "")
	secrets := flags.String("secrets-dir", "", "")
	for _, name := range []string{"drain-timeout", "max-concurrent-runs", "keep-history", "environment-file"} {
		flags.String(name, "", "")
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	lock, err := os.OpenFile(filepath.Join(*dir, "lock"), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return err
	}
	_, _ = fmt.Fprintln(lock, os.Getpid())
	fmt.Println(strings.Join(os.Environ(), " "))
	if filepath.Base(*secrets) == "broken" {
		return errors.New("the secrets dir is broken")
	}
	socket := strings.TrimPrefix(*listen, "unix://")
	_ = os.Remove(socket)
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	executable, _ := os.Executable()
	info := api.Info{
		API: api.Version, Version: "1.0.0", RunnerID: "id of " + filepath.Base(*dir), DataDir: *dir, PID: os.Getpid(),
		BinarySHA256: filepath.Base(filepath.Dir(executable)), ConfigHash: *hash,
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/info", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(info) })
	mux.HandleFunc("/readyz", func(http.ResponseWriter, *http.Request) {})
	go func() { _ = http.Serve(listener, mux) }()
	done := make(chan os.Signal, 1)
	signal.Notify(done, syscall.SIGTERM)
	<-done
	return nil
}

// settings are those of a data dir whose daemon ends with the test.
func settings(t *testing.T) install.Settings {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(install.EnvBinary, executable)
	dir, err := os.MkdirTemp("", "install")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context()) // that of a test is over when it is cleaned up
		if err := install.Stop(ctx, dir); err != nil {
			t.Error(err)
			holder, _ := os.ReadFile(filepath.Join(dir, "lock"))
			if pid, err := strconv.Atoi(strings.TrimSpace(string(holder))); err == nil {
				_ = unix.Kill(pid, unix.SIGKILL)
			}
		}
		_ = os.RemoveAll(dir)
	})
	return install.Settings{Service: install.ServiceProcess, DataDir: dir, StartTimeout: "20s"}
}

func converge(t *testing.T, s install.Settings) (install.Record, bool) {
	t.Helper()
	record, changed, err := install.Converge(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return record, changed
}

func TestConvergeStartsOnceAndIsThenContent(t *testing.T) {
	s := settings(t)
	t.Setenv("TF_PLUGIN_MAGIC_COOKIE", "secret")
	first, changed := converge(t, s)
	if !changed || first.RunnerID != "id of "+filepath.Base(s.DataDir) || first.Version != "1.0.0" {
		t.Fatalf("got %+v, changed %v", first, changed)
	}
	second, changed := converge(t, s)
	if changed || second.PID != first.PID {
		t.Errorf("the second time: %+v, changed %v", second, changed)
	}
	log, err := os.ReadFile(filepath.Join(s.DataDir, "runner.log"))
	if err != nil || strings.Contains(string(log), "secret") || !strings.Contains(string(log), "PATH=") {
		t.Errorf("the daemon's environment is %s, %v", log, err)
	}
	if copied, err := os.Stat(filepath.Join(s.DataDir, "bin", first.BinarySHA256, "batch-runner")); err != nil || copied.Mode().Perm() != 0o755 {
		t.Errorf("the copied binary: %v, %v", copied, err)
	}
}

func TestOtherSettingsStartTheDaemonAgain(t *testing.T) {
	s := settings(t)
	first, _ := converge(t, s)
	runs := int64(9)
	s.MaxConcurrentRuns = &runs
	second, changed := converge(t, s)
	if !changed || second.PID == first.PID || second.RunnerID != first.RunnerID {
		t.Errorf("got %+v after %+v, changed %v", second, first, changed)
	}
	s.StartTimeout = "19s"
	third, changed := converge(t, s)
	if loaded, err := install.Load(s.DataDir); changed || third.PID != second.PID || err != nil || loaded.Settings.StartTimeout != "19s" {
		t.Errorf("a setting that only Converge uses: changed %v, recorded %+v, %v", changed, loaded, err)
	}
}

func TestADaemonThatDiedIsStarted(t *testing.T) {
	s := settings(t)
	first, _ := converge(t, s)
	if err := unix.Kill(first.PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	second, changed := converge(t, s)
	if !changed || second.PID == first.PID || second.RunnerID != first.RunnerID {
		t.Errorf("got %+v, changed %v", second, changed)
	}
}

func TestADaemonThatDoesNotStartIsToldWithItsLogAndTheOldOneRunsAgain(t *testing.T) {
	s := settings(t)
	first, _ := converge(t, s)
	bad := s
	bad.SecretsDir = filepath.Join(s.DataDir, "broken")
	_, _, err := install.Converge(t.Context(), bad)
	if err == nil || !strings.Contains(err.Error(), "the secrets dir is broken") || !strings.Contains(err.Error(), "runs again") {
		t.Fatalf("got %v", err)
	}
	record, err := install.Load(s.DataDir)
	if err != nil || record.PID == first.PID || record.Settings.SecretsDir != "" {
		t.Errorf("recorded %+v, %v", record, err)
	}
	if info, err := install.Ask(t.Context(), record); err != nil || info.PID != record.PID {
		t.Errorf("got %+v, %v", info, err)
	}
}

func TestStopLeavesTheDataAndPurgeRemovesIt(t *testing.T) {
	s := settings(t)
	record, _ := converge(t, s)
	if err := install.Purge(s.DataDir); err == nil || !strings.Contains(err.Error(), strconv.Itoa(record.PID)) {
		t.Errorf("a running runner is purged with %v", err)
	}
	if err := install.Stop(t.Context(), s.DataDir); err != nil {
		t.Fatal(err)
	}
	if _, err := install.Ask(t.Context(), record); !client.IsUnreachable(err) {
		t.Errorf("after Stop: %v", err)
	}
	if err := install.Stop(t.Context(), s.DataDir); err != nil {
		t.Errorf("the second Stop: %v", err)
	}
	if err := install.Purge(s.DataDir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.DataDir); !os.IsNotExist(err) {
		t.Errorf("the data dir is still there: %v", err)
	}
}

func TestAForeignRunnerAtTheAddressIsNotTouched(t *testing.T) {
	ours, theirs := settings(t), settings(t)
	other, _ := converge(t, theirs)
	ours.Listen = theirs.Endpoint()
	_, _, err := install.Converge(t.Context(), ours)
	if api.CodeOf(err) != api.CodeOtherRunner || !strings.Contains(err.Error(), theirs.DataDir) {
		t.Fatalf("got %v", err)
	}
	if info, err := install.Ask(t.Context(), other); err != nil || info.PID != other.PID {
		t.Errorf("the other one: %+v, %v", info, err)
	}
}

func TestTheErrorListsAllPlacesOfTheBinary(t *testing.T) {
	t.Setenv(install.EnvBinary, "/nowhere/a")
	_, err := install.FindBinary("/nowhere/b")
	if err == nil {
		t.Fatal("a binary was found")
	}
	for _, want := range []string{"beside the provider", "/nowhere/a", "/nowhere/b"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %q", err, want)
		}
	}
}

func TestListen(t *testing.T) {
	for text, want := range map[string]string{
		"unix:///run/r.sock": "", "127.0.0.1:8080": "", "[::1]:80": "",
		"0.0.0.0:80": "loopback", "127.0.0.1:0": "port", "8080": "neither", "unix://r.sock": "absolute",
	} {
		if err := install.CheckListen(text); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q gives %v, want %q", text, err, want)
		}
	}
}
