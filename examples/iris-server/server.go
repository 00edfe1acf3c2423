package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"

	"github.com/batchpattern/terraform-provider-batch/examples/iris-server/logistic"
)

const (
	modelName = "iris"

	// maxBody is room for about half a million records in one request.
	maxBody = 16 << 20
)

// server answers both protocols from one model. Until setModel it is alive but not ready.
type server struct {
	model atomic.Pointer[logistic.Model]
}

func newServer() *server { return &server{} }

// setModel makes the server ready.
func (s *server) setModel(m *logistic.Model) { s.model.Store(m) }

// handler routes both protocols. Where a path names a version it must be the loaded one.
func (s *server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v2/health/live", s.live)
	mux.HandleFunc("GET /v2/health/ready", s.ready)
	for _, prefix := range []string{"/v2/models/{model}", "/v2/models/{model}/versions/{version}"} {
		mux.HandleFunc("GET "+prefix, s.withModel(s.oipMetadata))
		mux.HandleFunc("GET "+prefix+"/ready", s.withModel(s.oipReady))
		mux.HandleFunc("POST "+prefix+"/infer", s.withModel(s.oipInfer))
	}
	// A pattern's variable is a whole path segment, so the segment before ":predict" is taken apart by tfPredict.
	mux.HandleFunc("GET /v1/models/{model}", s.tfStatus)
	mux.HandleFunc("GET /v1/models/{model}/versions/{version}", s.tfStatus)
	mux.HandleFunc("POST /v1/models/{call}", s.tfPredict)
	mux.HandleFunc("POST /v1/models/{model}/versions/{call}", s.tfPredict)
	return mux
}

// lookup returns the loaded model, or an error for a model or version this server does not have.
func (s *server) lookup(name, version string) (*logistic.Model, error) {
	if name != modelName {
		return nil, problem(http.StatusNotFound, "model %q not found: this server serves %q", name, modelName)
	}
	m := s.model.Load()
	if m == nil {
		return nil, problem(http.StatusServiceUnavailable, "model %q is still loading", name)
	}
	if version != "" && version != m.Version {
		return nil, problem(http.StatusNotFound, "model %q has no version %q: version %q is loaded", name, version, m.Version)
	}
	return m, nil
}

// withModel looks up the model the path names and writes what next returns.
func (s *server) withModel(next func(*logistic.Model, *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		m, err := s.lookup(r.PathValue("model"), r.PathValue("version"))
		if err != nil {
			writeError(w, err)
			return
		}
		reply, err := next(m, limited(w, r))
		if err != nil {
			writeError(w, err)
			return
		}
		writeJSON(w, http.StatusOK, reply)
	}
}

// predict classifies records, whose values stand in the order of the model's features.
func predict(m *logistic.Model, records [][]float64) ([]logistic.Prediction, error) {
	predictions := make([]logistic.Prediction, 0, len(records))
	for i, record := range records {
		p, err := m.Predict(record)
		if err != nil {
			return nil, problem(http.StatusBadRequest, "record %d: %v", i, err)
		}
		predictions = append(predictions, p)
	}
	return predictions, nil
}

// httpError is an answer other than 200.
type httpError struct {
	status  int
	message string
}

func (e *httpError) Error() string { return e.message }

func problem(status int, format string, args ...any) error {
	return &httpError{status: status, message: fmt.Sprintf(format, args...)}
}

// limited is r with a body that may not exceed maxBody.
func limited(w http.ResponseWriter, r *http.Request) *http.Request {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	return r
}

// readJSON decodes a body that must be one JSON value.
func readJSON(r *http.Request, into any) error {
	body, err := io.ReadAll(r.Body)
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return problem(http.StatusRequestEntityTooLarge, "request body exceeds %d bytes: send fewer records per request", tooLarge.Limit)
	}
	if err != nil {
		return problem(http.StatusBadRequest, "read request body: %v", err)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return problem(http.StatusBadRequest, "decode request body: %v", err)
	}
	return nil
}

func writeError(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	if known, ok := errors.AsType[*httpError](err); ok {
		status = known.status
	}
	writeJSON(w, status, map[string]string{"error": err.Error()})
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		http.Error(w, fmt.Sprintf("encode answer: %v", err), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // a client that went away is no concern of ours
}
