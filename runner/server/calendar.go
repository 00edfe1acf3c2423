package server

import (
	"context"
	"net/http"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

func (s *Server) postHold(w http.ResponseWriter, r *http.Request) error {
	var body api.HoldJob
	if err := decode(w, r, &body, false); err != nil {
		return err
	}
	return direct(w, r, func(ctx context.Context, name, actor string) (api.JobStatus, error) {
		return s.Trigger.Hold(ctx, name, body, actor)
	})
}

func (s *Server) postRelease(w http.ResponseWriter, r *http.Request) error {
	return direct(w, r, s.Trigger.Release)
}

func (s *Server) postCursor(w http.ResponseWriter, r *http.Request) error {
	var body api.SetCursor
	if err := decode(w, r, &body, false); err != nil {
		return err
	}
	return direct(w, r, func(ctx context.Context, name, actor string) (api.JobStatus, error) {
		return s.Trigger.SetCursor(ctx, name, body, actor)
	})
}

// direct tells a job something and answers with how it is then.
func direct(w http.ResponseWriter, r *http.Request, change func(ctx context.Context, name, actor string) (api.JobStatus, error)) error {
	status, err := change(r.Context(), r.PathValue("name"), actor(r))
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, status)
	return nil
}

func (s *Server) postRerun(w http.ResponseWriter, r *http.Request) error {
	token, err := key(r)
	if err != nil {
		return err
	}
	var ask api.Rerun
	if err := decode(w, r, &ask, false); err != nil {
		return err
	}
	run, created, err := s.Trigger.Rerun(r.Context(), r.PathValue("name"), ask, token, actor(r))
	if err != nil {
		return err
	}
	answer(w, createdOrOK(created), run)
	return nil
}

func (s *Server) postBackfill(w http.ResponseWriter, r *http.Request) error {
	token, err := key(r)
	if err != nil {
		return err
	}
	var ask api.AskBackfill
	if err := decode(w, r, &ask, false); err != nil {
		return err
	}
	backfill, created, err := s.Trigger.Backfill(r.Context(), r.PathValue("name"), ask, token, actor(r))
	if err != nil {
		return err
	}
	answer(w, createdOrOK(created), backfill)
	return nil
}

func (s *Server) getBackfills(w http.ResponseWriter, r *http.Request) error {
	ask := query(r, "limit")
	limit := ask.number("limit", defaultRows, 1, maxRows)
	if ask.err != nil {
		return ask.err
	}
	all, err := s.Trigger.Backfills(r.Context(), r.PathValue("name"), int(limit))
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, backfillList{Backfills: orEmpty(all)})
	return nil
}

func (s *Server) postCancelBackfill(w http.ResponseWriter, r *http.Request) error {
	backfill, err := s.Trigger.CancelBackfill(r.Context(), r.PathValue("name"), r.PathValue("id"), actor(r))
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, backfill)
	return nil
}
