package server

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// backupTimeout is for gigabytes over a slow line.
const backupTimeout = time.Hour

func (s *Server) getHealth(w http.ResponseWriter, _ *http.Request) error {
	answer(w, http.StatusOK, struct{}{})
	return nil
}

func (s *Server) getReady(w http.ResponseWriter, r *http.Request) error {
	if !s.ready.Load() {
		return api.Errorf(api.CodeUnavailable, "try again in a moment", "the runner is starting or draining")
	}
	if err := s.Store.Trouble(r.Context()); err != nil {
		return err
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

// getBackup sends a copy of the store. The copy is whole before the answer
// begins, so that what goes wrong with it is told as a problem.
func (s *Server) getBackup(w http.ResponseWriter, r *http.Request) error {
	b, err := s.Store.Backup(r.Context(), s.Info.Version)
	if err != nil {
		return err
	}
	defer func() { _ = b.Close() }() // only read
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(backupTimeout))
	w.Header().Set("Content-Type", "application/vnd.sqlite3")
	w.Header().Set("Content-Length", strconv.FormatInt(b.Size(), 10))
	w.Header().Set("Cache-Control", "no-store")
	if _, err := io.Copy(w, b); err != nil {
		panic(http.ErrAbortHandler) // the answer has begun: cut it, so that it can't pass for a whole one
	}
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
