package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/launch"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// A mini-batch takes a fraction of a run's space: more of them make a page.
const (
	defaultMiniBatches = 1000
	maxMiniBatches     = 10_000
)

func (s *Server) getRun(w http.ResponseWriter, r *http.Request) error {
	run, err := findRun(s.Store, r.PathValue("id"))
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, run)
	return nil
}

func (s *Server) getMiniBatches(w http.ResponseWriter, r *http.Request) error {
	ask := query(r, "after", "limit")
	after := ask.number("after", 0, 0, 1<<53)
	limit := ask.number("limit", defaultMiniBatches, 1, maxMiniBatches)
	if ask.err != nil {
		return ask.err
	}
	run, err := findRun(s.Store, r.PathValue("id"))
	if err != nil {
		return err
	}
	list := miniBatchList{MiniBatches: []api.MiniBatch{}}
	plan, err := s.Store.Plan(run.ID)
	if errors.Is(err, store.ErrNotFound) {
		answer(w, http.StatusOK, list) // not planned yet
		return nil
	}
	var files []source.File
	if err == nil {
		err = json.Unmarshal(plan.Files, &files)
	}
	if err != nil {
		return fmt.Errorf("read the plan of run %s: %w", run.ID, err)
	}
	found, err := s.Store.MiniBatches(run.ID, after, int(limit))
	if err != nil {
		return fmt.Errorf("list the mini-batches of run %s: %w", run.ID, err)
	}
	for _, m := range found {
		list.MiniBatches = append(list.MiniBatches, wire(m, files))
	}
	answer(w, http.StatusOK, list)
	return nil
}

func wire(m store.MiniBatch, files []source.File) api.MiniBatch {
	wired := api.MiniBatch{
		Number: m.Number, State: m.State, FirstLine: m.FirstLine, Records: m.Records,
		DeadLettered: m.DeadLettered, Attempts: m.Attempts, Class: m.Class, Error: m.Error,
	}
	if m.File >= 0 && m.File < int64(len(files)) {
		wired.File = files[m.File].Path
	}
	if m.State == api.MiniBatchRetryWait {
		wired.NotBefore = m.NotBefore
	}
	return wired
}

// getDeadLetters streams: there may be as many as records.
func (s *Server) getDeadLetters(w http.ResponseWriter, r *http.Request) error {
	run, err := findRun(s.Store, r.PathValue("id"))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, err = io.WriteString(w, `{"dead_letters":[`)
	separator := ""
	if err == nil {
		err = s.Store.DeadLetters(run.ID, func(letter api.DeadLetter) error {
			text, err := json.Marshal(letter)
			if err != nil {
				return err
			}
			_, err = io.WriteString(w, separator+string(text))
			separator = ","
			return err
		})
	}
	if err != nil {
		if r.Context().Err() == nil {
			s.Log.Error("list dead letters", "run", run.ID, "error", err)
		}
		panic(http.ErrAbortHandler) // the answer has begun: cut it, so that it can't pass for a whole one
	}
	_, _ = io.WriteString(w, "]}\n")
	return nil
}

func (s *Server) getWhy(w http.ResponseWriter, r *http.Request) error {
	why, err := Explain(s.Store, r.PathValue("id"))
	if err != nil {
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
	return act(w, r, s.Engine.Retry)
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
