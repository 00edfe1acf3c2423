package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/predict"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

const (
	// maxLaunches is how often a server may die or time out before it is
	// ready, and how often a run may lose a ready one.
	maxLaunches = 3
	// launchPause is the wait before the next launch; it doubles.
	launchPause = 200 * time.Millisecond
	// endpointTimeout is how long an endpoint may take to be ready: nobody
	// is starting it for us.
	endpointTimeout = time.Minute
	// unknownModelLimit is how long a server may answer, without another sign
	// of life, that it does not know the model: some load it late.
	unknownModelLimit = 2 * time.Minute
	// silenceNoted is when a server that is still not ready is worth a line.
	silenceNoted = 5 * time.Second
	// probeMin and probeMax bound the wait between two readiness probes.
	probeMin, probeMax = 10 * time.Millisecond, time.Second
	// warmUps is how many records are tried before a 5xx counts against the
	// server's readiness.
	warmUps = 3
)

// readyServer is a prediction server that answered for its model.
type readyServer struct {
	*predictionServer
	client *predict.Client
}

func (s *readyServer) stop(why string) error {
	if s == nil {
		return nil
	}
	s.client.Close()
	return s.predictionServer.stop(why)
}

// provision launches the server and waits until its model is ready and has
// answered a warm-up request. A server that dies or never gets ready is
// launched again, up to maxLaunches times.
func (x *execution) provision(ctx context.Context) (*readyServer, error) {
	pause := launchPause
	for n := 1; ; n++ {
		server, err := x.provisionOnce(ctx)
		if err == nil {
			return server, nil
		}
		failure, ok := errors.AsType[*api.Failure](err)
		again := ok && (failure.Reason == api.ReasonLaunchFailed && errors.Is(err, errDied) || failure.Reason == api.ReasonStartTimeout)
		if !again || n == maxLaunches || x.job.Predict.Server == nil || ctx.Err() != nil {
			if again && x.job.Predict.Server != nil {
				failure.Err = fmt.Errorf("%d launches failed, the last: %w", n, failure.Err)
			}
			return nil, err
		}
		x.log.Warn("launch the prediction server again", "launch", n, "error", err)
		if err := x.rest(ctx, pause); err != nil {
			return nil, err
		}
		pause *= 2
	}
}

var errDied = errors.New("the prediction server ended before it was ready")

func (x *execution) provisionOnce(ctx context.Context) (*readyServer, error) {
	launched, err := x.launchServer(ctx)
	if err != nil {
		return nil, err
	}
	client, err := predict.New(predict.Config{
		Protocol: x.job.Predict.Protocol, BaseURL: launched.url, Model: x.job.Predict.Model, Features: x.job.Predict.Features,
		Outputs: x.job.Predict.Outputs, Parallelism: int(*x.job.Parallelism), Timeout: x.job.Predict.RequestTimeout.Value(),
		Transport: x.e.Transport,
	})
	if err != nil {
		return nil, errors.Join(api.Fail(api.Reason(api.ClassConfig), "", err), launched.stop("not used"))
	}
	server := &readyServer{launched, client}
	if err := x.awaitReady(ctx, server); err != nil {
		return nil, errors.Join(err, server.stop("not ready"))
	}
	if err := x.event(ctx, "ready", server.url); err != nil {
		return nil, errors.Join(err, server.stop("not recorded"))
	}
	return server, nil
}

