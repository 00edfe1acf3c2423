package engine

// Draining is closed once Stop has begun.
func (e *Engine) Draining() <-chan struct{} { return e.drain }
