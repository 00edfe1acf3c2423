package provider

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// routesOfRuns is what a runner says of its runs, and what it does to them.
func (f *fakeRunner) routesOfRuns(mux *http.ServeMux) {
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) {
		all := []api.JobStatus{}
		for _, status := range f.status {
			all = append(all, status)
		}
		answer(w, 200, map[string]any{"jobs": all})
	})
	mux.HandleFunc("GET /v1/jobs/{name}/ledger", func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, map[string]any{"owed": f.ledger}) })
	mux.HandleFunc("GET /v1/runs", func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		has := func(name, value string) bool {
			return query.Get(name) == "" || slices.Contains(strings.Split(query.Get(name), ","), value)
		}
		since, _ := time.Parse(time.RFC3339Nano, query.Get("since"))
		until, untilErr := time.Parse(time.RFC3339Nano, query.Get("until"))
		list := []api.Run{}
		for _, run := range f.runs {
			if has("job", run.Job) && has("state", string(run.State)) && has("origin", string(run.Origin)) && !run.Occurrence.Before(since) &&
				(untilErr != nil || !run.Occurrence.After(until)) {
				list = append(list, run)
			}
		}
		answer(w, 200, map[string]any{"runs": list})
	})
	one := func(w http.ResponseWriter, r *http.Request) (api.Run, bool) {
		if f.runs == nil {
			return f.run, true
		}
		i := slices.IndexFunc(f.runs, func(run api.Run) bool { return run.ID == r.PathValue("id") })
		if i < 0 {
			refuse(w, 404, api.Error{Code: api.CodeNotFound, Message: "no run " + r.PathValue("id")})
			return api.Run{}, false
		}
		return f.runs[i], true
	}
	mux.HandleFunc("GET /v1/runs/{id}", func(w http.ResponseWriter, r *http.Request) {
		if run, ok := one(w, r); ok {
			answer(w, 200, run)
		}
	})
	mux.HandleFunc("GET /v1/runs/{id}/attempts", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 200, map[string]any{"attempts": f.attempts})
	})
	mux.HandleFunc("GET /v1/runs/{id}/dead-letters", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 200, map[string]any{"dead_letters": f.letters})
	})
	mux.HandleFunc("GET /v1/runs/{id}/why", func(w http.ResponseWriter, r *http.Request) {
		if run, ok := one(w, r); ok {
			answer(w, 200, api.Why{Run: run, Errors: f.errors, Notes: []string{"mind the gap"}})
		}
	})
	f.routesOfActions(mux, one)
}

// routesOfActions tells of what becomes of runs: each goes on for two messages
// and ends as f.ends says, or as it is.
func (f *fakeRunner) routesOfActions(mux *http.ServeMux, one func(http.ResponseWriter, *http.Request) (api.Run, bool)) {
	mux.HandleFunc("GET /v1/runs/{id}/events", func(w http.ResponseWriter, r *http.Request) {
		run, ok := one(w, r)
		if !ok {
			return
		}
		send := func(event string, body any) {
			text, _ := json.Marshal(body)
			_, _ = fmt.Fprintf(w, "event: %s\ndata: %s\n\n", event, text)
		}
		going := run
		going.State = api.RunRunning
		send("event", api.Event{ID: 1, At: theDay, Kind: "launch", Detail: "prediction server started"})
		send("progress", going)
		if f.endless {
			return // and the stream breaks
		}
		send("end", run)
	})
	for _, verb := range []string{"retry", "cancel", "accept"} {
		mux.HandleFunc("POST /v1/runs/{id}/"+verb, func(w http.ResponseWriter, r *http.Request) {
			run, ok := one(w, r)
			if !ok {
				return
			}
			var body any
			_ = json.NewDecoder(r.Body).Decode(&body)
			f.writes = append(f.writes, fmt.Sprintf("%s %s %v", strings.ToUpper(verb), r.PathValue("id"), body))
			if f.conflict != "" {
				refuse(w, 409, api.Error{Code: api.CodeConflict, Message: f.conflict})
				return
			}
			if verb == "cancel" {
				run.State = api.RunCancelled
			} else {
				run.State = api.RunQueued
			}
			answer(w, 200, run)
		})
	}
	mux.HandleFunc("POST /v1/jobs/{name}/reruns", func(w http.ResponseWriter, r *http.Request) {
		var body api.Rerun
		_ = json.NewDecoder(r.Body).Decode(&body)
		f.writes = append(f.writes, fmt.Sprintf("RERUN %s %s", r.PathValue("name"), body.Occurrence))
		answer(w, 201, f.runs[0])
	})
	mux.HandleFunc("POST /v1/jobs/{name}/backfills", func(w http.ResponseWriter, r *http.Request) {
		var body api.AskBackfill
		_ = json.NewDecoder(r.Body).Decode(&body)
		f.writes = append(f.writes, fmt.Sprintf("BACKFILL %s %s %s %s", r.PathValue("name"), body.From, body.To, body.Only))
		answer(w, 201, f.backfill)
	})
	mux.HandleFunc("GET /v1/jobs/{name}/backfills", func(w http.ResponseWriter, _ *http.Request) {
		ended := f.backfill
		ended.EndedAt, ended.Waiting, ended.Active = theDay, 0, 0
		ended.Succeeded = ended.Total - ended.Failed
		answer(w, 200, map[string]any{"backfills": []api.Backfill{ended}})
	})
}
