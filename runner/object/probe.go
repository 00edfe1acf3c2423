package object

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"sync"
)

// probe remembers whether a bucket's store keeps conditions.
type probe struct {
	mu       sync.Mutex
	asked    bool
	enforced bool
}

func (p *probe) enforces(ctx context.Context, b Bucket, prefix string) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asked {
		return p.enforced, nil
	}
	enforced, err := tryConditions(ctx, b, prefix+".batch-probe-"+rand.Text())
	if err != nil {
		return false, err
	}
	p.asked, p.enforced = true, enforced
	return enforced, nil
}

// tryConditions writes an object twice against its condition: a store that
// keeps conditions refuses both times.
func tryConditions(ctx context.Context, b Bucket, key string) (enforced bool, err error) {
	put := func(content string, when Condition) (string, error) {
		return b.Put(ctx, key, bytes.NewReader([]byte(content)), int64(len(content)), when)
	}
	defer func() { err = errors.Join(err, b.Delete(context.WithoutCancel(ctx), key)) }()
	first, err := put("1", Condition{})
	if err != nil {
		return false, err
	}
	if _, err := put("2", Condition{Match: first}); errors.Is(err, ErrPrecondition) {
		return true, nil // to a request whose first answer was lost
	} else if err != nil {
		return false, err
	}
	for _, when := range []Condition{{Absent: true}, {Match: first}} {
		if _, err := put("3", when); !errors.Is(err, ErrPrecondition) {
			return false, err
		}
	}
	return true, nil
}
