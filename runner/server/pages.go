package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/source"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
	"github.com/batchpattern/terraform-provider-batch/runner/trigger"
)

// How many rows a page has unless asked for more, and at most. A mini-batch
// takes a fraction of a run's space, so that more of them make a page.
const (
	defaultRows = 20
	maxRows     = 1000

	defaultMiniBatches = 1000
	maxMiniBatches     = 10_000
	defaultDeadLetters = 100
	defaultEvents      = 1000
)

// What the routes of pages take.
var (
	paged     = []string{"limit", "after"}
	runFilter = []string{"state", "origin", "since", "until", "limit", "after"}
	runStates = []api.RunState{api.RunQueued, api.RunPlanning, api.RunProvisioning, api.RunRunning, api.RunCommitting,
		api.RunSucceeded, api.RunIncomplete, api.RunFailed, api.RunCancelled, api.RunStopped, api.RunSkipped}
	runOrigins = []api.Origin{api.OriginSchedule, api.OriginCatchUp, api.OriginManual, api.OriginBackfill}
)

// page makes the answer of a list that was asked for one row more than a page
// holds: that row only tells that there is a next page, which goes on behind
// the last one shown.
func page[T any](rows []T, limit int64, mark func(T) string) (shown []T, next string) {
	if int64(len(rows)) > limit {
		rows = rows[:limit]
		next = mark(rows[limit-1])
	}
	return orEmpty(rows), next
}

func numbered(n int64) string { return strconv.FormatInt(n, 10) }

// getRuns lists the runs of all jobs, or of one.
func (s *Server) getRuns(w http.ResponseWriter, r *http.Request) error {
	ask := query(r, append([]string{"job"}, runFilter...)...)
	return s.listRuns(w, ask, ask.values["job"])
}

func (s *Server) getRunsOfJob(w http.ResponseWriter, r *http.Request) error {
	return s.listRuns(w, query(r, runFilter...), r.PathValue("name"))
}

func (s *Server) listRuns(w http.ResponseWriter, ask *parameters, name string) error {
	filter := store.RunFilter{
		States: words(ask, "state", runStates...), Origins: words(ask, "origin", runOrigins...),
		Since: ask.instant("since"), Until: ask.instant("until"),
	}
	limit := ask.number("limit", defaultRows, 1, maxRows)
	if ask.err != nil {
		return ask.err
	}
	if name != "" {
		job, err := s.findJob(name)
		if err != nil {
			return err
		}
		filter.UID = job.UID
	}
	found, err := s.Store.RunsPage(filter, ask.values["after"], int(limit)+1)
	if errors.Is(err, store.ErrNotFound) {
		return api.Errorf(api.CodeInvalid, "begin the list anew, without after", "after %q is not the next of a list of runs", ask.values["after"])
	}
	if err != nil {
		return fmt.Errorf("list runs: %w", err)
	}
	runs, each := make([]api.Run, len(found)), make([]*api.Run, len(found))
	for i := range found {
		runs[i], each[i] = found[i].Run, &runs[i]
		if err := trigger.NoteTrouble(s.Store, &runs[i]); err != nil {
			return err
		}
	}
	if err := s.noteSpools(each...); err != nil {
		return err
	}
	var list runList
	list.Runs, list.Next = page(runs, limit, func(run api.Run) string { return run.ID })
	answer(w, http.StatusOK, list)
	return nil
}

func (s *Server) getHistory(w http.ResponseWriter, r *http.Request) error {
	ask := query(r, paged...)
	before, limit := ask.number("after", 0, 1, 1<<53), ask.number("limit", defaultRows, 1, maxRows)
	if ask.err != nil {
		return ask.err
	}
	job, err := s.findJob(r.PathValue("name"))
	if err != nil {
		return err
	}
	found, err := s.Store.History(job.UID, before, int(limit)+1)
	if err != nil {
		return err
	}
	var list generationList
	list.Generations, list.Next = page(found, limit, func(g api.Generation) string { return numbered(g.Generation) })
	answer(w, http.StatusOK, list)
	return nil
}

func (s *Server) getLedger(w http.ResponseWriter, r *http.Request) error {
	ask := query(r, paged...)
	after, limit := ask.number("after", 0, 1, 1<<53), ask.number("limit", defaultRows, 1, maxRows)
	if ask.err != nil {
		return ask.err
	}
	job, err := s.findJob(r.PathValue("name"))
	if err != nil {
		return err
	}
	found, err := s.Store.LedgerPage(job.UID, after, int(limit)+1)
	if err != nil {
		return fmt.Errorf("list what job %s owes: %w", job.Spec.Name, err)
	}
	var list ledgerList
	list.Owed, list.Next = page(found, limit, func(o api.OwedSlice) string { return numbered(o.ID) })
	answer(w, http.StatusOK, list)
	return nil
}

