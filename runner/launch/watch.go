package launch

import (
	"cmp"
	"fmt"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// How a process that owes an answer is looked at. Most answer before the first
// look, and pay for none.
const (
	lookFirst, lookMost = 300 * time.Millisecond, 5 * time.Second // the pause doubles
	lookAgain           = 100 * time.Millisecond                  // where it seems to wait for input
	// looksEnough is how many looks in a row find a process that waits for input
	// while it owes an answer, until that is a fact.
	looksEnough = 3 // see waitsForInput
	// settleMost is about how long a process that does not provably wait for
	// input has for a second line to its first record.
	settleMost = 128 * time.Millisecond
)

// hintFlush is what helps a program whose answers stay in its buffer.
const hintFlush = "have it flush its stdout after each line: python3 -u, print(..., flush=True), jq --unbuffered, sed -u, stdbuf -oL; " +
	`one that answers when its input has ended needs predict.program.per = "mini_batch"`

// hintTime is what helps one that is only slow.
const hintTime = "where it is only slow, raise predict.request_timeout"

// errand is what a process is waited for: the answer to some lines.
type errand struct {
	lines int  // 0: whatever it writes until it ends
	first bool // the process was not asked before
	begun time.Time

	sent     atomic.Bool  // all lines are in its pipe
	answered atomic.Int64 // whole lines; like written, it changes in talk's lock
	written  atomic.Int64 // bytes

	over *ProgramError // why it is not waited for any longer; in talk's lock

	// Of the looks, which are one goroutine's.
	pause time.Duration
	read  time.Time // when it was first seen to have read everything
	sure  int       // looks in a row at which it waited for input
	state string    // what it was like then
}

// begin has a process watched until finish.
func (t *talk) begin(lines int, first bool) *errand {
	e := &errand{lines: lines, first: first, begun: time.Now(), pause: t.limits.firstLook()}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.current = e
	t.timer.Reset(e.pause)
	return e
}

// finish ends an errand. The error is why the process was given up on, if it
// was.
func (t *talk) finish(e *errand) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.current = nil
	t.timer.Stop()
	if e.over != nil {
		return e.over
	}
	return nil
}

func (t *talk) errand() *errand {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.current
}

// settle takes the outcome of a look; true where the process is given up on.
func (t *talk) settle(e *errand, next time.Duration, over *ProgramError) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current != e || e.lines > 0 && e.answered.Load() >= int64(e.lines) {
		return false // it has answered meanwhile
	}
	if e.over = over; over != nil {
		return true
	}
	t.timer.Reset(next)
	return false
}

// watch looks at a process that owes an answer, and kills one that will not give
// it.
func (p *Process) watch() {
	if e := p.talk.errand(); e != nil {
		next, over := p.look(e)
		if p.talk.settle(e, next, over) {
			p.signalGroup(killed)
		}
	}
}

// look judges a process that owes an answer.
func (p *Process) look(e *errand) (next time.Duration, over *ProgramError) {
	now := time.Now()
	if e.read.IsZero() && e.sent.Load() && (p.talk.drained() || p.talk.unheard()) {
		e.read = now // or never will be
	}
	since, limit := e.begun, p.talk.limits.request
	if e.first && e.lines > 0 {
		// Until it has read the record it starts; from then on it predicts.
		if since = e.read; e.read.IsZero() {
			since, limit = e.begun, p.talk.limits.start
		}
		if sign := p.LastOutput(); sign.After(since) {
			since = sign
		}
	}
	left := limit - now.Sub(since)
	if limit > 0 && left <= 0 {
		return 0, p.late(e, limit)
	}
	if p.staysWaiting(e) {
		return 0, p.waits(e)
	}
	if next = lookAgain; e.sure == 0 {
		e.pause = min(2*e.pause, lookMost)
		next = e.pause
	}
	if limit > 0 {
		next = min(next, left)
	}
	return next, nil
}

// staysWaiting tells that a process waits for input while it owes an answer, and
// can do nothing else. What it has written lies in its pipe or is counted, and
// what is counted made it run.
func (p *Process) staysWaiting(e *errand) bool {
	state := ""
	if e.lines > 0 && !e.read.IsZero() {
		state = p.waitsForInput()
	}
	switch {
	case state == "":
		e.sure = 0
	case state != e.state:
		e.sure = 1
	default:
		e.sure++
	}
	e.state = state
	return e.sure >= looksEnough && p.isAlone()
}

