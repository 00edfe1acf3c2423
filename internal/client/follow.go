package client

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

const (
	// firstWait and lastWait bound the waits before it is asked again.
	firstWait, lastWait = 50 * time.Millisecond, 2 * time.Second
	// silent is how long a stream may be without a byte; the runner says
	// something every 15 s, if only that it is there.
	silent = 45 * time.Second
	// maxMessage bounds one message of a stream.
	maxMessage = 4 << 20
)

// Update is what is told of a run that is followed: one of them is set.
type Update struct {
	Event *api.Event // an entry of its history
	Run   *api.Run   // how far it is
	Away  error      // the runner has not answered for a while, and is waited for
	Back  bool       // it answers again
}

var (
	// errEnded is the end of a stream that told the run's end.
	errEnded  = errors.New("the run has ended")
	errSilent = fmt.Errorf("nothing was heard for %s", silent)
)

// Follow calls tell for each event of a run above from (0: all of them) and
// for its figures as they change, at most about once a second, until the run
// has ended; the run as it ended is the result. It bears with a runner that is
// away for a while, and tells so. An error of tell ends it, and is its error.
func (c *Client) Follow(ctx context.Context, id string, from int64, tell func(Update) error) (api.Run, error) {
	f := &follower{client: c, id: id, tell: tell}
	if from > 0 {
		f.last = strconv.FormatInt(from, 10)
	}
	wait := firstWait
	for {
		heard, err := f.listen(ctx)
		if heard {
			wait = firstWait
		}
		tell, bear := f.absence.Missed(err, time.Now())
		switch {
		case errors.Is(err, errEnded):
			return f.run, nil
		case f.refused != nil:
			return f.run, f.refused
		case ctx.Err() != nil:
			return f.run, context.Cause(ctx)
		case !bear:
			return f.run, err
		case tell && f.say(Update{Away: err}) != nil:
			return f.run, f.refused
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return f.run, context.Cause(ctx)
		case <-timer.C:
			wait = min(wait*2, lastWait)
		}
	}
}

// follower follows one run, over as many connections as it takes.
type follower struct {
	client  *Client
	id      string
	last    string // id of the newest event told
	run     api.Run
	tell    func(Update) error
	refused error // of tell
	absence Absence
}

// listen reads one stream to its end; heard tells whether anything came.
func (f *follower) listen(ctx context.Context) (heard bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(silent, func() { cancel(f.client.unreachable(errSilent)) })
	defer watch.Stop()
	header := map[string]string{"Accept": "text/event-stream"}
	if f.last != "" {
		header["Last-Event-ID"] = f.last
	}
	body, err := f.client.stream(ctx, runPath(f.id)+"/events", nil, header)
	if err != nil {
		return false, err
	}
	defer func() { _ = body.Close() }() // only read
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, maxMessage)
	var m message
	for lines.Scan() {
		watch.Reset(silent)
		heard = true
		if f.absence.Answered() && f.say(Update{Back: true}) != nil {
			return true, f.refused
		}
		if !m.add(lines.Text()) {
			continue
		}
		if err := f.receive(m); err != nil {
			return true, err
		}
		m = message{}
	}
	if ctx.Err() != nil {
		return heard, context.Cause(ctx)
	}
	return heard, f.client.unreachable(cmp.Or(lines.Err(), io.ErrUnexpectedEOF))
}

// message is one message of an event stream.
type message struct {
	event, id string
	data      bytes.Buffer
}

// add takes a line; an empty one ends the message, and makes it whole where it
// holds anything.
func (m *message) add(line string) (whole bool) {
	if line == "" {
		if whole = m.data.Len() > 0; !whole {
			*m = message{}
		}
		return whole
	}
	field, value, _ := strings.Cut(line, ":")
	value = strings.TrimPrefix(value, " ")
	switch field { // a line that begins with a colon is a comment
	case "event":
		m.event = value
	case "id":
		m.id = value
	case "data":
		m.data.WriteString(value)
	}
	return false
}

func (f *follower) receive(m message) error {
	switch m.event {
	case "event":
		var e api.Event
		if err := json.Unmarshal(m.data.Bytes(), &e); err != nil {
			return fmt.Errorf("decode an event of run %s: %w", f.id, err)
		}
		f.last = m.id
		return f.say(Update{Event: &e})
	case "progress", "end":
		var run api.Run
		if err := json.Unmarshal(m.data.Bytes(), &run); err != nil {
			return fmt.Errorf("decode the figures of run %s: %w", f.id, err)
		}
		f.run = run
		if err := f.say(Update{Run: &run}); err != nil || m.event == "progress" {
			return err
		}
		return errEnded
	}
	return nil // of a newer runner
}

func (f *follower) say(u Update) error {
	f.refused = f.tell(u)
	return f.refused
}
