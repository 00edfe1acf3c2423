package server

import (
	_ "embed"
	"net/http"
	"strconv"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

//go:embed openapi.json
var openAPI []byte

// route is one method and path of the API. What stands beside the handler is
// what the OpenAPI document says of it.
type route struct {
	method, path string
	summary      string
	handle       func(http.ResponseWriter, *http.Request) error
	open         bool // answered without a token

	query   []string // parameters
	headers []string
	body    any      // of the request
	answer  any      // of a success; nil: no JSON
	media   []string // that a success may have instead of JSON
	status  []int    // of every answer but those that any route may give: see documented
}

// The bodies of lists. Next is the parameter after of the page behind; absent
// from the last.
type (
	jobList struct {
		Jobs []api.StoredJob `json:"jobs"`
	}
	statusList struct {
		Jobs []api.JobStatus `json:"jobs"`
	}
	runList struct {
		Runs []api.Run `json:"runs"`
		Next string    `json:"next,omitzero"`
	}
	decisionList struct {
		Decisions []api.Decision `json:"decisions"`
	}
	backfillList struct {
		Backfills []api.Backfill `json:"backfills"`
	}
	generationList struct {
		Generations []api.Generation `json:"generations"`
		Next        string           `json:"next,omitzero"`
	}
	ledgerList struct {
		Owed []api.OwedSlice `json:"owed"`
		Next string          `json:"next,omitzero"`
	}
	costList struct {
		Costs []api.Cost `json:"costs"`
	}
	miniBatchList struct {
		MiniBatches []api.MiniBatch `json:"mini_batches"`
		Next        string          `json:"next,omitzero"`
	}
	deadLetterList struct {
		DeadLetters []api.DeadLetter `json:"dead_letters"`
		Next        string           `json:"next,omitzero"`
	}
	eventList struct {
		Events []api.Event `json:"events"`
		Next   string      `json:"next,omitzero"`
	}
	runAttemptList struct {
		Attempts []api.RunAttempt `json:"attempts"`
	}
	miniBatchAttemptList struct {
		Attempts []api.MiniBatchAttempt `json:"attempts"`
	}
	checkList struct {
		Checks []api.Check `json:"checks"`
	}
)

func (s *Server) routes() []route {
	const job, run = "/v1/jobs/{name}", "/v1/runs/{id}"
	return []route{
		{method: "GET", path: "/healthz", summary: "The process answers", handle: s.getHealth, open: true, status: []int{200}},
		{method: "GET", path: "/readyz", summary: "The runner takes work: 503 while it starts or drains", handle: s.getReady, open: true, status: []int{200, 503}},
		{method: "GET", path: "/metrics", summary: "Metrics in the Prometheus text format", handle: s.getMetrics, status: []int{200}},
		{method: "GET", path: "/v1/openapi.json", summary: "This document", handle: s.getOpenAPI, status: []int{200}},
		{method: "GET", path: "/v1/info", summary: "What runs here", handle: s.getInfo, answer: api.Info{}, status: []int{200}},
		{method: "GET", path: "/v1/doctor", summary: "Look at the runner's surroundings, and at those of one job", handle: s.getDoctor, query: []string{"job"}, answer: checkList{}, status: []int{200, 404, 422}},
		{method: "POST", path: "/v1/doctor", summary: "The same, and try what a run of the job would write; what is written is removed at once", handle: s.postDoctor, query: []string{"job"}, answer: checkList{}, status: []int{200, 404, 422}},

		{method: "GET", path: "/v1/jobs", summary: "All jobs, by name", handle: s.getJobs, answer: jobList{}, status: []int{200}},
		{method: "GET", path: job, summary: "One job as it was declared", handle: s.getJob, answer: api.StoredJob{}, status: []int{200, 404}},
		{method: "PUT", path: job, summary: "Declare a job: create it, change it where it says something else, or rename it by another name in its spec", handle: s.putJob,
			headers: []string{"If-Match", "If-None-Match", "Idempotency-Key", "Batch-Actor"}, body: api.PutJob{}, answer: api.StoredJob{}, status: []int{200, 201, 400, 404, 409, 412, 422}},
		{method: "DELETE", path: job, summary: "Bury a job: its schedule ends, its history stays; with purge that goes too", handle: s.deleteJob,
			query: []string{"purge"}, headers: []string{"If-Match", "Batch-Owner", "Batch-Actor"}, status: []int{204, 400, 404, 409, 412, 422}},
		{method: "GET", path: "/v1/status", summary: "How all jobs are, by name", handle: s.getStatuses, answer: statusList{}, status: []int{200}},
		{method: "GET", path: job + "/status", summary: "How a job is", handle: s.getStatus, answer: api.JobStatus{}, status: []int{200, 404}},
		{method: "GET", path: job + "/runs", summary: "A job's runs, newest occurrence first", handle: s.getRunsOfJob, query: runFilter, answer: runList{}, status: []int{200, 404, 422}},
		{method: "GET", path: job + "/decisions", summary: "What was decided about a job's due times, newest first", handle: s.getDecisions, query: []string{"limit"}, answer: decisionList{}, status: []int{200, 404, 422}},
		{method: "GET", path: job + "/history", summary: "How a job's specification came about, newest generation first", handle: s.getHistory, query: paged, answer: generationList{}, status: []int{200, 404, 422}},
		{method: "GET", path: job + "/ledger", summary: "What a job's runs owe its next one, oldest first", handle: s.getLedger, query: paged, answer: ledgerList{}, status: []int{200, 404, 422}},
		{method: "GET", path: "/v1/cost", summary: "What prediction servers came to in a month (the current one, unless named like 2026-11), by job", handle: s.getCosts, query: []string{"month", "job"}, answer: costList{}, status: []int{200, 404, 422}},
		{method: "GET", path: "/v1/backup", summary: "A copy of the runner's store as it is at one moment, for batch-runner restore", handle: s.getBackup, media: []string{"application/vnd.sqlite3"}, status: []int{200}},
		{method: "POST", path: job + "/runs", summary: "Queue a manual run; 200 where the key made one already", handle: s.postRun,
			headers: []string{"Idempotency-Key", "Batch-Actor"}, body: api.Trigger{}, answer: api.Run{}, status: []int{200, 201, 400, 404, 409, 422}},

		{method: "POST", path: job + "/hold", summary: "Skip what falls due, until the job is released; a second hold has its reason replaced", handle: s.postHold,
			headers: []string{"Batch-Actor"}, body: api.HoldJob{}, answer: api.JobStatus{}, status: []int{200, 400, 404, 422}},
		{method: "POST", path: job + "/release", summary: "End a hold", handle: s.postRelease, headers: []string{"Batch-Actor"}, answer: api.JobStatus{}, status: []int{200, 404, 409}},
		{method: "POST", path: job + "/cursor", summary: "Set the instant up to which the job's occurrences are decided", handle: s.postCursor,
			headers: []string{"Batch-Actor"}, body: api.SetCursor{}, answer: api.JobStatus{}, status: []int{200, 400, 404, 422}},
		{method: "POST", path: job + "/reruns", summary: "Queue an occurrence once more, over fresh input; 200 where the key made the run already", handle: s.postRerun,
			headers: []string{"Idempotency-Key", "Batch-Actor"}, body: api.Rerun{}, answer: api.Run{}, status: []int{200, 201, 400, 404, 409, 422}},
		{method: "GET", path: job + "/backfills", summary: "A job's backfills, newest first", handle: s.getBackfills, query: []string{"limit"}, answer: backfillList{}, status: []int{200, 404, 422}},
		{method: "POST", path: job + "/backfills", summary: "Queue runs for a range of past occurrences; 200 for a dry run, and where the key made the backfill already", handle: s.postBackfill,
			headers: []string{"Idempotency-Key", "Batch-Actor"}, body: api.AskBackfill{}, answer: api.Backfill{}, status: []int{200, 201, 400, 404, 409, 422}},
		{method: "POST", path: job + "/backfills/{id}/cancel", summary: "End a backfill: what has no run gets none, runs go on; an ended one stays as it is", handle: s.postCancelBackfill,
			headers: []string{"Batch-Actor"}, answer: api.Backfill{}, status: []int{200, 404}},

		{method: "GET", path: "/v1/runs", summary: "Runs of all jobs, last queued first, or of one, newest occurrence first; state and origin take several with commas, since and until are about the occurrence", handle: s.getRuns,
			query: append([]string{"job"}, runFilter...), answer: runList{}, status: []int{200, 404, 422}},
		{method: "GET", path: run, summary: "One run", handle: s.getRun, answer: api.Run{}, status: []int{200, 404}},
		{method: "GET", path: run + "/mini-batches", summary: "A run's mini-batches by number", handle: s.getMiniBatches, query: paged, answer: miniBatchList{}, status: []int{200, 404, 422}},
		{method: "GET", path: run + "/mini-batches/{number}/attempts", summary: "The attempts at a mini-batch that have ended", handle: s.getMiniBatchAttempts, answer: miniBatchAttemptList{}, status: []int{200, 404}},
		{method: "GET", path: run + "/attempts", summary: "A run's passes over its plan", handle: s.getRunAttempts, answer: runAttemptList{}, status: []int{200, 404}},
		{method: "GET", path: run + "/dead-letters", summary: "A run's dead letters, in input order", handle: s.getDeadLetters, query: paged, answer: deadLetterList{}, status: []int{200, 404, 422}},
		{method: "GET", path: run + "/events", summary: "A run's history, oldest first. As text/event-stream it goes on until the run has ended: messages event (an Event), progress and end (the Run)", handle: s.getEvents,
			query: paged, headers: []string{"Accept", "Last-Event-ID"}, answer: eventList{}, media: []string{"text/event-stream"}, status: []int{200, 400, 404, 422}},
		{method: "GET", path: run + "/why", summary: "How a run came to its state, and what to do", handle: s.getWhy, answer: api.Why{}, status: []int{200, 404}},
		{method: "GET", path: run + "/logs", summary: "What the run's prediction servers wrote, as text", handle: s.getLogs, status: []int{200, 404}},
		{method: "POST", path: run + "/retry", summary: "Go on with an unfinished run over the same plan; the body may be absent", handle: s.postRetry,
			headers: []string{"Batch-Actor"}, body: api.RetryRun{}, answer: api.Run{}, status: []int{200, 400, 404, 409, 422}},
		{method: "POST", path: run + "/cancel", summary: "End a run; nothing of it is published", handle: s.postCancel, headers: []string{"Batch-Actor"}, answer: api.Run{}, status: []int{200, 404, 409}},
		{method: "POST", path: run + "/accept", summary: "Publish what a withheld run has", handle: s.postAccept,
			headers: []string{"Batch-Actor"}, body: api.Accept{}, answer: api.Run{}, status: []int{200, 400, 404, 409, 422}},
	}
}

// handler is the whole API. A request that no route knows gets net/http's own
// answer, which is no problem document: clients tell by that an older runner
// from a thing that is not there.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	for _, r := range s.routes() {
		handle := func(w http.ResponseWriter, req *http.Request) {
			if err := r.handle(w, req); err != nil {
				s.writeProblem(w, req, err)
			}
		}
		if !r.open {
			handle = s.guarded(handle)
		}
		mux.HandleFunc(r.method+" "+r.path, s.counted(r, handle))
	}
	return mux
}

// counted observes how a route answers.
func (s *Server) counted(r route, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		began, watched := time.Now(), &watchedWriter{ResponseWriter: w, status: http.StatusOK}
		next(watched, req)
		if w.Header().Get("Content-Type") == "text/event-stream" {
			return // as long as its run, which says nothing about the API
		}
		s.metrics.requests.WithLabelValues(r.method+" "+r.path, strconv.Itoa(watched.status)).Observe(time.Since(began).Seconds())
	}
}

// watchedWriter remembers the status of an answer.
type watchedWriter struct {
	http.ResponseWriter
	status int
}

func (w *watchedWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController through.
func (w *watchedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
