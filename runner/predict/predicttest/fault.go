package predicttest

import (
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// AnyPurpose makes a Fault strike requests of every purpose.
const AnyPurpose = "*"

// Fault is what goes wrong, and with which requests. Of the faults that fit a
// request the one injected last strikes.
type Fault struct {
	// Which requests: all but the warm-up, unless one of these narrows it.
	Purpose  string          // "warm-up", "control", "probe", "confirm", or AnyPurpose
	Record   string          // those that hold this record
	MoreThan int             // those of more than so many records
	Skip     int             // not the first so many of those that fit
	Every    int             // each n-th of them only
	Times    int             // at most so many
	When     func(Send) bool // those of which it says so

	// What happens. Of the first group one is given; others may be combined.
	Status   int               // this answer
	Header   map[string]string // with these headers
	Body     string            // and this body
	Short    int               // so many predictions are missing
	BadJSON  bool              // a complete answer that is not JSON
	Truncate bool              // fewer bytes than announced, then the end of the connection
	Cut      bool              // the same with a chunked answer
	Reset    bool              // the connection ends without an answer
	Answer   string            // this body instead of the predictions

	Delay time.Duration // first wait so long
	Hang  bool          // first wait for Release, or for the client to leave
	Do    func()        // first do this: end the process, wait for a test
}

// armed is a Fault that has been injected.
type armed struct {
	Fault
	fits, struck int
}

// Inject switches a fault on; remove switches it off.
func (s *Server) Inject(f Fault) (remove func()) {
	a := &armed{Fault: f}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, a)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.faults = slices.DeleteFunc(s.faults, func(other *armed) bool { return other == a })
	}
}

// Release lets the requests go on that hang now.
func (s *Server) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.released)
	s.released = make(chan struct{})
}

// strike picks the fault for a request. The lock is held.
func (s *Server) strike(send Send) Fault {
	for _, a := range slices.Backward(s.faults) {
		if a.strikes(send) {
			return a.Fault
		}
	}
	return Fault{}
}

func (a *armed) strikes(send Send) bool {
	switch {
	case a.Purpose == "" && send.Purpose == "warm-up",
		a.Purpose != "" && a.Purpose != AnyPurpose && a.Purpose != send.Purpose,
		a.Record != "" && !slices.Contains(send.Records, a.Record),
		a.MoreThan > 0 && len(send.Records) <= a.MoreThan,
		a.When != nil && !a.When(send):
		return false
	}
	a.fits++
	switch {
	case a.fits <= a.Skip,
		a.Every > 0 && (a.fits-a.Skip)%a.Every != 0,
		a.Times > 0 && a.struck >= a.Times:
		return false
	}
	a.struck++
	return true
}

// spoils tells that the client does not get the predictions.
func (f Fault) spoils() bool {
	return f.Short > 0 || f.BadJSON || f.Truncate || f.Cut || f.Answer != ""
}

// before does what happens ahead of the predictions; done tells that there
// will be none.
func (f Fault) before(s *Server, w http.ResponseWriter, r *http.Request) (done bool) {
	if f.Do != nil {
		f.Do()
	}
	if f.Delay > 0 {
		timer := time.NewTimer(f.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			return true
		}
	}
	if f.Hang {
		s.mu.Lock()
		released := s.released
		s.mu.Unlock()
		select {
		case <-released:
		case <-r.Context().Done():
			return true
		}
	}
	for name, value := range f.Header {
		w.Header().Set(name, value)
	}
	switch {
	case f.Reset:
		reset(w)
		return true
	case f.Status != 0:
		w.WriteHeader(f.Status)
		_, _ = w.Write([]byte(f.Body))
		return true
	}
	return false
}

// write sends the predictions, spoiled where the fault says so.
func (f Fault) write(w http.ResponseWriter, answer []byte) {
	w.Header().Set("Content-Type", "application/json")
	switch {
	case f.Answer != "":
		answer = []byte(f.Answer)
	case f.BadJSON:
		answer[len(answer)-1] = '!'
	case f.Truncate:
		w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
		answer = answer[:len(answer)/2]
	case f.Cut:
		answer = answer[:len(answer)/2]
	}
	_, _ = w.Write(answer)
	if f.Truncate || f.Cut {
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// reset ends the connection; over TCP the client sees a reset.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
