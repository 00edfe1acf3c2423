package server

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/predict/predicttest"
)

// step is one request of a story; ${done} and the like are ids.
type step struct {
	method, path string
	body         string
	headers      []string
	status       int
	want         string   // in the answer
	after        api.Code // of a problem
}

// Every route with every status it documents, in one story.
func TestEveryRouteAnswersAsDocumented(t *testing.T) {
	b, c := newBench(t), newConformance(t)
	b.model.Inject(predicttest.Fault{Record: "1041", Status: 400, Body: "petals expected", Purpose: predicttest.AnyPurpose})
	b.model.Inject(predicttest.Fault{Record: "2001", Hang: true})

	sweet, sour, slow := b.job("sweet", 1, 150), b.job("sour", 1001, 1150), b.job("slow", 2001, 2010)
	sweet.Schedule = &api.Schedule{Cron: "0 2 * * *", TimeZone: "Europe/Berlin"}
	slow.Schedule = sweet.Schedule
	sour.MaxFailed = "0"
	changed := sweet
	changed.Labels = map[string]string{"team": "plants"}
	put := func(job api.Job) string { return encoded(t, api.PutJob{Spec: job, Owner: "alice"}) }

	runs := map[string]string{}
	play := func(steps []step) {
		t.Helper()
		for _, s := range steps {
			for name, id := range runs {
				s.path, s.want = strings.ReplaceAll(s.path, "${"+name+"}", id), strings.ReplaceAll(s.want, "${"+name+"}", id)
			}
			w := b.ask(s.method, s.path, s.body, s.headers...)
			c.check(t, s.method, s.path, w)
			if w.Code != s.status || !strings.Contains(w.Body.String(), s.want) {
				t.Errorf("%s %s: %d, want %d with %q: %s", s.method, s.path, w.Code, s.status, s.want, w.Body)
			}
			var p problem
			if s.status >= 400 && (json.Unmarshal(w.Body.Bytes(), &p) != nil || p.Code != s.after || p.Status != s.status || p.Detail == "") {
				t.Errorf("%s %s: code %q, want %q: %s", s.method, s.path, p.Code, s.after, w.Body)
			}
		}
	}

	play([]step{
		{"GET", "/healthz", "", nil, 200, "", ""},
		{"GET", "/readyz", "", nil, 200, "", ""},
		{"GET", "/v1/info", "", nil, 200, `"api":"v1"`, ""},
		{"GET", "/v1/openapi.json", "", nil, 200, `"openapi": "3.1.0"`, ""},
		{"GET", "/v1/jobs", "", nil, 200, `{"jobs":[]}`, ""},
		{"GET", "/v1/status", "", nil, 200, `{"jobs":[]}`, ""},

		{"PUT", "/v1/jobs/sweet", put(sweet), []string{"If-None-Match", "*", "Idempotency-Key", "k"}, 201, `"generation":1`, ""},
		{"PUT", "/v1/jobs/sweet", put(sweet), []string{"If-None-Match", "*", "Idempotency-Key", "k"}, 200, `"generation":1`, ""},
		{"PUT", "/v1/jobs/sweet", put(sweet), []string{"If-None-Match", "*", "Idempotency-Key", "other"}, 409, "alice", api.CodeExists},
		{"PUT", "/v1/jobs/sweet", put(sweet), nil, 200, `"generation":1`, ""},
		{"PUT", "/v1/jobs/sweet", put(changed), []string{"If-Match", `"1"`}, 200, `"generation":2`, ""},
		{"PUT", "/v1/jobs/sweet", put(sweet), []string{"If-Match", `"1"`}, 412, "generation 2", api.CodePrecondition},
		{"PUT", "/v1/jobs/sweet", encoded(t, api.PutJob{Spec: sweet, Owner: "bob"}), nil, 409, "alice", api.CodeOwner},
		{"PUT", "/v1/jobs/nosuch", put(sweet), []string{"If-Match", "3"}, 400, "ETag", api.CodeMalformed},
		{"PUT", "/v1/jobs/sweet", put(sweet), []string{"If-None-Match", `"1"`}, 400, "send *", api.CodeMalformed},
		{"PUT", "/v1/jobs/sweet", put(sweet), []string{"If-None-Match", "*", "If-Match", `"1"`}, 400, "exclude", api.CodeMalformed},
		{"PUT", "/v1/jobs/sweet", put(sweet), []string{"Idempotency-Key", strings.Repeat("k", 300)}, 400, "longer", api.CodeMalformed},
		{"PUT", "/v1/jobs/sweet", `{"spec":`, nil, 400, "", api.CodeMalformed},
		{"PUT", "/v1/jobs/gone", put(b.job("gone", 1, 1)), []string{"If-Match", `"1"`}, 404, "gone", api.CodeNotFound},
		{"PUT", "/v1/jobs/x", `{"spec":{"name":"x","input":{"fils":1}}}`, nil, 422, `"pointer":"/input/fils"`, api.CodeInvalid},
		{"PUT", "/v1/jobs/x", `{"spec":{"nam":"x"}}`, nil, 422, `a job takes accept_incomplete, `, api.CodeInvalid},
		{"PUT", "/v1/jobs/x", `{"spek":{}}`, nil, 422, `"pointer":"/spek"`, api.CodeInvalid},
		{"PUT", "/v1/jobs/x", put(b.job("y", 1, 1)), nil, 422, `"pointer":"/name"`, api.CodeInvalid},
		{"PUT", "/v1/jobs/x", put(sweet), nil, 404, `\"x\"`, api.CodeNotFound},
		{"PUT", "/v1/jobs/sour", put(sour), nil, 201, "", ""},
		{"PUT", "/v1/jobs/slow", put(slow), nil, 201, "", ""},
		{"GET", "/v1/jobs", "", nil, 200, `"team":"plants"`, ""},
		{"GET", "/v1/jobs/sweet", "", nil, 200, `"generation":2`, ""},
		{"GET", "/v1/jobs/gone", "", nil, 404, "gone", api.CodeNotFound},

		{"POST", "/v1/jobs/gone/runs", "", nil, 404, "gone", api.CodeNotFound},
		{"POST", "/v1/jobs/sweet/runs", "{", nil, 400, "", api.CodeMalformed},
		{"POST", "/v1/jobs/sweet/runs", `{"when":"2026-11-21T02:00:00Z"}`, nil, 422, `"pointer":"/when"`, api.CodeInvalid},
		{"POST", "/v1/jobs/sweet/runs", `{"occurrence":"2026-11-21T02:00:00.5Z"}`, nil, 422, `"pointer":"/occurrence"`, api.CodeInvalid},
		{"POST", "/v1/jobs/sweet/runs", `{"occurrence":"2026-11-21T02:00:00Z"}`, []string{"Idempotency-Key", "r"}, 201, `"state":"queued"`, ""},
		{"POST", "/v1/jobs/sweet/runs", `{"occurrence":"2026-11-21T02:00:00Z"}`, []string{"Idempotency-Key", "r"}, 200, `"sequence":1`, ""},
	})
	var sweetRuns runList
	b.get("/v1/jobs/sweet/runs", &sweetRuns)
	runs["done"], runs["withheld"], runs["active"] = sweetRuns.Runs[0].ID, b.trigger("sour"), b.trigger("slow")
	b.until(runs["done"], ended)
	b.until(runs["withheld"], ended)
	b.until(runs["active"], func(r api.Run) bool { return r.State == api.RunRunning })

	play([]step{
		{"POST", "/v1/jobs/slow/runs", `{"if_idle":true}`, nil, 409, runs["active"], api.CodeConflict},
		{"GET", "/v1/jobs/sweet/runs?limit=1", "", nil, 200, `"state":"succeeded"`, ""},
		{"GET", "/v1/jobs/sweet/runs?limit=none", "", nil, 422, "1–1000", api.CodeInvalid},
		{"GET", "/v1/jobs/sweet/runs?limt=1", "", nil, 422, "limit, after", api.CodeInvalid},
		{"GET", "/v1/jobs/gone/runs", "", nil, 404, "gone", api.CodeNotFound},
		{"GET", "/v1/runs?state=succeeded,failed&origin=manual&since=2020-01-01T00:00:00Z", "", nil, 200, `"id":"` + runs["done"], ""},
		{"GET", "/v1/runs?job=sweet&until=2020-01-01T00:00:00Z", "", nil, 200, `{"runs":[]}`, ""},
		{"GET", "/v1/runs?job=gone", "", nil, 404, "gone", api.CodeNotFound},
		{"GET", "/v1/runs?state=sad", "", nil, 422, "skipped", api.CodeInvalid},
		{"GET", "/v1/runs?since=yesterday", "", nil, 422, "2026-11-21T02:00:00Z", api.CodeInvalid},
		{"GET", "/v1/runs?after=nosuch", "", nil, 422, "anew", api.CodeInvalid},
		{"GET", "/v1/jobs/sweet/history", "", nil, 200, `"path":"labels.team","to":"plants"`, ""},
		{"GET", "/v1/jobs/sweet/history?after=0", "", nil, 422, "after", api.CodeInvalid},
		{"GET", "/v1/jobs/gone/history", "", nil, 404, "gone", api.CodeNotFound},
		{"GET", "/v1/jobs/sweet/ledger", "", nil, 200, `{"owed":[]}`, ""},
		{"GET", "/v1/jobs/sweet/ledger?limit=0", "", nil, 422, "limit", api.CodeInvalid},
		{"GET", "/v1/jobs/gone/ledger", "", nil, 404, "gone", api.CodeNotFound},
		{"GET", "/v1/cost?month=2026-11&job=sweet", "", nil, 200, `{"costs":[]}`, ""},
		{"GET", "/v1/cost?month=november", "", nil, 422, "2026-11", api.CodeInvalid},
		{"GET", "/v1/cost?job=gone", "", nil, 404, "gone", api.CodeNotFound},
		{"GET", "/v1/backup", "", nil, 200, "SQLite format 3", ""},
		{"GET", "/v1/jobs/sweet/decisions", "", nil, 200, `{"decisions":[`, ""},
		{"GET", "/v1/jobs/sweet/decisions?limit=0", "", nil, 422, "limit", api.CodeInvalid},
		{"GET", "/v1/jobs/gone/decisions", "", nil, 404, "gone", api.CodeNotFound},
		{"GET", "/v1/status", "", nil, 200, `"healthy":false`, ""},
		{"GET", "/v1/jobs/sweet/status", "", nil, 200, `"healthy":true`, ""},
		{"GET", "/v1/jobs/gone/status", "", nil, 404, "gone", api.CodeNotFound},

		{"GET", "/v1/runs/${done}", "", nil, 200, `"committed":150`, ""},
		{"GET", "/v1/runs/nosuch", "", nil, 404, "nosuch", api.CodeNotFound},
		{"GET", "/v1/runs/${withheld}/mini-batches?after=2&limit=1", "", nil, 200, `{"mini_batches":[{"number":3,"state":"staged"`, ""},
		{"GET", "/v1/runs/${withheld}/mini-batches?limit=2", "", nil, 200, `"next":"2"`, ""},
		{"GET", "/v1/runs/${withheld}/mini-batches/3/attempts", "", nil, 200, `"outcome":"staged"`, ""},
		{"GET", "/v1/runs/${withheld}/mini-batches/9/attempts", "", nil, 404, "8 mini-batches", api.CodeNotFound},
		{"GET", "/v1/runs/${withheld}/mini-batches/three/attempts", "", nil, 404, "three", api.CodeNotFound},
		{"GET", "/v1/runs/nosuch/mini-batches/1/attempts", "", nil, 404, "nosuch", api.CodeNotFound},
		{"GET", "/v1/runs/${withheld}/attempts", "", nil, 200, `"attempts":[{"number":1,"generation":1`, ""},
		{"GET", "/v1/runs/nosuch/attempts", "", nil, 404, "nosuch", api.CodeNotFound},
		{"GET", "/v1/runs/${withheld}/mini-batches?after=-1", "", nil, 422, "after", api.CodeInvalid},
		{"GET", "/v1/runs/nosuch/mini-batches", "", nil, 404, "nosuch", api.CodeNotFound},
		{"GET", "/v1/runs/${done}/dead-letters", "", nil, 200, `{"dead_letters":[]}`, ""},
		{"GET", "/v1/runs/${done}/dead-letters?after=7", "", nil, 422, "after", api.CodeInvalid},
		{"GET", "/v1/runs/${done}/events", "", nil, 200, `{"events":[{"at":`, ""},
		{"GET", "/v1/runs/${done}/events?limit=1", "", nil, 200, `"next":"0"`, ""},
		{"GET", "/v1/runs/${done}/events?limit=0", "", nil, 422, "limit", api.CodeInvalid},
		{"GET", "/v1/runs/${done}/events", "", []string{"Accept", "text/event-stream"}, 200, "event: end", ""},
		{"GET", "/v1/runs/${done}/events", "", []string{"Accept", "text/event-stream", "Last-Event-ID", "mine"}, 400, "mine", api.CodeMalformed},
		{"GET", "/v1/runs/nosuch/events", "", nil, 404, "nosuch", api.CodeNotFound},
		{"GET", "/v1/runs/nosuch/dead-letters", "", nil, 404, "nosuch", api.CodeNotFound},
		{"GET", "/v1/runs/${withheld}/dead-letters?limit=1", "", nil, 200, `"key":{"id":"1041"}`, ""},
		{"GET", "/v1/runs/${withheld}/why", "", nil, 200, "petals expected", ""},
		{"GET", "/v1/runs/${active}/why", "", nil, 200, "batch-runner cancel " + runs["active"], ""},
		{"GET", "/v1/runs/nosuch/why", "", nil, 404, "nosuch", api.CodeNotFound},
		{"GET", "/v1/runs/${done}/logs", "", nil, 200, "", ""},
		{"GET", "/v1/runs/nosuch/logs", "", nil, 404, "nosuch", api.CodeNotFound},
		{"GET", "/v1/doctor", "", nil, 200, `"name":"store","ok":true`, ""},
		{"GET", "/v1/doctor?job=sweet", "", nil, 200, `"name":"input","ok":true`, ""},
		{"GET", "/v1/doctor?job=gone", "", nil, 404, "gone", api.CodeNotFound},
		{"GET", "/v1/doctor?jobs=sweet", "", nil, 422, "it takes job", api.CodeInvalid},
		{"POST", "/v1/doctor?job=sweet", "", nil, 200, `"name":"output","ok":true`, ""},
		{"POST", "/v1/doctor?job=gone", "", nil, 404, "gone", api.CodeNotFound},
		{"POST", "/v1/doctor?jobs=sweet", "", nil, 422, "it takes job", api.CodeInvalid},

		{"POST", "/v1/runs/${done}/retry", "", nil, 409, "nothing to retry", api.CodeConflict},
		{"POST", "/v1/runs/nosuch/retry", "", nil, 404, "nosuch", api.CodeNotFound},
		{"POST", "/v1/runs/${withheld}/retry", "{", nil, 400, "", api.CodeMalformed},
		{"POST", "/v1/runs/${withheld}/retry", `{"dead_leters":true}`, nil, 422, `"pointer":"/dead_leters"`, api.CodeInvalid},
		{"POST", "/v1/runs/${done}/cancel", "", nil, 409, "ended", api.CodeConflict},
		{"POST", "/v1/runs/nosuch/cancel", "", nil, 404, "nosuch", api.CodeNotFound},
		{"POST", "/v1/runs/${done}/accept", `{"reason":"r"}`, nil, 409, "nothing to accept", api.CodeConflict},
		{"POST", "/v1/runs/nosuch/accept", `{"reason":"r"}`, nil, 404, "nosuch", api.CodeNotFound},
		{"POST", "/v1/runs/${withheld}/accept", `{"reason":""}`, nil, 422, `"pointer":"/reason"`, api.CodeInvalid},
		{"POST", "/v1/runs/${withheld}/accept", `{"because":"r"}`, nil, 422, `"pointer":"/because"`, api.CodeInvalid},
		{"POST", "/v1/runs/${withheld}/accept", ``, nil, 400, "empty", api.CodeMalformed},
	})
	play(calendarSteps(put, sour))
	var backfills backfillList
	b.get("/v1/jobs/slow/backfills", &backfills)
	runs["backfill"] = backfills.Backfills[0].ID
	var slowRuns runList
	b.get("/v1/jobs/slow/runs", &slowRuns)
	runs["filling"] = slowRuns.Runs[len(slowRuns.Runs)-1].ID // of the oldest occurrence
	play([]step{
		{"POST", "/v1/jobs/slow/backfills/${backfill}/cancel", "", nil, 200, `"waiting":2`, ""},
		{"POST", "/v1/jobs/slow/backfills/${backfill}/cancel", "", nil, 200, `"waiting":2`, ""}, // as it is
		{"POST", "/v1/jobs/slow/backfills/nosuch/cancel", "", nil, 404, "nosuch", api.CodeNotFound},
		{"GET", "/v1/runs/${filling}", "", nil, 200, `"backfill":"${backfill}"`, ""},
		{"POST", "/v1/runs/${filling}/cancel", "", nil, 200, `"state":"cancelled"`, ""},

		{"POST", "/v1/runs/${active}/cancel", "", []string{"Batch-Actor", "cli:alice"}, 200, `"state":"cancelled"`, ""},
		{"GET", "/v1/runs/${active}/why", "", nil, 200, "cancelled by cli:alice", ""},
		{"POST", "/v1/runs/${withheld}/retry", "", nil, 200, `"state":"queued"`, ""},
	})
	if run := b.until(runs["withheld"], ended); run.Attempt != 2 || !run.Withheld {
		t.Errorf("the retried run is %+v", run)
	}
	play([]step{{"POST", "/v1/runs/${withheld}/accept", `{"reason":"good enough"}`, nil, 200, `"state":"committing"`, ""}})
	b.until(runs["withheld"], ended)

	play([]step{
		{"GET", "/metrics", "", nil, 200, "batch_trigger_job_healthy_bool", ""},
		{"DELETE", "/v1/jobs/sweet", "", []string{"If-Match", "nonsense", "Batch-Owner", "alice"}, 400, "ETag", api.CodeMalformed},
		{"DELETE", "/v1/jobs/sweet", "", []string{"If-Match", `"1"`, "Batch-Owner", "alice"}, 412, "generation 2", api.CodePrecondition},
		{"DELETE", "/v1/jobs/sweet", "", []string{"Batch-Owner", "bob"}, 409, "alice", api.CodeOwner},
		{"DELETE", "/v1/jobs/sweet?purge=maybe", "", []string{"Batch-Owner", "alice"}, 422, "purge", api.CodeInvalid},
		{"DELETE", "/v1/jobs/sweet", "", []string{"If-Match", `"2"`, "Batch-Owner", "alice"}, 204, "", ""},
		{"DELETE", "/v1/jobs/sweet", "", []string{"Batch-Owner", "alice"}, 404, "sweet", api.CodeNotFound},
		{"DELETE", "/v1/jobs/slow?purge=true", "", []string{"Batch-Owner", "alice"}, 204, "", ""},
		{"GET", "/v1/runs/${active}", "", nil, 404, "", api.CodeNotFound},
		{"PUT", "/v1/jobs/sweet", put(sweet), []string{"If-None-Match", "*"}, 201, `"resumed":true`, ""},
	})
	b.server.SetReady(false)
	play([]step{{"GET", "/readyz", "", nil, 503, "starting or draining", api.CodeUnavailable}})

	if missing := c.missing(); len(missing) > 0 {
		t.Errorf("documented, but not shown here: %s", strings.Join(missing, ", "))
	}
}

