package engine

// Draining is closed once Stop has begun.
func (e *Engine) Draining() <-chan struct{} { return e.drain }

// Executing is the number of runs in slots.
func (e *Engine) Executing() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.running)
}
