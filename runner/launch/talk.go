package launch

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// talk is our end of a process's stdin and stdout.
type talk struct {
	stdin, stdout *os.File
	answers       syscall.RawConn // stdout's
	in            []byte          // what is being asked
	out           []byte          // what was answered
	asked         bool            // the process was, before

	limits  limits
	timer   *time.Timer // to the next look
	mu      sync.Mutex
	current *errand
}

// watch has look called when it is time for the next look, one at a time.
func (t *talk) watch(look func()) {
	t.timer = time.AfterFunc(time.Hour, look)
	t.timer.Stop()
}

// open makes the pipes and gives the ends for the process.
func (t *talk) open() (stdin, stdout *os.File, err error) {
	if t.stdin, stdin, err = pipeTo(); err != nil {
		return nil, nil, err
	}
	if t.stdout, stdout, err = pipeFrom(); err != nil {
		_, _ = stdin.Close(), t.stdin.Close()
		return nil, nil, err
	}
	if t.answers, err = t.stdout.SyscallConn(); err != nil {
		_, _ = stdin.Close(), stdout.Close()
		t.close()
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
	events, err := int16(0), error(nil)
	controlErr := t.answers.Control(func(fd uintptr) { events, err = poll(fd, unix.POLLIN) })
	return errors.Join(controlErr, err) == nil && events == 0
}

// poll tells which of the events, or of those that nobody has to ask for, a file
// has now. A signal to our own threads, which Go sends when it likes, says
// nothing about the file.
func poll(fd uintptr, events int16) (int16, error) {
	polled := []unix.PollFd{{Fd: int32(fd), Events: events}}
	for {
		if _, err := unix.Poll(polled, 0); !errors.Is(err, unix.EINTR) {
			return polled[0].Revents, err
		}
	}
}

// unheard tells that nobody reads a process's stdin any more.
func (t *talk) unheard() bool {
	conn, err := t.stdin.SyscallConn()
	if err != nil {
		return true
	}
	events := int16(0)
	controlErr := conn.Control(func(fd uintptr) { events, err = poll(fd, unix.POLLOUT) })
	return controlErr != nil || err == nil && events&unix.POLLERR != 0
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
	for lines := int64(e.lines); ; {
		if cap(t.out)-len(t.out) < 4<<10 {
			t.out = append(t.out, make([]byte, max(len(t.out), 32<<10))...)[:len(t.out)]
		}
		err := t.receive(e)
		switch {
		case lines > 0 && e.answered.Load() >= lines:
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

// receive waits for something to read, and reads it: what is not in the pipe any
// more is counted for whoever has the lock.
func (t *talk) receive(e *errand) (err error) {
	waitErr := t.answers.Read(func(fd uintptr) bool {
		t.mu.Lock()
		defer t.mu.Unlock()
		var n int
		for err = unix.EINTR; errors.Is(err, unix.EINTR); {
			n, err = unix.Read(int(fd), t.out[len(t.out):cap(t.out)])
		}
		switch {
		case errors.Is(err, unix.EAGAIN):
			return false
		case err != nil:
			return true
		case n == 0:
			err = io.EOF
			return true
		}
		e.answered.Add(int64(bytes.Count(t.out[len(t.out):len(t.out)+n], []byte("\n"))))
		e.written.Add(int64(n))
		t.out = t.out[:len(t.out)+n]
		return true
	})
	return errors.Join(waitErr, err)
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
