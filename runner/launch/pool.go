package launch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"sync"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

// The most that a program may answer with: to some lines, and to a whole
// mini-batch.
const (
	maxAnswer      = 64 << 20
	maxWholeAnswer = 1 << 30
)

// Program is a program that predicts: lines of JSON on its stdin, one on its
// stdout for each.
type Program struct {
	ID        string            // launch id, which all its processes carry
	Args      []string          // program and arguments, as they are
	Dir       string            // working directory, absolute; empty for the runner's own
	Env       map[string]string // beside what every launch inherits
	SecretEnv map[string]string // resolved secrets
	Log       io.Writer         // gets stderr
	// Once starts a process for each request, whose stdin ends with it.
	// Otherwise processes go on to the next one.
	Once bool
	// Timeout is how long an answer may take, and the first one of a process
	// that goes on from its reading of the record; 0 is for ever.
	Timeout time.Duration
	// StartTimeout is how long such a process may take to read its first record,
	// counted from its last sign of life: a byte on stderr; 0 is for ever.
	StartTimeout time.Duration
}

// Pool is the processes of a Program: as many as there were requests in flight
// at once, started as they are needed. It carries requests whose body is lines
// of JSON, and answers with such lines; how a process ends is a ProgramError.
// Its methods are safe for concurrent use.
type Pool struct {
	program    Program
	executable string
	env        []string

	mu       sync.Mutex
	forker   *forker // nil before the first process and after the last
	idle     []*Process
	living   map[*Process]bool
	greeting []byte // a line that was answered: each further process begins with it
	closed   bool

	spare sync.Pool // of buffers for answers, *[]byte, where processes end with them
}

// OpenPool resolves the executable and the environment. It starts nothing.
// Errors are *api.Failure (launch_failed).
func OpenPool(program Program) (*Pool, error) {
	switch {
	case program.ID == "":
		return nil, fail("", errors.New("launch: the launch id is empty"))
	case len(program.Args) == 0:
		return nil, fail("", errors.New("predict.program.command is empty"))
	}
	if err := checkDir(programSpec, program.Dir); err != nil {
		return nil, err
	}
	executable, err := find(programSpec, program.Args[0], program.Dir)
	if err != nil {
		return nil, err
	}
	env, err := environment(program.Env, program.SecretEnv, map[string]string{IDVariable: program.ID})
	if err != nil {
		return nil, err
	}
	return &Pool{program: program, executable: executable, env: env, living: map[*Process]bool{}}, nil
}

// RoundTrip asks a process. When the request's context ends before the answer,
// the process is killed with its group.
func (p *Pool) RoundTrip(r *http.Request) (*http.Response, error) {
	defer r.Body.Close() //nolint:errcheck // read only
	process, err := p.take()
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(r.Context(), func() { process.signalGroup(killed) })
	after, err := p.begin(r.Context(), process)
	if err == nil {
		after, err = p.ask(r.Context(), process, r.Body)
	}
	if !stop() {
		p.end(process)
		return nil, r.Context().Err()
	}
	if after == inStep && err == nil {
		return p.answer(r, process, func() { p.give(process) }), nil
	}
	p.end(process)
	if err != nil {
		return nil, err
	}
	return p.answer(r, process, func() {
		process.talk.trim()
		out := process.talk.out
		p.spare.Put(&out)
	}), nil
}

// step is how a process stands after an answer.
type step int

const (
	inStep    step = iota // it can be asked again
	outOfStep             // it wrote more lines than it was asked for: nobody knows which belong to which
	ending                // it has closed its stdout
)

// begin has a fresh process answer a record that another one has answered: how
// long it takes to start is not the first request's time.
func (p *Pool) begin(ctx context.Context, process *Process) (after step, err error) {
	p.mu.Lock()
	greeting := p.greeting
	p.mu.Unlock()
	if process.talk.asked || greeting == nil {
		return inStep, nil
	}
	after, err = p.ask(ctx, process, bytes.NewReader(greeting))
	if err == nil && after != inStep {
		err = errors.New("it does not write one line for it")
	}
	if err == nil {
		return inStep, nil
	}
	failed := &ProgramError{status: http.StatusBadGateway, err: fmt.Errorf("a new process of program %s fails at a record that was answered before: %w", p.executable, err)}
	if e, ok := errors.AsType[*ProgramError](err); ok {
		failed.timeout, failed.hint = e.timeout, e.hint
	}
	return after, failed
}

// ask passes the records to a process and reads its answer. Where that ends
// with the process, the error is how it has ended.
func (p *Pool) ask(ctx context.Context, process *Process, body io.Reader) (after step, err error) {
	t := process.talk
	lines := 0
	if !p.program.Once {
		in := bytes.NewBuffer(t.in[:0])
		if _, err := in.ReadFrom(body); err != nil {
			return outOfStep, err
		}
		t.in = in.Bytes()
		lines, body = bytes.Count(t.in, []byte("\n")), bytes.NewReader(t.in)
	}
	e := t.begin(lines, !t.asked)
	t.asked = true
	sent := t.send(e, body, p.program.Once)
	whole, err := t.read(e, p.mostAnswer())
	if err != nil {
		process.signalGroup(killed) // or it goes on reading and writing
	}
	if !whole {
		_ = t.stdin.Close() // nobody answers what it still reads
	}
	<-sent
	if err == nil && (p.program.Once || !whole) {
		process.awaitExit(ctx)
		err = process.failure()
	}
	if over := t.finish(e); over != nil {
		return ending, over
	}
	switch {
	case p.program.Once || !whole:
		return ending, err
	case bytes.Count(t.out, []byte("\n")) > lines || t.out[len(t.out)-1] != '\n', e.first && !process.settles():
		return outOfStep, nil
	}
	p.remember(t.in)
	return inStep, nil
}

