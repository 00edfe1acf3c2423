package launch

import "runtime"

// forker forks processes one after the other on a thread of its own, which lives
// until it is closed; see Process.fork for why it must.
type forker struct{ asked chan func() }

func newForker() *forker {
	f := &forker{asked: make(chan func())}
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for fork := range f.asked {
			fork()
		}
	}()
	return f
}

func (f *forker) do(fork func() error) error {
	done := make(chan error)
	f.asked <- func() { done <- fork() }
	return <-done
}

func (f *forker) close() { close(f.asked) }
