package launch

import (
	"errors"
	"net/http"
	"slices"
	"syscall"
)

const killed = syscall.SIGKILL

var errNotEnding = errors.New("the program does not end after SIGKILL")

// The codes by which a program says what its failure means.
const (
	exitTransient = 10 // it may work another time
	exitPermanent = 11 // it never will with these records
	exitBadInput  = 12 // these are no records
)

// meaning is what the codes say, for people.
var meaning = map[int]string{
	exitTransient: " (it may work another time)",
	exitPermanent: " (it never will with these records)",
	exitBadInput:  " (it can't read these records)",
}

// ProgramError is a process that ended otherwise than with code 0, or that
// does not answer.
type ProgramError struct {
	status  int
	timeout bool
	hint    string
	err     error
}

func (e *ProgramError) Error() string { return e.err.Error() }

// Timeout tells that it did not answer in time.
func (e *ProgramError) Timeout() bool { return e.timeout }

// Hint is what would help; empty where its stderr tells.
func (e *ProgramError) Hint() string { return e.hint }

// HTTPStatus is what a server would have answered: 503 where it may work
// another time, 422 and 400 where the records are to blame, 500 where they may
// be (it crashed), 502 where somebody ended it, 408 where it takes too long, 413
// where it answers too much, 501 where it can't answer at all.
func (e *ProgramError) HTTPStatus() int { return e.status }

// crashes are the signals that a process brings about itself.
var crashes = []syscall.Signal{syscall.SIGSEGV, syscall.SIGABRT, syscall.SIGBUS, syscall.SIGILL, syscall.SIGFPE, syscall.SIGSYS, syscall.SIGTRAP}

// failure is how a process ended, nil where that was with code 0. It was killed
// by us where it has not ended.
func (p *Process) failure() error {
	select {
	case <-p.exited:
	default:
		return &ProgramError{status: http.StatusBadGateway, err: errNotEnding}
	}
	state := p.cmd.ProcessState
	if state.ExitCode() == 0 {
		return nil
	}
	return &ProgramError{status: statusOf(state.ExitCode(), state.Sys()), err: p.exitErr}
}

func statusOf(code int, how any) int {
	switch code {
	case exitTransient:
		return http.StatusServiceUnavailable
	case exitPermanent:
		return http.StatusUnprocessableEntity
	case exitBadInput:
		return http.StatusBadRequest
	}
	if end, ok := how.(syscall.WaitStatus); ok && end.Signaled() && !slices.Contains(crashes, end.Signal()) {
		return http.StatusBadGateway
	}
	return http.StatusInternalServerError
}