func (p *Pool) mostAnswer() int {
	if p.program.Once {
		return maxWholeAnswer
	}
	return maxAnswer
}

// remember keeps the first line that is answered.
func (p *Pool) remember(lines []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.greeting == nil {
		line, _, _ := bytes.Cut(lines, []byte("\n"))
		p.greeting = append(bytes.Clone(line), '\n')
	}
}

// answer is what a process wrote, as an answer of HTTP.
func (p *Pool) answer(r *http.Request, process *Process, done func()) *http.Response {
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{}, Body: &answer{Reader: bytes.NewReader(process.talk.out), done: done},
		ContentLength: int64(len(process.talk.out)),
	}
}

// answer is a body that gives its process back when it is closed.
type answer struct {
	*bytes.Reader
	once sync.Once
	done func()
}

func (a *answer) Close() error {
	a.once.Do(a.done)
	return nil
}

// take gives an idle process, or a new one.
func (p *Pool) take() (*Process, error) {
	for {
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			return nil, errors.New("the program was stopped")
		}
		if len(p.idle) == 0 {
			break
		}
		process := p.idle[len(p.idle)-1]
		p.idle = p.idle[:len(p.idle)-1]
		p.mu.Unlock()
		if process.ExitError() == nil && process.talk.silent() {
			return process, nil
		}
		p.end(process)
	}
	defer p.mu.Unlock() // a Close that comes now finds the process among the living
	if p.forker == nil {
		p.forker = newForker()
	}
	process := &Process{id: p.program.ID, what: "program", forker: p.forker, exited: make(chan struct{})}
	process.talk = &talk{limits: limits{p.program.Timeout, p.program.StartTimeout}}
	process.talk.watch(process.watch)
	process.cmd = &exec.Cmd{Path: p.executable, Args: p.program.Args, Dir: p.program.Dir, Env: p.env, SysProcAttr: processAttributes()}
	process.output.log = p.program.Log
	if spare, ok := p.spare.Get().(*[]byte); ok {
		process.talk.out = *spare
	}
	if err := process.Start(); err != nil {
		return nil, notStarted(err)
	}
	p.living[process] = true
	return process, nil
}

// notStarted is the error of a process that could not be started: as far as
// anybody knows, it may be another time.
func notStarted(err error) error {
	e := &ProgramError{status: http.StatusServiceUnavailable, err: err}
	if failure, ok := errors.AsType[*api.Failure](err); ok {
		e.err, e.hint = failure.Err, failure.Hint
	}
	return e
}

// give takes a process back.
func (p *Pool) give(process *Process) {
	process.talk.trim()
	p.mu.Lock()
	closed := p.closed
	if !closed {
		p.idle = append(p.idle, process)
	}
	p.mu.Unlock()
	if closed {
		p.end(process)
	}
}

// awaitExit waits for a process that has closed its stdout, or is about to be
// killed because the context has ended.
func (p *Process) awaitExit(ctx context.Context) {
	select {
	case <-p.exited:
	case <-ctx.Done():
	}
}

// end sees to it that a process that is not asked any more is gone, with its
// group.
func (p *Pool) end(process *Process) {
	_ = process.talk.stdin.Close()
	process.signalGroup(killed)
	select {
	case <-process.exited:
		process.output.close()
		process.talk.close()
	case <-time.After(killTimeout): // Close says so
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.living, process)
}

// Close ends all processes: their stdin ends, and those that have not exited
// after grace are killed. It returns when they and all that they started are
// gone.
func (p *Pool) Close(ctx context.Context, grace time.Duration) error {
	p.mu.Lock()
	p.closed = true
	var living []*Process
	for process := range p.living {
		living = append(living, process)
	}
	idle := slices.Clone(p.idle)
	p.idle = nil
	p.mu.Unlock()

	for _, process := range idle {
		_ = process.talk.stdin.Close()
	}
	patience, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	var ending sync.WaitGroup
	for _, process := range living {
		ending.Go(func() {
			if slices.Contains(idle, process) {
				select {
				case <-process.exited:
				case <-patience.Done():
				}
			}
			process.signalGroup(killed)
			p.end(process)
		})
	}
	ending.Wait()
	p.mu.Lock()
	if p.forker != nil {
		p.forker.close()
		p.forker = nil
	}
	p.mu.Unlock()
	killing, stop := context.WithTimeout(context.WithoutCancel(ctx), killTimeout)
	defer stop()
	if _, err := Reap(killing, p.program.ID, func(string) bool { return false }); err != nil {
		return fmt.Errorf("stop program %s: %w", p.executable, err)
	}
	return nil
}