func (s *Server) getMiniBatches(w http.ResponseWriter, r *http.Request) error {
	ask := query(r, paged...)
	after, limit := ask.number("after", 0, 1, 1<<53), ask.number("limit", defaultMiniBatches, 1, maxMiniBatches)
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
	found, err := s.Store.MiniBatches(run.ID, after, int(limit)+1)
	if err != nil {
		return fmt.Errorf("list the mini-batches of run %s: %w", run.ID, err)
	}
	shown, next := page(found, limit, func(m store.MiniBatch) string { return numbered(m.Number) })
	var debtors map[int64]string
	if len(shown) > 0 {
		if debtors, err = s.Store.Debtors(run.ID, shown[0].Number, shown[len(shown)-1].Number); err != nil {
			return fmt.Errorf("find what run %s took over: %w", run.ID, err)
		}
	}
	for _, m := range shown {
		wired := wire(m, files)
		wired.CarriedFrom = debtors[m.Number]
		list.MiniBatches = append(list.MiniBatches, wired)
	}
	list.Next = next
	answer(w, http.StatusOK, list)
	return nil
}

func wire(m store.MiniBatch, files []source.File) api.MiniBatch {
	wired := api.MiniBatch{
		Number: m.Number, State: m.State, FirstLine: m.FirstLine, Records: m.Records,
		DeadLettered: m.DeadLettered, Attempts: m.Attempts, Class: m.Class, Error: m.Error, Requests: m.Requests,
		Carried: m.Carried, Losses: m.Losses, Timeouts: m.Timeouts, Fingerprint: m.Fingerprint,
	}
	if m.File >= 0 && m.File < int64(len(files)) {
		wired.File = files[m.File].Path
	}
	if m.State == api.MiniBatchRetryWait {
		wired.NotBefore = m.NotBefore
	}
	return wired
}

func (s *Server) getDeadLetters(w http.ResponseWriter, r *http.Request) error {
	ask := query(r, paged...)
	limit := ask.number("limit", defaultDeadLetters, 1, maxRows)
	var after store.Spot
	if text, given := ask.values["after"]; given {
		if _, err := fmt.Sscanf(text, "%d.%d", &after.MiniBatch, &after.Position); err != nil {
			ask.fail("begin the list anew, without after", "after %q is not the next of a list of dead letters", text)
		}
	}
	if ask.err != nil {
		return ask.err
	}
	run, err := findRun(s.Store, r.PathValue("id"))
	if err != nil {
		return err
	}
	found, err := s.Store.DeadLettersPage(run.ID, after, int(limit)+1)
	if err != nil {
		return fmt.Errorf("list the dead letters of run %s: %w", run.ID, err)
	}
	shown, next := page(found, limit, func(l store.PlacedDeadLetter) string { return fmt.Sprintf("%d.%d", l.MiniBatch, l.Position) })
	list := deadLetterList{DeadLetters: []api.DeadLetter{}, Next: next}
	for _, letter := range shown {
		list.DeadLetters = append(list.DeadLetters, letter.DeadLetter)
	}
	answer(w, http.StatusOK, list)
	return nil
}

func (s *Server) getRunAttempts(w http.ResponseWriter, r *http.Request) error {
	run, err := findRun(s.Store, r.PathValue("id"))
	if err != nil {
		return err
	}
	attempts, err := s.Store.RunAttempts(run.ID)
	if err != nil {
		return fmt.Errorf("list the attempts of run %s: %w", run.ID, err)
	}
	answer(w, http.StatusOK, runAttemptList{Attempts: orEmpty(attempts)})
	return nil
}

func (s *Server) getMiniBatchAttempts(w http.ResponseWriter, r *http.Request) error {
	run, err := findRun(s.Store, r.PathValue("id"))
	if err != nil {
		return err
	}
	number, err := strconv.ParseInt(r.PathValue("number"), 10, 64)
	if err != nil || number < 1 || number > run.MiniBatches.Total {
		return api.Errorf(api.CodeNotFound, fmt.Sprintf("it has %s", api.Counted(run.MiniBatches.Total, "mini-batch")),
			"run %s has no mini-batch %s", run.ID, r.PathValue("number"))
	}
	attempts, err := s.Store.MiniBatchAttempts(run.ID, number)
	if err != nil {
		return fmt.Errorf("list the attempts at mini-batch %d of run %s: %w", number, run.ID, err)
	}
	answer(w, http.StatusOK, miniBatchAttemptList{Attempts: orEmpty(attempts)})
	return nil
}
