package server

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
	"github.com/batchpattern/terraform-provider-batch/runner/trigger"
)

func (s *Server) getJobs(w http.ResponseWriter, r *http.Request) error {
	jobs, err := s.Store.Jobs()
	if err != nil {
		return fmt.Errorf("list jobs: %w", err)
	}
	list := jobList{Jobs: []api.StoredJob{}}
	for _, job := range jobs {
		list.Jobs = append(list.Jobs, job.StoredJob)
	}
	answer(w, http.StatusOK, list)
	return nil
}

func (s *Server) getJob(w http.ResponseWriter, r *http.Request) error {
	job, err := s.findJob(r.PathValue("name"))
	if err != nil {
		return err
	}
	w.Header().Set("ETag", etag(job.Generation))
	answer(w, http.StatusOK, job.StoredJob)
	return nil
}

func (s *Server) putJob(w http.ResponseWriter, r *http.Request) error {
	cond, err := condition(r)
	if err != nil {
		return err
	}
	var body api.PutJob
	if err := decode(w, r, &body, false); err != nil {
		return intoSpec(err)
	}
	job, created, err := s.Trigger.Put(r.Context(), r.PathValue("name"), body, cond, actor(r))
	if err != nil {
		return err
	}
	w.Header().Set("ETag", etag(job.Generation))
	answer(w, createdOrOK(created), job)
	return nil
}

func condition(r *http.Request) (cond trigger.Condition, err error) {
	if cond.IfNoneMatch, err = ifNoneMatch(r); err != nil {
		return cond, err
	}
	if cond.IfMatch, err = ifMatch(r); err != nil {
		return cond, err
	}
	if cond.IfNoneMatch && cond.IfMatch > 0 {
		return cond, api.Errorf(api.CodeMalformed, "keep one", "If-Match and If-None-Match exclude each other")
	}
	cond.Key, err = key(r)
	return cond, err
}

func (s *Server) deleteJob(w http.ResponseWriter, r *http.Request) error {
	ask := query(r, "purge")
	purge := ask.flag("purge")
	if ask.err != nil {
		return ask.err
	}
	generation, err := ifMatch(r)
	if err != nil {
		return err
	}
	if err := s.Trigger.Delete(r.Context(), r.PathValue("name"), r.Header.Get("Batch-Owner"), generation, purge, actor(r)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) getStatuses(w http.ResponseWriter, r *http.Request) error {
	all, err := s.Trigger.StatusAll(r.Context())
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, statusList{Jobs: orEmpty(all)})
	return nil
}

func (s *Server) getStatus(w http.ResponseWriter, r *http.Request) error {
	status, err := s.Trigger.Status(r.Context(), r.PathValue("name"))
	if err != nil {
		return err
	}
	if err := s.noteSpools(status.ActiveRun, status.LastRun, status.LastSuccess); err != nil {
		return err
	}
	answer(w, http.StatusOK, status)
	return nil
}

func (s *Server) getDecisions(w http.ResponseWriter, r *http.Request) error {
	uid, limit, err := s.listOf(r)
	if err != nil {
		return err
	}
	decisions, err := s.Store.Decisions(uid, limit)
	if err != nil {
		return fmt.Errorf("list decisions of job %s: %w", r.PathValue("name"), err)
	}
	answer(w, http.StatusOK, decisionList{Decisions: orEmpty(decisions)})
	return nil
}

func (s *Server) postRun(w http.ResponseWriter, r *http.Request) error {
	token, err := key(r)
	if err != nil {
		return err
	}
	var ask api.Trigger
	if err := decode(w, r, &ask, true); err != nil {
		return err
	}
	run, created, err := s.Trigger.Run(r.Context(), r.PathValue("name"), ask, token, actor(r))
	if err != nil {
		return err
	}
	answer(w, createdOrOK(created), run)
	return nil
}

func createdOrOK(created bool) int {
	if created {
		return http.StatusCreated
	}
	return http.StatusOK
}

// listOf reads what all lists below a job take.
func (s *Server) listOf(r *http.Request) (uid string, limit int, err error) {
	ask := query(r, "limit")
	limit = int(ask.number("limit", defaultRows, 1, maxRows))
	if ask.err != nil {
		return "", 0, ask.err
	}
	job, err := s.findJob(r.PathValue("name"))
	return job.UID, limit, err
}

// findJob is a live job by name, or the error that a person sees.
func (s *Server) findJob(name string) (store.Job, error) {
	job, err := s.Store.Job(name)
	if errors.Is(err, store.ErrNotFound) {
		return store.Job{}, api.Errorf(api.CodeNotFound, "batch-runner status lists the jobs there are", "there is no job %q on this runner", name)
	}
	if err != nil {
		return store.Job{}, fmt.Errorf("read job %s: %w", name, err)
	}
	return job, nil
}

// orEmpty makes a missing list an empty one: JSON tells them apart.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
