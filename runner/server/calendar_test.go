package server

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// calendarSteps are what is asked of the calendar of the jobs sweet, which is
// due each night, sour, which is not, and slow, whose runs hang.
func calendarSteps(put func(api.Job) string, sour api.Job) []step {
	renamed, taken := sour, sour
	renamed.Name, taken.Name = "bitter", "sweet"
	rerun := func(occurrence string) string { return `{"occurrence":"` + occurrence + `"}` }
	backfill := func(from, to string) string { return `{"from":"` + from + `","to":"` + to + `"}` }
	return []step{
		{"POST", "/v1/jobs/sweet/hold", `{"reason":"looking"}`, []string{"Batch-Actor", "cli:alice"}, 200, `"held":{"by":"cli:alice","reason":"looking"`, ""},
		{"POST", "/v1/jobs/sweet/hold", `{"reason":"still looking"}`, []string{"Batch-Actor", "cli:bob"}, 200, `"held":{"by":"cli:bob","reason":"still looking"`, ""},
		{"GET", "/v1/jobs/sweet", "", nil, 200, `"held":{"by":"cli:bob"`, ""},
		{"POST", "/v1/jobs/sweet/hold", `{"reason":""}`, nil, 422, `"pointer":"/reason"`, api.CodeInvalid},
		{"POST", "/v1/jobs/sweet/hold", "", nil, 400, "empty", api.CodeMalformed},
		{"POST", "/v1/jobs/gone/hold", `{"reason":"r"}`, nil, 404, "gone", api.CodeNotFound},
		{"POST", "/v1/jobs/sweet/release", "", nil, 200, `"job":"sweet"`, ""},
		{"POST", "/v1/jobs/sweet/release", "", nil, 409, "not held", api.CodeConflict},
		{"POST", "/v1/jobs/gone/release", "", nil, 404, "gone", api.CodeNotFound},

		{"POST", "/v1/jobs/sweet/cursor", `{"to":"now"}`, nil, 200, `"cursor":"`, ""},
		{"POST", "/v1/jobs/sweet/cursor", `{"to":"tomorrow"}`, nil, 422, `"pointer":"/to"`, api.CodeInvalid},
		{"POST", "/v1/jobs/sweet/cursor", "", nil, 400, "empty", api.CodeMalformed},
		{"POST", "/v1/jobs/gone/cursor", `{"to":"now"}`, nil, 404, "gone", api.CodeNotFound},

		{"POST", "/v1/jobs/sweet/reruns", rerun("2020-06-01"), []string{"Idempotency-Key", "again"}, 201, `"occurrence":"2020-06-01T00:00:00Z"`, ""},
		{"POST", "/v1/jobs/sweet/reruns", rerun("2020-06-01"), []string{"Idempotency-Key", "again"}, 200, `"occurrence":"2020-06-01T00:00:00Z"`, ""},
		{"POST", "/v1/jobs/sweet/reruns", rerun("2020-06-01T03:00"), nil, 422, `"pointer":"/occurrence"`, api.CodeInvalid},
		{"POST", "/v1/jobs/sweet/reruns", rerun("someday"), nil, 422, `"pointer":"/occurrence"`, api.CodeInvalid},
		{"POST", "/v1/jobs/slow/reruns", `{"occurrence":"2020-06-01","if_idle":true}`, nil, 409, "slow", api.CodeConflict},
		{"POST", "/v1/jobs/sweet/reruns", "", nil, 400, "empty", api.CodeMalformed},
		{"POST", "/v1/jobs/gone/reruns", rerun("2020-06-01"), nil, 404, "gone", api.CodeNotFound},

		{"POST", "/v1/jobs/slow/backfills", `{"from":"2020-01-01","to":"2020-01-03","dry_run":true}`, nil, 200, `"total":3`, ""},
		{"POST", "/v1/jobs/slow/backfills", backfill("once", "2020-01-03"), nil, 422, `"pointer":"/from"`, api.CodeInvalid},
		{"POST", "/v1/jobs/slow/backfills", backfill("2020-01-01", "later"), nil, 422, `"pointer":"/to"`, api.CodeInvalid},
		{"GET", "/v1/jobs/slow/backfills", "", nil, 200, `{"backfills":[]}`, ""},
		{"POST", "/v1/jobs/slow/backfills", backfill("2020-01-01", "2020-01-03"), []string{"Idempotency-Key", "b"}, 201, `"total":3`, ""},
		{"POST", "/v1/jobs/slow/backfills", backfill("2020-01-01", "2020-01-03"), []string{"Idempotency-Key", "b"}, 200, `"total":3`, ""},
		{"POST", "/v1/jobs/slow/backfills", backfill("2020-01-01", "2020-01-03"), nil, 409, "backfill", api.CodeConflict},
		{"POST", "/v1/jobs/slow/backfills", "", nil, 400, "empty", api.CodeMalformed},
		{"POST", "/v1/jobs/gone/backfills", backfill("2020-01-01", "2020-01-03"), nil, 404, "gone", api.CodeNotFound},
		{"GET", "/v1/jobs/slow/status", "", nil, 200, `"backfill":{"id":"`, ""},
		{"GET", "/v1/jobs/slow/backfills?limit=1", "", nil, 200, `"job":"slow"`, ""},
		{"GET", "/v1/jobs/slow/backfills?limit=0", "", nil, 422, "limit", api.CodeInvalid},
		{"GET", "/v1/jobs/gone/backfills", "", nil, 404, "gone", api.CodeNotFound},

		{"PUT", "/v1/jobs/sour", put(taken), nil, 409, `"pointer":"/name"`, api.CodeExists},
		{"PUT", "/v1/jobs/sour", put(renamed), nil, 200, `"name":"bitter"`, ""},
		{"GET", "/v1/jobs/sour", "", nil, 404, "sour", api.CodeNotFound},
		{"GET", "/v1/jobs/bitter/runs", "", nil, 200, `"job":"bitter"`, ""},
		{"PUT", "/v1/jobs/bitter", put(sour), nil, 200, `"name":"sour"`, ""},
	}
}

func TestWhileTheClockIsNotBelievedAWriteIsUnavailable(t *testing.T) {
	b, c := newBench(t), newConformance(t)
	must(t, b.store.Write(t.Context(), func(tx *store.Tx) error { return tx.SetLookedAt(time.Now().AddDate(-2, 0, 0)) }))
	var found checkList
	b.get("/v1/doctor", &found)
	clock := found.Checks[slices.IndexFunc(found.Checks, func(c api.Check) bool { return c.Name == "clock" })]
	if clock.OK || !strings.Contains(clock.Detail, "clock_jump") || !strings.Contains(clock.Detail, "set the host's clock") {
		t.Errorf("the doctor finds %+v", clock)
	}
	w := b.ask("PUT", "/v1/jobs/iris", encoded(t, api.PutJob{Spec: b.job("iris", 1, 20)}))
	c.check(t, "PUT", "/v1/jobs/iris", w)
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "clock_jump") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}
