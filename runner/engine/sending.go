package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/predict"
)

// send sends a request to the server with the fewest in flight, or to the one
// on trial. That this server was lost meanwhile is errServerLost.
func (d *dispatcher) send(ctx context.Context, request *predict.Request, s predict.Send, on *trial) (*predict.Response, *readyServer, error) {
	server, err := on.server(ctx, d)
	if err != nil {
		return nil, nil, err
	}
	if on == nil {
		defer d.fleet.release(server)
	}
	d.builder.Store(server.client)
	s.Observe = d.gate.observe
	sending, done := d.untilLost(ctx, server)
	defer done()
	response, err := server.client.Predict(sending, request, s)
	if err == nil {
		d.succeeded(request, response, s.Purpose)
		return response, server, nil
	}
	if ctx.Err() != nil {
		return nil, nil, context.Cause(ctx)
	}
	refusal, ok := errors.AsType[*predict.Error](err)
	broken := ok && refusal.Class == api.ClassTransient && refusal.Status == 0 && !refusal.Timeout
	if !ok && errors.Is(err, errServerLost) || broken && lostSoon(ctx, server) {
		if on == nil {
			_, err := d.fleet.lose(ctx, server)
			return nil, nil, errors.Join(fmt.Errorf("%w: %w", errServerLost, server.exit()), err)
		}
		return nil, nil, errors.Join(fmt.Errorf("%w: %w", errServerLost, server.exit()), on.spend(ctx))
	}
	return nil, nil, err
}

// succeeded takes a record that was predicted for the control. A golden record
// that the server answers is no proof that it takes the job's.
func (d *dispatcher) succeeded(request *predict.Request, response *predict.Response, purpose string) {
	d.breaker.succeeded()
	for i := range response.Len() {
		if purpose != predict.Control && response.Refused(i) == nil {
			d.control.keep(request, i)
			return
		}
	}
}

// lostSoon waits a moment for the end of the server's process.
func lostSoon(ctx context.Context, server *readyServer) bool {
	if server.lost() == nil {
		return false
	}
	_ = sleepOr(ctx, lossNotice, server.lost())
	return server.isLost()
}

// untilLost is a context that ends with the server, too.
func (d *dispatcher) untilLost(ctx context.Context, server *readyServer) (context.Context, func()) {
	if server.lost() == nil {
		return ctx, func() {}
	}
	sending, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(d.life(server), func() { cancel(errServerLost) })
	return sending, func() {
		stop()
		cancel(nil)
	}
}

// life is a context that ends with the server. There is one for each.
func (d *dispatcher) life(server *readyServer) context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	if life, ok := d.lives[server]; ok {
		return life
	}
	life, end := context.WithCancel(context.Background())
	d.lives[server] = life
	d.watchers.Go(func() {
		defer end()
		select {
		case <-server.lost():
		case <-d.ended:
		}
	})
	return life
}
