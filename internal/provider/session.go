package provider

import (
	"sync"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/internal/client"
)

// What the provider does when a runner can't be reached.
const (
	unreachableKeep   = "keep"
	unreachableError  = "error"
	unreachableForget = "forget"
)

// setting is a value together with where it comes from, for errors.
type setting struct {
	value, source string
	unknown       bool // until apply
}

// session is what the configured provider hands to its resources and data
// sources. It makes clients when they are first needed, and keeps one per
// runner, so that all resources of a runner share its snapshot of jobs.
type session struct {
	endpoint, token, tokenFile, owner setting
	timeout                           time.Duration
	now                               func() time.Time
	onUnreachable                     string

	mu      sync.Mutex
	clients map[[2]string]*client.Client
	down    map[string]bool // endpoints of runners that this configuration starts
}

// client gives the client for a runner: at an endpoint, or at the provider's
// own where that is empty; pinned to a runner id, or to nobody yet.
func (s *session) client(endpoint, runnerID string) (*client.Client, error) {
	at := setting{value: endpoint, source: "the runner's endpoint"}
	if endpoint == "" {
		at = s.endpoint
	}
	if at.unknown {
		return nil, api.Errorf(api.CodeUnreachable, "", "the provider's endpoint (%s) is not known before apply", at.source)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := [2]string{at.value, runnerID}
	if c := s.clients[key]; c != nil {
		return c, nil
	}
	token, err := s.readToken()
	if err != nil {
		return nil, err
	}
	c, err := client.New(client.Options{
		Endpoint: at.value, Source: at.source, RunnerID: runnerID, Timeout: s.timeout, Actor: "terraform",
		Owner: s.owner.value, Token: token.value, TokenSource: token.source,
	})
	if err != nil {
		return nil, err
	}
	if s.clients == nil {
		s.clients = map[[2]string]*client.Client{}
	}
	s.clients[key] = c
	return c, nil
}

// willStart notes that the runner at an endpoint is down, and that the same
// configuration has it started. Terraform reads a runner before its jobs.
func (s *session) willStart(endpoint string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down == nil {
		s.down = map[string]bool{}
	}
	s.down[endpoint] = true
}

func (s *session) starts(runner *runnerRef) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return runner != nil && s.down[runner.Endpoint]
}

// readToken reads the token file only now: it may have been written by the
// apply that goes on.
func (s *session) readToken() (setting, error) {
	if s.token.value != "" || s.tokenFile.value == "" {
		return s.token, nil
	}
	token, err := client.ReadToken(s.tokenFile.value)
	if err != nil {
		return setting{}, api.Errorf(api.CodeUnauthorized, "correct "+s.tokenFile.source, "%v", err)
	}
	return setting{value: token, source: s.tokenFile.value + " (" + s.tokenFile.source + ")"}, nil
}

// keeps tells whether a failed refresh keeps the state with a warning. With
// on_unreachable = "error" it is an error; nothing is ever dropped by Read.
func (s *session) keeps(err error) bool {
	return client.IsUnreachable(err) && s.onUnreachable != unreachableError
}
