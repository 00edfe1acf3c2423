package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/trigger"
)

const (
	// heartbeat is how often a stream says that it is there; clients give up
	// after three times as long.
	heartbeat = 15 * time.Second
	// figuresEvery is how often a run's figures are told at most: they are a sum
	// over its mini-batches.
	figuresEvery = time.Second
	// breath is the least time between two looks at the history: a busy store
	// commits a thousand times a second.
	breath = 50 * time.Millisecond
	// writeTimeout is how long a client may take for one message.
	writeTimeout = 30 * time.Second
	// streamPage is how many events are read at a time.
	streamPage = 500
)

// getEvents lists a run's history, or streams it to those who accept that.
func (s *Server) getEvents(w http.ResponseWriter, r *http.Request) error {
	ask := query(r, paged...)
	after, limit := ask.number("after", -1, 0, 1<<53), ask.number("limit", defaultEvents, 1, maxMiniBatches)
	if ask.err != nil {
		return ask.err
	}
	run, err := findRun(s.Store, r.PathValue("id"))
	if err != nil {
		return err
	}
	if strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		return s.streamEvents(w, r, run.ID, after)
	}
	found, err := s.Store.EventsPage(run.ID, after, int(limit)+1)
	if err != nil {
		return fmt.Errorf("read the history of run %s: %w", run.ID, err)
	}
	var list eventList
	list.Events, list.Next = page(found, limit, func(e api.Event) string { return numbered(e.ID) })
	answer(w, http.StatusOK, list)
	return nil
}

func (s *Server) streamEvents(w http.ResponseWriter, r *http.Request, run string, after int64) error {
	if text := r.Header.Get("Last-Event-ID"); text != "" {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return api.Errorf(api.CodeMalformed, "send the id of the last event that was seen, or none", "Last-Event-ID %q is not the id of an event", text)
		}
		after = id
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.base, cancel)() // the server stops: clients come back
	t := &stream{s: s, w: w, control: http.NewResponseController(w), run: run, last: after}
	// The times of ordinary requests are not a stream's.
	_ = t.control.SetReadDeadline(time.Time{})
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	if err := t.follow(ctx); err != nil && ctx.Err() == nil {
		// The answer has begun; its end without "end" tells the client enough.
		s.Log.Warn("stream events", "run", run, "error", err)
	}
	return nil
}

// stream tells one client of one run as it goes: an "event" for each entry of
// its history, "progress" with its figures, and "end" with the run as it ended.
type stream struct {
	s       *Server
	w       http.ResponseWriter
	control *http.ResponseController
	run     string
	last    int64     // the newest event told
	figures []byte    // as they were told
	looked  time.Time // at the figures
}

// follow goes on until the run has ended or ctx has. It is woken by commits.
func (t *stream) follow(ctx context.Context) error {
	beat := time.NewTicker(t.s.heartbeat)
	defer beat.Stop()
	for stale := true; ; { // stale: the figures may have changed
		changed := t.s.Store.Changed()
		moved, err := t.events()
		if err != nil {
			return err
		}
		var later <-chan time.Time
		switch wait := figuresEvery - time.Since(t.looked); {
		case moved || stale && wait <= 0:
			ended, err := t.progress()
			if err != nil || ended {
				return err
			}
			stale = false
		case stale:
			later = time.After(wait)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-later:
		case <-beat.C:
			if err := t.send(": still here\n\n"); err != nil {
				return err
			}
		case <-changed:
			stale = true
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(breath):
			}
		}
	}
}

// events tells what is new in the history, and whether the run changed its
// state in it.
func (t *stream) events() (moved bool, err error) {
	for {
		found, err := t.s.Store.EventsPage(t.run, t.last, streamPage)
		if err != nil {
			return moved, fmt.Errorf("read the history of run %s: %w", t.run, err)
		}
		for _, e := range found {
			text, err := json.Marshal(e)
			if err != nil {
				return moved, err
			}
			if err := t.send(fmt.Sprintf("id: %d\nevent: event\ndata: %s\n\n", e.ID, text)); err != nil {
				return moved, err
			}
			t.last = e.ID
			moved = moved || e.Kind == "state"
		}
		if len(found) < streamPage {
			return moved, nil
		}
	}
}

// progress tells the figures where they have changed, and the run's end.
func (t *stream) progress() (ended bool, err error) {
	run, err := findRun(t.s.Store, t.run)
	if err != nil {
		return false, err
	}
	if err := trigger.NoteTrouble(t.s.Store, &run); err != nil {
		return false, err
	}
	t.looked = time.Now()
	kind := "progress"
	if ended = run.State.Ended(); ended {
		kind = "end"
		// What led to the end may have been written after the look at the history.
		if _, err := t.events(); err != nil {
			return false, err
		}
	}
	text, err := json.Marshal(run)
	if err != nil || !ended && bytes.Equal(text, t.figures) {
		return false, err
	}
	t.figures = text
	return ended, t.send(fmt.Sprintf("event: %s\ndata: %s\n\n", kind, text))
}

// send writes one message, whole.
func (t *stream) send(message string) error {
	_ = t.control.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, err := t.w.Write([]byte(message)); err != nil {
		return err
	}
	return t.control.Flush()
}