func TestAWriteAndAReadOfAJobTellItsGeneration(t *testing.T) {
	b := newBench(t)
	job := b.job("iris", 1, 1)
	written := b.ask("PUT", "/v1/jobs/iris", encoded(t, api.PutJob{Spec: job}))
	read := b.ask("GET", "/v1/jobs/iris", "")
	if written.Header().Get("ETag") != `"1"` || read.Header().Get("ETag") != `"1"` {
		t.Errorf("ETag %q written, %q read", written.Header().Get("ETag"), read.Header().Get("ETag"))
	}
}

func TestABodyIsRefusedAboveOneMiB(t *testing.T) {
	b, c := newBench(t), newConformance(t)
	w := b.ask("PUT", "/v1/jobs/iris", `{"owner":"`+strings.Repeat("x", maxBody)+`"}`)
	c.check(t, "PUT", "/v1/jobs/iris", w)
	if w.Code != http.StatusRequestEntityTooLarge || !strings.Contains(w.Body.String(), "1 MiB") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestWhatNoRouteKnowsIsNoProblemDocument(t *testing.T) {
	b := newBench(t)
	for _, path := range []string{"/v1/nosuch", "/v2/info", "/"} {
		w := b.ask("GET", path, "")
		if w.Code != http.StatusNotFound || strings.Contains(w.Header().Get("Content-Type"), "json") {
			t.Errorf("%s: %d %s; a client must be able to tell it from a job that is not there", path, w.Code, w.Header().Get("Content-Type"))
		}
	}
}

func TestAFailureOfOursIsAProblemToo(t *testing.T) {
	b, c := newBench(t), newConformance(t)
	must(t, b.store.Close())
	for _, path := range []string{"/v1/jobs", "/v1/status", "/v1/jobs/iris", "/v1/runs/r1", "/v1/runs/r1/why"} {
		w := b.ask("GET", path, "")
		c.check(t, "GET", path, w)
		if w.Code != http.StatusInternalServerError {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

func TestAPortAsksForTheToken(t *testing.T) {
	b, c := newBench(t, func(o *Options) { o.Listen, o.Token = "127.0.0.1:0", "s3cret" }), newConformance(t)
	for _, r := range b.server.routes() {
		path := strings.NewReplacer("{name}", "iris", "{id}", "r1", "{number}", "1").Replace(r.path)
		for _, given := range []string{"", "s3cret", "Bearer s3cre", "Bearer s3cret2", "Basic s3cret"} {
			w := b.ask(r.method, path, "", "Authorization", given)
			if r.open {
				continue
			}
			c.check(t, r.method, path, w)
			if w.Code != http.StatusUnauthorized || w.Header().Get("WWW-Authenticate") == "" {
				t.Errorf("%s %s with %q: %d", r.method, path, given, w.Code)
			}
		}
		if w := b.ask(r.method, path, "", "Authorization", "Bearer s3cret"); w.Code == http.StatusUnauthorized {
			t.Errorf("%s %s refuses the token", r.method, path)
		}
	}
	if w := b.ask("GET", "/healthz", ""); w.Code != http.StatusOK {
		t.Errorf("/healthz wants a token: %d", w.Code)
	}
}
