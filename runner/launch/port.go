package launch

import (
	"errors"
	"net"
	"sync"
	"time"
)

// given are the ports that servers of this runner were told to listen on, with
// when that was. Servers that are launched side by side must not get the same
// one while neither listens yet: the second would be taken for ready when the
// first is.
var given = struct {
	sync.Mutex
	at map[int]time.Time
}{at: map[int]time.Time{}}

// portPause is how long a port is not given again: most servers listen by then,
// or have failed, and there are thousands of others.
const portPause = 10 * time.Minute

// freePort finds a port on loopback that nobody listens on and that no other
// launch was given lately.
func freePort() (int, error) {
	given.Lock()
	defer given.Unlock()
	now := time.Now()
	for port, at := range given.at {
		if now.Sub(at) > portPause {
			delete(given.at, port)
		}
	}
	for range 100 {
		listener, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return 0, err
		}
		port := listener.Addr().(*net.TCPAddr).Port
		if err := listener.Close(); err != nil {
			return 0, err
		}
		if _, taken := given.at[port]; !taken {
			given.at[port] = now
			return port, nil
		}
	}
	return 0, errors.New("every port that the system offers was given to another server lately")
}