// waits is the error of a process that waits for input while it owes an answer:
// without a word it buffers its answers, or waits for the end of its input;
// with some it has left records out.
func (p *Process) waits(e *errand) *ProgramError {
	if e.first {
		did := "has answered nothing"
		if n := e.written.Load(); n > 0 {
			did = fmt.Sprintf("has written %d bytes without the end of a line", n)
		}
		return &ProgramError{status: http.StatusNotImplemented, hint: hintFlush,
			err: fmt.Errorf("program %s has read its first record, %s and waits for more input%s", p.cmd.Path, did, p.lastWords())}
	}
	return &ProgramError{status: http.StatusUnprocessableEntity, hint: "it must write one line for each line that it reads",
		err: fmt.Errorf("program %s has read all of %s, has answered %d and waits for more input%s",
			p.cmd.Path, api.Counted(int64(e.lines), "line"), e.answered.Load(), p.lastWords())}
}

// settles tells, after a process's first answer, that no more comes of it. One
// that greets on stdout would answer each record with the line before.
func (p *Process) settles() bool {
	for pause := time.Millisecond; pause < settleMost; pause *= 2 {
		switch {
		case !p.talk.silent():
			return false
		case p.waitsForInput() != "":
			return true
		}
		time.Sleep(pause)
	}
	return p.talk.silent()
}

// late is the error of a process that was waited for long enough.
func (p *Process) late(e *errand, limit time.Duration) *ProgramError {
	late := &ProgramError{status: http.StatusRequestTimeout, timeout: true, hint: hintTime}
	switch {
	case e.lines == 0:
		late.err = fmt.Errorf("program %s did not end within predict.request_timeout %s%s", p.cmd.Path, limit, p.lastWords())
	case e.first:
		late.hint = hintFlush + "; one that loads for longer shows that it lives by a line on stderr now and then, or needs a longer predict.request_timeout"
		late.err = fmt.Errorf("%s%s", p.owes(e, limit), p.lastWords())
	default:
		late.err = fmt.Errorf("program %s has answered %d of %s within predict.request_timeout %s%s",
			p.cmd.Path, e.answered.Load(), api.Counted(int64(e.lines), "line"), limit, p.lastWords())
	}
	return late
}

// owes says how a process stands that has not answered its first record.
func (p *Process) owes(e *errand, silence time.Duration) string {
	did := "has not read it yet"
	if !e.read.IsZero() {
		did = "has read it"
	}
	if p.talk.unheard() {
		did = "has closed its stdin"
	}
	if n := e.written.Load(); n > 0 {
		did += fmt.Sprintf(" and written %d bytes without the end of a line", n)
	}
	return fmt.Sprintf("program %s has not answered its first record: it %s, and showed no sign of life for %s", p.cmd.Path, did, silence.Round(time.Second))
}

// lastWords is the end of what a process wrote to stderr, for an error.
func (p *Process) lastWords() string {
	if tail := p.Stderr(); tail != "" {
		return "; its stderr ended with:\n" + tail
	}
	return ""
}

// Waiting says what the pool waits for while no process has answered yet, and
// what would help; empty where it waits for nothing.
func (p *Pool) Waiting() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	for process := range p.living {
		if e := process.talk.errand(); e != nil {
			since := e.begun
			if sign := process.LastOutput(); sign.After(since) {
				since = sign
			}
			text := fmt.Sprintf("program %s has not answered its first record for %s; does it flush its stdout after each line? batch-runner logs shows its stderr",
				filepath.Base(p.executable), time.Since(since).Round(time.Second))
			limit := p.program.StartTimeout
			if e.lines == 0 || e.sent.Load() && (process.talk.drained() || process.talk.unheard()) {
				limit = p.program.Timeout
			}
			if limit > 0 {
				text += fmt.Sprintf("; given up after %s without a sign of life", limit)
			}
			return text
		}
	}
	return ""
}

// limits are how long a process may take.
type limits struct {
	request time.Duration // for an answer
	start   time.Duration // from a sign of life to its reading of the first record
}

func (l limits) firstLook() time.Duration {
	return min(lookFirst, cmp.Or(l.request, lookFirst), cmp.Or(l.start, lookFirst))
}
