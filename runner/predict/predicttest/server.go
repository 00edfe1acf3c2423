// Package predicttest is a prediction server with fault switches, for tests.
//
// It speaks oip_v2 and tf_v1, predicts by a pure function of the features (see
// Predict), remembers what it was sent, and fails on demand. It serves on a
// loopback listener (Listen), over in-memory connections that let the time of a
// testing/synctest bubble advance (RoundTripper), or as an http.Handler in a
// process of its own. Tests wait for what it saw (WaitSent), never for time.
package predicttest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
)

// Options are the settings of a Server that do not change.
type Options struct {
	// Model is the one model it knows; "m" where empty.
	Model string
	// Inputs are the model's inputs in its metadata. Where there are none the
	// metadata tells of one FP64 matrix named "input". Requests may hold
	// either form and any names.
	Inputs []Input
	// NoMetadata makes the metadata address answer 404.
	NoMetadata bool
	// Identity is the index of the feature that identifies a record.
	Identity int
	// Log gets one JSON line per request, a Send, before it is answered: how
	// a test learns what a server in another process was sent.
	Log io.Writer
}

// Input is one input of the model.
type Input struct {
	Name     string `json:"name"`
	Datatype string `json:"datatype"`
	Shape    []int  `json:"shape"`
}

// Server is a prediction server. Its methods may be used at any time, from any
// goroutine.
type Server struct {
	options Options
	routes  *http.ServeMux

	mu       sync.Mutex
	changed  chan struct{} // closed, and replaced, when a count below moves
	released chan struct{} // closed, and replaced, by Release
	probes   int
	ready    func(probe int) string // "" is ready, else what is answered
	sends    []Send
	seen     map[string]map[string]int // purpose → record → times sent
	answered map[string]int            // record → times predicted, see Predicted
	faults   []*armed
	dials    int
	memory   *memory
}

// New makes a Server that is ready and without faults.
func New(o Options) *Server {
	if o.Model == "" {
		o.Model = "m"
	}
	if len(o.Inputs) == 0 {
		o.Inputs = []Input{{Name: "input", Datatype: "FP64", Shape: []int{-1, -1}}}
	}
	s := &Server{
		options: o, routes: http.NewServeMux(),
		changed: make(chan struct{}), released: make(chan struct{}),
		ready: func(int) string { return "" },
		seen:  map[string]map[string]int{}, answered: map[string]int{},
	}
	for _, version := range []string{"", "/versions/{version}"} {
		s.routes.HandleFunc("GET /v2/models/{model}"+version+"/ready", s.oipReady)
		s.routes.HandleFunc("GET /v2/models/{model}"+version, s.oipMetadata)
		s.routes.HandleFunc("POST /v2/models/{model}"+version+"/infer", s.predict(oip{}))
	}
	s.routes.HandleFunc("GET /v1/models/{model}", s.tfReady)
	s.routes.HandleFunc("GET /v1/models/{model}/versions/{version}", s.tfReady)
	s.routes.HandleFunc("POST /v1/models/{verb}", s.predict(tf{}))
	s.routes.HandleFunc("POST /v1/models/{model}/versions/{verb}", s.predict(tf{}))
	return s
}

// ServeHTTP makes the Server a handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.routes.ServeHTTP(w, r) }

// SetReady says whether readiness probes succeed; where not, they all get the
// same answer.
func (s *Server) SetReady(ready bool) {
	s.setReadiness(func(int) string {
		if ready {
			return ""
		}
		return "loading"
	})
}

// ReadyAfter makes the next probes fail, each with another answer, and the
// ones after them succeed.
func (s *Server) ReadyAfter(probes int) {
	s.mu.Lock()
	first := s.probes
	s.mu.Unlock()
	s.setReadiness(func(probe int) string {
		if probe -= first; probe > probes {
			return ""
		}
		return fmt.Sprintf("loading, %d of %d", probe, probes)
	})
}

func (s *Server) setReadiness(ready func(int) string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = ready
}

// probe counts a readiness probe; it gives true when the model is ready, and
// answers it otherwise.
func (s *Server) probe(w http.ResponseWriter, r *http.Request) bool {
	if !s.knows(w, r.PathValue("model")) {
		return false
	}
	s.mu.Lock()
	s.probes++
	answer := s.ready(s.probes)
	s.signal()
	s.mu.Unlock()
	if answer != "" {
		http.Error(w, answer, http.StatusServiceUnavailable)
	}
	return answer == ""
}

func (s *Server) knows(w http.ResponseWriter, model string) bool {
	if model == s.options.Model {
		return true
	}
	writeError(w, http.StatusNotFound, fmt.Errorf("model %q is not found", model))
	return false
}

func (s *Server) oipReady(w http.ResponseWriter, r *http.Request) {
	if s.probe(w, r) {
		writeJSON(w, map[string]any{"name": s.options.Model, "ready": true})
	}
}

func (s *Server) tfReady(w http.ResponseWriter, r *http.Request) {
	if s.probe(w, r) {
		version := r.PathValue("version")
		if version == "" {
			version = "1"
		}
		writeJSON(w, map[string]any{"model_version_status": []map[string]string{{"version": version, "state": "AVAILABLE"}}})
	}
}

func (s *Server) oipMetadata(w http.ResponseWriter, r *http.Request) {
	switch {
	case !s.knows(w, r.PathValue("model")):
	case s.options.NoMetadata:
		http.NotFound(w, r)
	default:
		writeJSON(w, map[string]any{"name": s.options.Model, "inputs": s.options.Inputs})
	}
}

// predict answers the requests with records of one protocol.
func (s *Server) predict(p protocol) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		content, err := io.ReadAll(r.Body)
		if err != nil {
			return // the client has gone
		}
		model := r.PathValue("model")
		if verb := r.PathValue("verb"); verb != "" {
			subject, action, _ := strings.Cut(verb, ":")
			if action != "predict" {
				http.NotFound(w, r)
				return
			}
			if model == "" {
				model = subject
			}
		}
		if !s.knows(w, model) {
			return
		}
		q, err := p.read(content)
		if err == nil {
			err = q.identify(s.options.Identity)
		}
		if err != nil {
			writeError(w, http.StatusBadRequest, err)
			return
		}
		number, fault := s.record(r, q.ids)
		if fault.before(s, w, r) {
			return
		}
		answer, err := p.answer(q, max(0, len(q.records)-fault.Short))
		if err != nil {
			writeError(w, http.StatusBadRequest, err)
			return
		}
		s.succeeded(number, fault)
		fault.write(w, answer)
	}
}

func writeJSON(w http.ResponseWriter, v any) {
	content, err := json.Marshal(v)
	if err != nil {
		writeError(w, http.StatusInternalServerError, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(content)
}

func writeError(w http.ResponseWriter, status int, err error) {
	content, _ := json.Marshal(map[string]string{"error": err.Error()})
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(content)
}

var errShape = errors.New("the data does not fit the shape")
