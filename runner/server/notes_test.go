package server

import (
	"slices"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

func TestNotesSayWhatStateAndCauseLeaveOut(t *testing.T) {
	at := time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)
	run := api.Run{ID: "r3", Job: "iris", Attempt: 3}
	for name, c := range map[string]struct{ got, want []string }{
		"attempts": {
			aboutAttempts(run, []api.RunAttempt{
				{Number: 1, EndedAt: at, Outcome: "queued", Reason: api.Reason(api.ClassTransient), Message: "502 Bad Gateway"},
				{Number: 2, EndedAt: at, Outcome: "failed", Reason: api.ReasonModelChanged, Message: "version 7 became 8"},
				{Number: 3, EndedAt: at, Outcome: "succeeded"},
			}),
			[]string{"run attempt 1 was superseded by the next (transient): 502 Bad Gateway", "run attempt 2 ended failed (model_changed): version 7 became 8"},
		},
		"servers": {
			aboutServers(api.Why{Events: []api.Event{
				{Kind: "server_lost", At: at, Detail: "code 1"}, {Kind: "breaker", At: at, Detail: "the control failed"},
				{Kind: "server_lost", At: at, Detail: "code 9"}, {Kind: "ready"},
			}}),
			[]string{"2 prediction servers were lost, the last one at 2026-11-21T02:00:00Z: code 9", "the circuit breaker opened at 2026-11-21T02:00:00Z: the control failed"},
		},
		"isolation": {
			aboutIsolation(api.Run{Isolation: api.Isolation{Probes: 8, Controls: 2, Confirmations: 1, Launches: 3}}),
			[]string{"to find the records that fail, 8 probes, 2 controls and 1 confirmation were sent, and 3 servers started"},
		},
		"no isolation": {aboutIsolation(run), nil},
		"dead letters": {
			aboutDeadLetters([]store.DeadKind{
				{Class: api.ClassData, Records: 9},
				{Class: api.ClassBadRecord, Records: 2},
				{Class: api.ClassNotIsolated, Group: "g1", Records: 4, File: "/in/a.csv", FirstLine: 7, LastLine: 10},
				{Class: api.ClassCarriedOut, Records: 5},
			}),
			[]string{
				"2 records can't be read as the job says; they are never sent, and have to be corrected in the input",
				"at least one of 4 records ends or hangs the server, and they could not be told apart: group g1 (/in/a.csv:7–10)",
				"5 records were sent by as many runs as retry.max_carries allows, in vain, and are dead letters now",
			},
		},
		"carried": {
			aboutCarried(run, []store.Carried{{Records: 20, Slices: 1}, {Records: 40, Slices: 2, TakenBy: "r4"}, {Records: 5, Slices: 1, SettledBy: "r5"}}),
			[]string{
				"20 records in 1 mini-batch carried on: they wait for the next run of iris, which takes them first",
				"40 records in 2 mini-batches carried on: they are in the plan of run r4",
				"5 records in 1 mini-batch carried on: they were finished by run r5",
			},
		},
	} {
		if !slices.Equal(c.got, c.want) {
			t.Errorf("%s:\n%q\nwant\n%q", name, c.got, c.want)
		}
	}
}
