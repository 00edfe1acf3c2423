// Package server is the runner's face to programs: the HTTP API v1, on a unix
// socket or a loopback port, with health, metrics and the OpenAPI document.
//
//   - routes.go lists the routes; jobs.go, calendar.go and runs.go answer them,
//     pages.go what is read page by page;
//   - events.go streams what happens to a run;
//   - problem.go speaks RFC 9457, request.go reads bodies and headers;
//   - why.go explains a run, doctor.go looks at the runner's surroundings;
//   - listen.go binds the address, auth.go guards it.
//
// The handlers only translate: what a request means is decided by the packages
// trigger and engine, and what is true stands in the store.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/engine"
	"github.com/batchpattern/terraform-provider-batch/runner/secret"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
	"github.com/batchpattern/terraform-provider-batch/runner/trigger"
)

// closeTimeout is how long answers under way may take when the server stops.
const closeTimeout = 5 * time.Second

// Options are what a Server is made of; all but the secret settings and the
// token are required.
type Options struct {
	Listen string // unix:///path, or a loopback address with a port
	Token  string // of a port

	Store   *store.Store
	Engine  *engine.Engine
	Trigger *trigger.Trigger
	Secrets *secret.Resolver
	// Info is what is told at /v1/info; pid and the binary's digest are added.
	Info api.Info
	// SecretsDir and EnvironmentFile are looked at by the doctor.
	SecretsDir      string
	EnvironmentFile string
	Inputs          source.Options // what the doctor reads inputs with
	Log             *slog.Logger
	Now             func() time.Time
}

// Server answers the API.
type Server struct {
	Options
	listener net.Listener
	http     *http.Server
	metrics  *metrics
	ready    atomic.Bool
	failed   chan error
	// base ends when the server stops; what is not asked by a request uses it.
	base      context.Context
	endBase   context.CancelFunc
	heartbeat time.Duration // of event streams

	mu      sync.Mutex
	serving sync.WaitGroup
	started bool
}

// New binds the address; Start begins to answer.
func New(o Options) (*Server, error) {
	listener, err := listen(o.Listen)
	if err != nil {
		return nil, err
	}
	s := &Server{Options: o, listener: listener, failed: make(chan error, 1), heartbeat: heartbeat}
	s.base, s.endBase = context.WithCancel(context.Background())
	s.metrics = newMetrics(s)
	s.http = &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, WriteTimeout: 5 * time.Minute, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
	return s, nil
}

// Start answers from now on. A second Start does nothing.
func (s *Server) Start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started {
		return
	}
	s.started = true
	s.serving.Go(func() {
		if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
			s.failed <- fmt.Errorf("serve the API at %s: %w", s.Endpoint(), err)
		}
	})
}

// SetReady says whether the runner takes work: /readyz tells it on.
func (s *Server) SetReady(ready bool) { s.ready.Store(ready) }

// Failed tells when the server ended by itself.
func (s *Server) Failed() <-chan error { return s.failed }

// Stop lets answers under way finish for a moment and gives the address back.
// It may be called twice, and before Start; the drain of runs is over by then,
// so that ctx is no measure for it.
func (s *Server) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	s.endBase()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.http.Close()
	}
	if closing := s.listener.Close(); !errors.Is(closing, net.ErrClosed) {
		err = errors.Join(err, closing) // never served
	}
	s.serving.Wait()
	return err
}
