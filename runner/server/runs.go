package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/launch"
	"github.com/batchpattern/terraform-provider-batch/runner/trigger"
)

func (s *Server) getRun(w http.ResponseWriter, r *http.Request) error {
	run, err := findRun(s.Store, r.PathValue("id"))
	if err != nil {
		return err
	}
	if err := errors.Join(trigger.NoteTrouble(s.Store, &run), s.noteSpools(&run)); err != nil {
		return err
	}
	answer(w, http.StatusOK, run)
	return nil
}

func (s *Server) getWhy(w http.ResponseWriter, r *http.Request) error {
	why, err := Explain(s.Store, r.PathValue("id"))
	if err != nil {
		return err
	}
	if err := s.noteSpools(&why.Run); err != nil {
		return err
	}
	answer(w, http.StatusOK, why)
	return nil
}

func (s *Server) getLogs(w http.ResponseWriter, r *http.Request) error {
	run, err := findRun(s.Store, r.PathValue("id"))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	log, err := launch.ReadLog(s.Engine.LogPath(run.ID))
	if errors.Is(err, fs.ErrNotExist) {
		w.WriteHeader(http.StatusOK) // none was launched, or it wrote nothing
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the log of run %s: %w", run.ID, err)
	}
	defer func() { _ = log.Close() }() // only read
	if _, err := io.Copy(w, log); err != nil {
		panic(http.ErrAbortHandler)
	}
	return nil
}

func (s *Server) postRetry(w http.ResponseWriter, r *http.Request) error {
	var ask api.RetryRun
	if err := decode(w, r, &ask, true); err != nil {
		return err
	}
	return act(w, r, func(ctx context.Context, id, actor string) (api.Run, error) {
		return s.Engine.Retry(ctx, id, ask, actor)
	})
}

func (s *Server) postCancel(w http.ResponseWriter, r *http.Request) error {
	return act(w, r, s.Engine.Cancel)
}

func (s *Server) postAccept(w http.ResponseWriter, r *http.Request) error {
	var body api.Accept
	if err := decode(w, r, &body, false); err != nil {
		return err
	}
	return act(w, r, func(ctx context.Context, id, actor string) (api.Run, error) {
		return s.Engine.Accept(ctx, id, body.Reason, actor)
	})
}

func act(w http.ResponseWriter, r *http.Request, change func(ctx context.Context, id, actor string) (api.Run, error)) error {
	run, err := change(r.Context(), r.PathValue("id"), actor(r))
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, run)
	return nil
}
