package engine

// hands are goroutines that send requests, one after the other: a new one for
// each request would have to grow its stack anew each time.
type hands struct {
	tasks chan func()
	over  chan struct{}
}

func newHands() hands { return hands{tasks: make(chan func()), over: make(chan struct{})} }

// do has a task done, by who is idle or by a new hand. It never waits.
func (h hands) do(task func()) {
	select {
	case h.tasks <- task:
	default:
		go h.work(task)
	}
}

func (h hands) work(task func()) {
	for {
		task()
		select {
		case task = <-h.tasks:
		case <-h.over:
			return
		}
	}
}

// rest sends everybody home who is idle, and the others when they are done.
func (h hands) rest() { close(h.over) }
