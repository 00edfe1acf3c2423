package store

import "sync"

// watch tells those who wait for a change. While nobody does, a commit costs
// it no more than a look.
type watch struct {
	mu      sync.Mutex
	changed chan struct{} // nil: nobody waits
}

// Changed is closed after the next commit. Take it before reading: what is
// committed after the read then closes it, so that no change goes unseen.
func (s *Store) Changed() <-chan struct{} {
	w := &s.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.changed == nil {
		w.changed = make(chan struct{})
	}
	return w.changed
}

// tell wakes those who wait.
func (w *watch) tell() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.changed != nil {
		close(w.changed)
		w.changed = nil
	}
}
