package store

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// model is what a mini-batch should be, worked out without the store.
type model struct {
	state     api.MiniBatchState
	records   int64
	dead      int64
	gone      int64
	fence     int64
	notBefore time.Time
}

// counts is the accounting of all mini-batches, record by record.
func counts(all []model) (c api.Counts) {
	for _, m := range all {
		c.Planned += m.records
		switch m.state {
		case api.MiniBatchCommitted:
			c.DeadLettered += m.dead
			c.Committed += m.records - m.dead - m.gone
			c.Gone += m.gone
		case api.MiniBatchStaged:
			c.DeadLettered += m.dead
			c.Staged += m.records - m.dead
			c.Unfinished += m.records - m.dead
		case api.MiniBatchGivenUp:
			c.GivenUp += m.records
			c.Unfinished += m.records
		default:
			c.Unfinished += m.records
		}
	}
	return c
}

func TestTheAccountsBalanceAfterEveryTransition(t *testing.T) {
	s, c := open(t)
	job := newJob(t, s, "iris")
	occurrence := begin
	rapid.Check(t, func(t *rapid.T) {
		occurrence = occurrence.Add(time.Hour)
		sizes := rapid.SliceOfN(rapid.Int64Range(1, 20), 1, 6).Draw(t, "sizes")
		run := runningRun(t, s, job, occurrence, sizes...)
		planned := make([]model, len(sizes))
		for i, size := range sizes {
			planned[i] = model{state: api.MiniBatchPending, records: size}
		}
		var claims []MiniBatch // all there ever were, most of them late

		// asWorker ends a claim and expects a late one to be turned away.
		asWorker := func(t *rapid.T, end func(*Tx, MiniBatch) error, then func(*model, MiniBatch)) {
			if len(claims) == 0 {
				return
			}
			m := rapid.SampledFrom(claims).Draw(t, "claim")
			is := &planned[m.Number-1]
			if is.state != api.MiniBatchRunning || is.fence != m.Fence {
				doErr(t, s, ErrFenced, func(tx *Tx) error { return end(tx, m) })
				return
			}
			do(t, s, func(tx *Tx) error { return end(tx, m) })
			then(is, m)
		}
		each := func(f func(*model)) {
			for i := range planned {
				f(&planned[i])
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"claim": func(t *rapid.T) {
				for _, m := range claim(t, s, run, rapid.IntRange(1, 3).Draw(t, "limit")) {
					is := &planned[m.Number-1]
					if is.state != api.MiniBatchPending || m.Fence <= is.fence {
						t.Fatalf("claimed %+v, which is %+v", m, is)
					}
					is.state, is.fence = api.MiniBatchRunning, m.Fence
					claims = append(claims, m)
				}
			},
			"stage": func(t *rapid.T) {
				share := rapid.Int64Range(0, 4).Draw(t, "dead quarters")
				asWorker(t, func(tx *Tx, m MiniBatch) error { return tx.Stage(run, m, result(m, m.Records*share/4)) },
					func(is *model, m MiniBatch) { is.state, is.dead = api.MiniBatchStaged, m.Records*share/4 })
			},
			"release": func(t *rapid.T) {
				to := rapid.SampledFrom([]api.MiniBatchState{api.MiniBatchPending, api.MiniBatchRetryWait, api.MiniBatchGivenUp}).Draw(t, "to")
				until := c.now().Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "wait")) * time.Minute)
				uses := rapid.Bool().Draw(t, "uses attempt")
				asWorker(t, func(tx *Tx, m MiniBatch) error {
					return tx.Release(run, m, Release{To: to, Failure: Failure{Class: api.ClassTransient}, UsesAttempt: uses, NotBefore: until})
				},
					func(is *model, _ MiniBatch) { is.state, is.notBefore = to, until })
			},
			"wake": func(*rapid.T) {
				c.advance(time.Minute)
				do(t, s, func(tx *Tx) error { _, err := tx.WakeDue(run.ID); return err })
				each(func(m *model) {
					if m.state == api.MiniBatchRetryWait && !m.notBefore.After(c.now()) {
						m.state = api.MiniBatchPending
					}
				})
			},
			"release all": func(*rapid.T) {
				do(t, s, func(tx *Tx) error { return tx.ReleaseAll(run.ID) })
				each(func(m *model) {
					if m.state == api.MiniBatchRunning {
						m.state = api.MiniBatchPending
					}
				})
			},
			"resume": func(*rapid.T) {
				do(t, s, func(tx *Tx) error { return tx.Resume(run.ID) })
				each(func(m *model) {
					if m.state != api.MiniBatchStaged && m.state != api.MiniBatchCommitted {
						m.state = api.MiniBatchPending
					}
				})
			},
			"cancel": func(*rapid.T) {
				do(t, s, func(tx *Tx) error { return tx.CancelMiniBatches(run.ID) })
				each(func(m *model) {
					if m.state != api.MiniBatchCommitted {
						m.state, m.dead = api.MiniBatchCancelled, 0
					}
				})
			},
			"commit": func(t *rapid.T) {
				share := rapid.Int64Range(0, 4).Draw(t, "gone quarters")
				gone := map[int64]Gone{}
				for i, m := range planned {
					if n := (m.records - m.dead) * share / 4; m.state == api.MiniBatchStaged && n > 0 {
						gone[int64(i)+1], planned[i].gone = Gone{"deleted": n}, n
					}
				}
				do(t, s, func(tx *Tx) error { return tx.CommitStaged(run.ID, gone) })
				each(func(m *model) {
					if m.state == api.MiniBatchStaged {
						m.state = api.MiniBatchCommitted
					}
				})
			},
			"show": func(t *rapid.T) {
				for i, m := range planned {
					if m.state != api.MiniBatchStaged {
						continue
					}
					shown := MiniBatch{Number: int64(i) + 1, Fence: m.fence}
					n := rapid.Int64Range(0, m.records-m.dead).Draw(t, "gone")
					do(t, s, func(tx *Tx) error { return tx.CommitShown(run, shown, Gone{"taken": n}) })
					planned[i].state, planned[i].gone = api.MiniBatchCommitted, n
					return
				}
			},
			"": func(t *rapid.T) {
				got := must(s.Run(run.ID))(t)
				if want := counts(planned); got.Counts != want || !got.Counts.Balanced() {
					t.Fatalf("the store counts %+v\nwant %+v", got.Counts, want)
				}
				if inside := made(t, s, func(tx *Tx) (Run, error) { return tx.Count(run) }); inside.Counts != got.Counts || inside.MiniBatches != got.MiniBatches {
					t.Fatalf("the writer counts %+v, a reader %+v", inside, got)
				}
				if n := int64(len(deadLetters(t, s, run))); n != got.Counts.DeadLettered {
					t.Fatalf("%d dead letters are kept, %d counted", n, got.Counts.DeadLettered)
				}
				gone := int64(0)
				for _, n := range must(s.Gone(run.ID))(t) {
					gone += n
				}
				if gone != got.Counts.Gone {
					t.Fatalf("%d records are gone for a reason, %d counted", gone, got.Counts.Gone)
				}
				m := got.MiniBatches
				if sum := m.Pending + m.Running + m.RetryWait + m.Staged + m.Committed + m.GivenUp + m.Cancelled; sum != m.Total || m.Total != int64(len(planned)) {
					t.Fatalf("mini-batches %+v of %d", m, len(planned))
				}
				for i, stored := range must(s.MiniBatches(run.ID, 0, 100))(t) {
					if stored.State != planned[i].state {
						t.Fatalf("mini-batch %d is %s, want %s", stored.Number, stored.State, planned[i].state)
					}
				}
			},
		})
	})
}
