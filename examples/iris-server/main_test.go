package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// environment is a getenv that knows one variable.
func environment(name, value string) func(string) string {
	return func(asked string) string {
		if asked == name {
			return value
		}
		return ""
	}
}

// start runs the server on a free port and returns its address, read from the line that
// says it is ready, and a wait for run's result.
func start(t *testing.T, ctx context.Context) (url string, wait func() error) {
	t.Helper()
	stderr, writer := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, nil, environment("PORT", "0"), writer)
		_ = writer.Close()
	}()
	lines := bufio.NewScanner(stderr)
	lines.Scan()
	match := regexp.MustCompile(`ready on (http://127\.0\.0\.1:\d+)$`).FindStringSubmatch(lines.Text())
	if match == nil {
		t.Fatalf("first line on stderr = %q, want it to say where the server is ready", lines.Text())
	}
	return match[1], func() error {
		_, _ = io.Copy(io.Discard, stderr)
		return <-done
	}
}

func newClient() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
}

func TestRunTakesItsPortFromTheEnvironmentSaysWhenReadyAndStopsWhenAsked(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	url, wait := start(t, ctx)
	response, err := newClient().Get(url + "/v2/models/iris/ready")
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("readiness after the log line = %d, want 200", response.StatusCode)
	}

	cancel()
	if err := wait(); err != nil {
		t.Errorf("run after a stop = %v, want nil", err)
	}
}

func TestRunAnswersTheRequestInFlightBeforeItStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	url, wait := start(t, ctx)
	body, upload := io.Pipe()
	status := make(chan int, 1)
	go func() {
		defer close(status)
		response, err := newClient().Post(url+predictPath, "application/json", body)
		if err != nil {
			t.Errorf("request in flight: %v", err)
			_ = body.CloseWithError(err)
			return
		}
		_ = response.Body.Close()
		status <- response.StatusCode
	}()
	// More than the socket buffers hold, so once it is written the server is reading the request.
	_, _ = io.WriteString(upload, `{"instances":[`+strings.Repeat(" ", maxBody-1024))

	cancel()
	for { // until the server no longer listens
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			break
		}
		_ = conn.Close()
	}
	_, _ = io.WriteString(upload, setosa+"]}")
	_ = upload.Close()

	if got := <-status; got != http.StatusOK {
		t.Errorf("request in flight answered %d, want 200", got)
	}
	if err := wait(); err != nil {
		t.Errorf("run after a stop = %v, want nil", err)
	}
}

func TestRunRefusesToServeWithoutAUsableModel(t *testing.T) {
	writeModel := func(text string) string {
		path := filepath.Join(t.TempDir(), "model.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cases := map[string]struct{ path, want string }{
		"no such file":       {filepath.Join(t.TempDir(), "gone.json"), "no such file"},
		"not JSON":           {writeModel("{"), "parse model"},
		"parts do not fit":   {writeModel(strings.Replace(string(embeddedModel), `"setosa",`, "", 1)), "2 classes need as many rows"},
		"another model":      {writeModel(strings.Replace(string(embeddedModel), `"name": "iris"`, `"name": "wine"`, 1)), `this server serves "iris"`},
		"misspelt parameter": {writeModel(strings.Replace(string(embeddedModel), `"means"`, `"meens"`, 1)), "meens"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := run(t.Context(), []string{"-port", "0", "-model", c.path}, environment("", ""), io.Discard)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("run = %v, want an error with %q", err, c.want)
			}
		})
	}
}
