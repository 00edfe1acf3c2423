package predicttest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"
)

// Send is one request with records, as it arrived.
type Send struct {
	At      time.Time `json:"at"`
	Purpose string    `json:"purpose,omitempty"` // Batch-Purpose: "" is a main request
	Key     string    `json:"key,omitempty"`     // Idempotency-Key
	Attempt string    `json:"attempt,omitempty"` // Batch-Attempt
	Records []string  `json:"records"`           // the identity of each record
	// Predicted tells that it was answered with good predictions.
	Predicted bool `json:"-"`
}

// record remembers a request and picks the fault that strikes it.
func (s *Server) record(r *http.Request, ids []string) (number int, fault Fault) {
	send := Send{
		At: time.Now(), Purpose: r.Header.Get("Batch-Purpose"), Key: r.Header.Get("Idempotency-Key"),
		Attempt: r.Header.Get("Batch-Attempt"), Records: ids,
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.options.Log != nil {
		line, _ := json.Marshal(send)
		_, _ = s.options.Log.Write(append(line, '\n'))
	}
	s.sends = append(s.sends, send)
	if s.seen[send.Purpose] == nil {
		s.seen[send.Purpose] = map[string]int{}
	}
	for _, id := range ids {
		s.seen[send.Purpose][id]++
	}
	fault = s.strike(send)
	s.signal()
	return len(s.sends) - 1, fault
}

// succeeded remembers that a request is being answered with predictions.
func (s *Server) succeeded(number int, fault Fault) {
	if fault.spoils() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sends[number].Predicted = true
	if counts(s.sends[number].Purpose) {
		for _, id := range s.sends[number].Records {
			s.answered[id]++
		}
	}
	s.signal()
}

// counts tells that the predictions of a request are for use: of a main one,
// or of a part of one.
func counts(purpose string) bool { return purpose == "" || purpose == "probe" || purpose == "confirm" }

// signal wakes those who wait. The lock is held.
func (s *Server) signal() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Sends are all requests with records so far.
func (s *Server) Sends() []Send {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.sends)
}

// Seen tells how often each record was sent in requests of a purpose; "" is
// main requests.
func (s *Server) Seen(purpose string) map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.seen[purpose])
}

// Predicted tells how often each record was predicted in main requests and
// parts of such.
func (s *Server) Predicted() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.answered)
}

// Probes is the number of readiness probes so far.
func (s *Server) Probes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.probes
}

// Dials is the number of connections made so far, by Listen and RoundTripper.
func (s *Server) Dials() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dials
}

// WaitSent waits until n main requests have arrived.
func (s *Server) WaitSent(ctx context.Context, n int) error {
	return s.wait(ctx, fmt.Sprintf("%d main requests", n), func() int {
		count := 0
		for _, send := range s.sends {
			if send.Purpose == "" {
				count++
			}
		}
		return count
	}, n)
}

// WaitProbes waits until n readiness probes have arrived.
func (s *Server) WaitProbes(ctx context.Context, n int) error {
	return s.wait(ctx, fmt.Sprintf("%d readiness probes", n), func() int { return s.probes }, n)
}

func (s *Server) wait(ctx context.Context, what string, count func() int, n int) error {
	for {
		s.mu.Lock()
		got, changed := count(), s.changed
		s.mu.Unlock()
		if got >= n {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: saw %d: %w", what, got, context.Cause(ctx))
		}
	}
}
