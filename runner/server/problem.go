package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// statuses is the one table of codes and HTTP statuses.
var statuses = map[api.Code]int{
	api.CodeInvalid:      http.StatusUnprocessableEntity,
	api.CodeMalformed:    http.StatusBadRequest,
	api.CodeUnauthorized: http.StatusUnauthorized,
	api.CodeNotFound:     http.StatusNotFound,
	api.CodeExists:       http.StatusConflict,
	api.CodeConflict:     http.StatusConflict,
	api.CodeOwner:        http.StatusConflict,
	api.CodePrecondition: http.StatusPreconditionFailed,
	api.CodeTooLarge:     http.StatusRequestEntityTooLarge,
	api.CodeInternal:     http.StatusInternalServerError,
	api.CodeUnavailable:  http.StatusServiceUnavailable,
}

// problem is an error as RFC 9457 has it, with the members of api.Error.
type problem struct {
	Type     string    `json:"type"`
	Title    string    `json:"title"`
	Status   int       `json:"status"`
	Detail   string    `json:"detail"`
	Code     api.Code  `json:"code"`
	Hint     string    `json:"hint,omitzero"`
	Pointer  string    `json:"pointer,omitzero"`
	Problems []finding `json:"problems,omitzero"`
}

// finding is one of the problems of an invalid document.
type finding struct {
	Pointer string   `json:"pointer"`
	Message string   `json:"message"`
	Code    api.Code `json:"code"`
	Hint    string   `json:"hint,omitzero"`
}

// writeProblem answers with an error.
func (s *Server) writeProblem(w http.ResponseWriter, r *http.Request, err error) {
	e := s.known(r, err)
	status := statuses[e.Code]
	p := problem{
		Type: "about:blank", Title: http.StatusText(status), Status: status,
		Detail: e.Message, Code: e.Code, Hint: e.Hint, Pointer: e.Pointer,
	}
	for _, f := range e.Problems {
		p.Problems = append(p.Problems, finding{Pointer: f.Pointer, Message: f.Message, Code: f.Code, Hint: f.Hint})
	}
	switch e.Code {
	case api.CodeUnauthorized:
		w.Header().Set("WWW-Authenticate", `Bearer realm="batch-runner"`)
	case api.CodeUnavailable:
		w.Header().Set("Retry-After", "1")
	}
	w.Header().Set("Content-Type", "application/problem+json")
	write(w, status, p)
}

// known gives the error that a client is told. One without a code is a failure
// of ours: this is the edge where it is logged.
func (s *Server) known(r *http.Request, err error) *api.Error {
	if e, ok := errors.AsType[*api.Error](err); ok && statuses[e.Code] != 0 {
		return e
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return api.Errorf(api.CodeTooLarge, "", "the request body is larger than %d MiB", maxBody>>20)
	}
	if r.Context().Err() == nil {
		s.Log.Error("answer a request", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	if store.IsStorage(err) {
		return api.Errorf(api.CodeUnavailable, "see batch-runner doctor", "the runner can't write to its data dir: %v", err)
	}
	return api.Errorf(api.CodeInternal, "see the runner's log", "%v", err)
}

// answer writes a JSON body.
func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	write(w, status, body)
}

// write encodes before it answers; what the connection does then is not ours.
func write(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		panic(fmt.Sprintf("encode %T: %v", body, err)) // plain data always encodes
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n'))
}
