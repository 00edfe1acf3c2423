package launch

import (
	"bytes"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// tailSize is how much of a server's stderr an error shows.
const tailSize = 8 << 10

// output reads what a server writes. It has pipes of its own, since those of
// os/exec end with the process, and a server's descendants must not die of a
// broken pipe while they shut down in peace.
type output struct {
	log     io.Writer // may be nil
	readers []*os.File
	done    chan struct{} // closed when all readers are
	last    atomic.Int64  // when a byte came last, in nanoseconds since 1970; 0 = never

	mu   sync.Mutex // guards log and tail
	tail tail
}

// buffers are for reading; a program may be started for each mini-batch.
var buffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// LastOutput is when the server last wrote a byte to stdout or stderr; the zero
// time before its first.
func (p *Process) LastOutput() time.Time {
	if at := p.output.last.Load(); at != 0 {
		return time.Unix(0, at)
	}
	return time.Time{}
}

// Stderr is the end of what the server wrote to stderr, at most 8 KiB; when
// that is not all, it begins with a whole line.
func (p *Process) Stderr() string {
	p.output.mu.Lock()
	defer p.output.mu.Unlock()
	return p.output.tail.String()
}

// open makes the pipes, begins to read them, and gives the ends for the server.
// A stdout that is given is somebody else's to read.
func (o *output) open(given *os.File) (stdout, stderr *os.File, err error) {
	errReader, stderr, err := pipeFrom()
	if err != nil {
		return nil, nil, err
	}
	o.readers, o.done = []*os.File{errReader}, make(chan struct{})
	if stdout = given; stdout == nil {
		var outReader *os.File
		if outReader, stdout, err = pipeFrom(); err != nil {
			_, _ = errReader.Close(), stderr.Close()
			return nil, nil, err
		}
		o.readers = append(o.readers, outReader)
	}
	var ended atomic.Int32
	for i, reader := range o.readers {
		go func() {
			if i == 0 {
				o.copy(reader, &o.tail)
			} else {
				o.copy(reader, nil)
			}
			if int(ended.Add(1)) == len(o.readers) {
				close(o.done)
			}
		}()
	}
	return stdout, stderr, nil
}

// await waits until everything is read, though not longer than limit.
func (o *output) await(limit time.Duration) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-o.done:
	case <-timer.C:
	}
}

// close ends the reading, whoever still holds the other end.
func (o *output) close() {
	for _, reader := range o.readers {
		_ = reader.SetReadDeadline(time.Now()) // fails on a closed one only
	}
	<-o.done
}

func (o *output) copy(from *os.File, tail *tail) {
	defer func() { _ = from.Close() }() // only read
	buffer := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buffer)
	for {
		n, err := from.Read(buffer[:])
		if n > 0 {
			o.last.Store(time.Now().UnixNano())
			o.write(buffer[:n], tail)
		}
		if err != nil {
			return
		}
	}
}

func (o *output) write(text []byte, tail *tail) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.log != nil {
		_, _ = o.log.Write(text) // see Command.Log
	}
	if tail != nil {
		tail.write(text)
	}
}

// tail keeps the last tailSize bytes of a stream.
type tail struct {
	kept []byte
	cut  bool // something was dropped
}

func (t *tail) write(text []byte) {
	t.kept = append(t.kept, text...)
	if surplus := len(t.kept) - tailSize; surplus > 0 {
		t.kept = append(t.kept[:0], t.kept[surplus:]...)
		t.cut = true
	}
}

func (t *tail) String() string {
	text := t.kept
	if t.cut {
		if _, rest, found := bytes.Cut(text, []byte("\n")); found {
			text = rest
		}
	}
	return strings.ToValidUTF8(strings.TrimRight(string(text), "\r\n"), "\ufffd")
}