// awaitReady polls the model's readiness, then sends the warm-up. The start
// timeout counts from the last sign of life: a byte of output, or a readiness
// answer unlike the one before.
func (x *execution) awaitReady(ctx context.Context, s *readyServer) error {
	limit := endpointTimeout
	if x.job.Predict.Server != nil {
		limit = x.job.Predict.Server.StartTimeout.Value()
	}
	sign, answer, wait := time.Now(), "", probeMin
	for noted := false; ; {
		now, err := s.client.Ready(ctx)
		if err == nil {
			if now, err = x.greet(ctx, s); err == nil {
				return nil
			}
			if failed, ok := errors.AsType[*api.Failure](err); ok {
				return failed
			}
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if x.draining() {
			return errDraining
		}
		if s.isLost() {
			return api.Fail(api.ReasonLaunchFailed, "see the whole output with: batch-runner logs "+x.run.ID, fmt.Errorf("%w: %w", errDied, s.exit()))
		}
		if now != answer {
			sign, answer = time.Now(), now
		}
		if output := s.lastSign(); output.After(sign) {
			sign = output
		}
		silence := time.Since(sign)
		if silence > silenceNoted && !noted {
			noted = true
			x.log.Warn("the prediction server is not ready yet", "answer", answer)
			if err := x.event(ctx, "not_ready", answer); err != nil {
				return err
			}
		}
		switch hopeless(err, silence, limit) {
		case api.Reason(api.ClassConfig):
			return api.Fail(api.Reason(api.ClassConfig), "check predict.model and predict.protocol against what the server serves", err)
		case api.ReasonStartTimeout:
			return api.Fail(api.ReasonStartTimeout, "see its output with: batch-runner logs "+x.run.ID, fmt.Errorf(
				"%s was not ready: no sign of life for %s, the last readiness answer was %q", s.url, limit, answer))
		}
		if err := sleepOr(ctx, wait, s.lost()); err != nil {
			return err
		}
		wait = min(2*wait, probeMax)
	}
}

// hopeless says why a server that has shown no sign of life for so long is not
// waited for any longer; empty, it still is.
func hopeless(answer error, silence, limit time.Duration) api.Reason {
	refusal, ok := errors.AsType[*predict.Error](answer)
	switch {
	case ok && refusal.Class == api.ClassConfig && silence > min(unknownModelLimit, limit):
		return api.Reason(api.ClassConfig)
	case silence > limit:
		return api.ReasonStartTimeout
	}
	return ""
}

// greet learns what a ready model takes, and sends the warm-up. An answer that
// contradicts the job is an *api.Failure.
func (x *execution) greet(ctx context.Context, s *readyServer) (answer string, err error) {
	err = s.client.Describe(ctx)
	if refusal, ok := errors.AsType[*predict.Error](err); ok && refusal.Class == api.ClassConfig {
		return "", api.Fail(api.Reason(api.ClassConfig), "check predict.features against what the model takes", refusal)
	}
	if err != nil {
		return err.Error(), err
	}
	return x.warmUp(ctx, s)
}

// warmUp sends one record and throws the answer away. Connection errors,
// timeouts and 5xx count against readiness, after other records were tried;
// any other answer means that the server speaks.
func (x *execution) warmUp(ctx context.Context, s *readyServer) (answer string, err error) {
	records, err := x.sample(ctx, warmUps)
	if err != nil {
		return "", err
	}
	for _, features := range records {
		request := s.client.NewRequest()
		if request.Add(features) != nil {
			request.Release()
			continue // the record is bad, which its mini-batch will say
		}
		response, err := s.client.Predict(ctx, request, predict.Send{Key: x.run.ID + "/warm-up", Purpose: "warm-up"})
		request.Release()
		if err == nil {
			err = x.resolve(ctx, response.Columns())
			response.Release()
			return "", err
		}
		refusal, ok := errors.AsType[*predict.Error](err)
		if !ok {
			return "", err
		}
		switch answer = refusal.Error(); refusal.Class {
		case api.ClassTransient:
		case api.ClassConfig:
			return answer, api.Fail(api.Reason(api.ClassConfig), "check predict.model and predict.protocol against what the server serves", refusal)
		default:
			return "", nil
		}
	}
	if answer == "" {
		return "", nil
	}
	return answer, errors.New(answer)
}

// resolve fixes, once per plan, the columns that the output has and the size
// of requests. A server that later answers with other columns is another
// model.
func (x *execution) resolve(ctx context.Context, answered []string) error {
	x.resolving.Lock()
	defer x.resolving.Unlock()
	columns := append([]string{}, x.job.Output.Keep...)
	for _, column := range answered {
		for _, kept := range x.job.Output.Keep {
			if column == kept {
				return api.Fail(api.Reason(api.ClassConfig), "name it otherwise in predict.outputs", fmt.Errorf("output column %q is kept from the input and predicted too", column))
			}
		}
		columns = append(columns, column)
	}
	if x.plan.Columns != nil {
		if !slices.Equal(columns, x.plan.Columns) {
			return api.Fail(api.Reason(api.ClassConfig), "rerun the job, or name predict.outputs", fmt.Errorf("the server answers with columns %q; the run began with %q", columns, x.plan.Columns))
		}
		return nil
	}
	rows := *x.job.Predict.RowsPerRequest
	err := x.e.Store.Write(ctx, func(tx *store.Tx) error { return tx.ResolvePlan(x.run.ID, rows, columns) })
	if err == nil {
		x.plan.Columns, x.plan.RowsPerRequest = columns, rows
	}
	return err
}
