package launch

import (
	"bytes"
	"io"
	"sync"
)

// maxLine is how much of a line without an end is held back.
const maxLine = 64 << 10

// Lines gives a writer for one of several servers that share a log: it passes
// whole lines on, each after the prefix, so that they are never mixed. Without
// a prefix text passes as it comes. Close passes the rest on; it does not close
// the log.
func Lines(log io.Writer, prefix string) io.WriteCloser {
	return &lineWriter{log: log, prefix: []byte(prefix)}
}

type lineWriter struct {
	log    io.Writer
	prefix []byte

	mu   sync.Mutex
	rest []byte // of a line, with its prefix
}

func (l *lineWriter) Write(text []byte) (int, error) {
	if len(l.prefix) == 0 {
		return l.log.Write(text)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range bytes.Lines(text) {
		if len(l.rest) == 0 {
			l.rest = append(l.rest, l.prefix...)
		}
		l.rest = append(l.rest, line...)
		if line[len(line)-1] != '\n' && len(l.rest) < maxLine {
			continue
		}
		if err := l.pass(); err != nil {
			return 0, err
		}
	}
	return len(text), nil
}

func (l *lineWriter) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pass()
}

// pass writes what is held back, as a line.
func (l *lineWriter) pass() error {
	if len(l.rest) == 0 {
		return nil
	}
	text := l.rest
	if text[len(text)-1] != '\n' {
		text = append(text, '\n')
	}
	l.rest = l.rest[:0]
	_, err := l.log.Write(text)
	return err
}
