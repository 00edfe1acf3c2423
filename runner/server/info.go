package server

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"os"
	"sync"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

func (s *Server) getHealth(w http.ResponseWriter, _ *http.Request) error {
	answer(w, http.StatusOK, struct{}{})
	return nil
}

func (s *Server) getReady(w http.ResponseWriter, _ *http.Request) error {
	if !s.ready.Load() {
		return api.Errorf(api.CodeUnavailable, "try again in a moment", "the runner is starting or draining")
	}
	answer(w, http.StatusOK, struct{}{})
	return nil
}

func (s *Server) getMetrics(w http.ResponseWriter, r *http.Request) error {
	s.metrics.handler.ServeHTTP(w, r)
	return nil
}

func (s *Server) getOpenAPI(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(openAPI)
	return nil
}

func (s *Server) getInfo(w http.ResponseWriter, _ *http.Request) error {
	info := s.Info
	info.PID, info.BinarySHA256 = os.Getpid(), binaryDigest()
	answer(w, http.StatusOK, info)
	return nil
}

// binaryDigest identifies the binary that runs, which may not lie at its path
// any more. It is read once, when somebody asks.
var binaryDigest = sync.OnceValue(func() string {
	file, err := os.Open("/proc/self/exe")
	if err != nil {
		path, _ := os.Executable()
		if file, err = os.Open(path); err != nil {
			return ""
		}
	}
	defer func() { _ = file.Close() }() // only read
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return ""
	}
	return hex.EncodeToString(hash.Sum(nil))
})
