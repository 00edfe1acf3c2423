package launch

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// talk is our end of a process's stdin and stdout.
type talk struct {
	stdin, stdout *os.File
	in            []byte // what is being asked
	out           []byte // what was answered
	asked         bool   // the process was, before

	limits  limits
	timer   *time.Timer // to the next look
	mu      sync.Mutex
	current *errand
}

func newTalk(l limits) *talk {
	t := &talk{limits: l, timer: time.NewTimer(time.Hour)}
	t.timer.Stop()
	return t
}

// open makes the pipes and gives the ends for the process.
func (t *talk) open() (stdin, stdout *os.File, err error) {
	if stdin, t.stdin, err = os.Pipe(); err != nil {
		return nil, nil, err
	}
	if t.stdout, stdout, err = os.Pipe(); err != nil {
		_, _ = stdin.Close(), t.stdin.Close()
		return nil, nil, err
	}
	widen(t.stdin)
	widen(t.stdout)
	return stdin, stdout, nil
}

func (t *talk) close() {
	if t != nil && t.stdin != nil {
		_, _ = t.stdin.Close(), t.stdout.Close()
	}
}

// silent tells that nothing waits to be read: what a process writes unasked is
// no answer to what it is asked next.
func (t *talk) silent() bool {
	conn, err := t.stdout.SyscallConn()
	if err != nil {
		return false
	}
	waiting := 0
	controlErr := conn.Control(func(fd uintptr) {
		waiting, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	})
	return errors.Join(controlErr, err) == nil && waiting == 0
}

// send writes what is asked, beside the reading of the answer: either pipe may
// be full. A process that reads no further is not an error here; how it ends
// tells.
func (t *talk) send(e *errand, from io.Reader, end bool) (sent <-chan struct{}) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(t.stdin, from)
		e.sent.Store(true)
		if end {
			_ = t.stdin.Close()
		}
	}()
	return done
}

// read reads an errand's lines into out, or whatever comes until the end. More
// than most bytes are not read.
func (t *talk) read(e *errand, most int) (whole bool, err error) {
	t.out = t.out[:0]
	for got, lines := 0, e.lines; ; {
		if cap(t.out)-len(t.out) < 4<<10 {
			t.out = append(t.out, make([]byte, max(len(t.out), 32<<10))...)[:len(t.out)]
		}
		n, err := t.stdout.Read(t.out[len(t.out):cap(t.out)])
		if n > 0 {
			got += bytes.Count(t.out[len(t.out):len(t.out)+n], []byte("\n"))
			t.out = t.out[:len(t.out)+n]
			e.answered.Store(int64(got))
			e.written.Store(int64(len(t.out)))
		}
		switch {
		case lines > 0 && got >= lines:
			return true, nil
		case errors.Is(err, io.EOF), errors.Is(err, os.ErrDeadlineExceeded):
			return lines == 0, nil
		case err != nil:
			return false, err
		case len(t.out) > most:
			return false, &ProgramError{status: http.StatusRequestEntityTooLarge, err: fmt.Errorf("the program wrote more than %d MB for one request", most>>20)}
		}
	}
}

// hurry ends the reading soon: the process has exited, and only what it left
// behind may still hold its stdout.
func (t *talk) hurry() { _ = t.stdout.SetReadDeadline(time.Now().Add(drainDelay)) }

// trim lets go of buffers that one large request has left.
func (t *talk) trim() {
	if cap(t.in) > maxHeld {
		t.in = nil
	}
	if cap(t.out) > maxHeld {
		t.out = nil
	}
}

// maxHeld is the capacity that a buffer may have to be kept.
const maxHeld = 8 << 20
