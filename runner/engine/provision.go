package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/format"
	"github.com/batchpattern/terraform-provider-batch/runner/predict"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

const (
	// maxLaunches is how often a server may die or time out before it is
	// ready.
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
	// noTimeout leaves the time to a program's pool, which knows what belongs to
	// the start of a process.
	noTimeout = 100 * 365 * 24 * time.Hour
	// warmUps is how many records are tried before a 5xx counts against the
	// server's readiness.
	warmUps = 3
)

// readyServer is a prediction server that answered for its model.
type readyServer struct {
	*predictionServer
	client   *predict.Client
	took     time.Duration // to get ready
	inFlight int           // requests; in the fleet's lock
}

func (s *readyServer) stop(outcome string, also ...func(*store.Tx) error) error {
	if s == nil {
		return nil
	}
	s.client.Close()
	return s.predictionServer.stop(outcome, also...)
}

// predictAll launches the servers and has every mini-batch predicted by them.
// They are gone when it returns.
func (x *execution) predictAll(ctx context.Context) error {
	if err := x.transition(ctx, api.RunProvisioning, ""); err != nil {
		return err
	}
	f, err := x.openFleet(ctx)
	if err != nil {
		return err
	}
	err = x.transition(ctx, api.RunRunning, "")
	if err == nil {
		err = x.dispatch(ctx, f)
	}
	if stopErr := f.stop("run left it"); stopErr != nil {
		x.log.Warn("stop the prediction servers", "error", stopErr)
	}
	if errors.Is(err, errOver) {
		return nil // commit says how it ends
	}
	return err
}

// provision launches a server and waits until its model is ready and has
// answered a warm-up request. One that dies or never gets ready is launched
// again, up to maxLaunches times.
func (f *fleet) provision(ctx context.Context, number int) (*readyServer, error) {
	pause := launchPause
	for n := 1; ; n++ {
		server, err := f.provisionOnce(ctx, number)
		if err == nil {
			return server, nil
		}
		launched := f.x.launches()
		failure, ok := errors.AsType[*api.Failure](err)
		again := ok && launched && f.x.job.Predict.Program == nil && (failure.Reason == api.ReasonLaunchFailed && errors.Is(err, errDied) || failure.Reason == api.ReasonStartTimeout)
		if !again || n == maxLaunches || ctx.Err() != nil {
			if again {
				failure.Err = fmt.Errorf("%d launches failed, the last: %w", n, failure.Err)
			}
			return nil, err
		}
		f.x.log.Warn("launch the prediction server again", "launch", n, "error", err)
		if err := f.x.rest(ctx, pause); err != nil {
			return nil, err
		}
		pause *= 2
	}
}

var errDied = errors.New("the prediction server ended before it was ready")

func (f *fleet) provisionOnce(ctx context.Context, number int) (*readyServer, error) {
	x, begun := f.x, time.Now()
	launched, err := f.launchServer(ctx, number)
	if err != nil {
		return nil, err
	}
	config := predict.Config{
		Protocol: x.job.Predict.Protocol, BaseURL: launched.url, Model: x.job.Predict.Model, Features: x.job.Predict.Features,
		Outputs: x.job.Predict.Outputs, NaN: x.job.Predict.NaN, Parallelism: int(*x.job.Parallelism), Timeout: x.job.Predict.RequestTimeout.Value(),
		PermanentStatuses: x.job.Predict.PermanentStatuses, TransientStatuses: x.job.Predict.TransientStatuses,
		Transport: x.e.Transport, Unbounded: x.wholeMiniBatches(),
	}
	if launched.pool != nil {
		config.Transport, config.Timeout = launched.pool, noTimeout
	}
	client, err := predict.New(config)
	if err != nil {
		return nil, errors.Join(api.Fail(api.Reason(api.ClassConfig), "", err), launched.stop("not used"))
	}
	server := &readyServer{predictionServer: launched, client: client}
	await := f.awaitReady
	if launched.pool != nil {
		await = f.awaitProgram
	}
	if err := await(ctx, server); err != nil {
		return nil, errors.Join(err, server.stop("not ready"))
	}
	if err := f.event(ctx, "ready", server.url); err != nil {
		return nil, errors.Join(err, server.stop("not recorded"))
	}
	server.took = time.Since(begun)
	return server, nil
}

// awaitReady polls the model's readiness, then sends the warm-up. The start
// timeout counts from the last sign of life: a byte of output, or a readiness
// answer unlike the one before.
func (f *fleet) awaitReady(ctx context.Context, s *readyServer) error {
	x := f.x
	limit := endpointTimeout
	if x.job.Predict.Server != nil {
		limit = x.job.Predict.Server.StartTimeout.Value()
	}
	sign, answer, wait := time.Now(), "", probeMin
	for noted := false; ; {
		now, err := s.client.Ready(ctx)
		if err == nil {
			if now, err = f.greet(ctx, s); err == nil {
				return nil
			}
			if isFinal(err) {
				return err
			}
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if x.draining() {
			return errDraining
		}
		if s.isLost() {
			return api.Fail(api.ReasonLaunchFailed, "see the whole output with: batch-runner logs "+f.run.ID, fmt.Errorf("%w: %w", errDied, s.exit()))
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
			if err := f.event(ctx, "not_ready", fmt.Sprintf("%s; given up after %s without a sign of life", answer, limit)); err != nil {
				return err
			}
		}
		switch hopeless(err, silence, limit) {
		case api.Reason(api.ClassConfig):
			return api.Fail(api.Reason(api.ClassConfig), "check predict.model and predict.protocol against what the server serves", err)
		case api.ReasonStartTimeout:
			return api.Fail(api.ReasonStartTimeout, "see its output with: batch-runner logs "+f.run.ID, fmt.Errorf(
				"%s was not ready: no sign of life for %s, the last readiness answer was %q", s.url, limit, answer))
		}
		if err := sleepOr(ctx, wait, s.lost()); err != nil {
			return err
		}
		wait = min(2*wait, probeMax)
	}
}

// isFinal tells what contradicts the job, or the run so far, and an error of our
// own, from an answer that another try may change.
func isFinal(err error) bool {
	_, failed := errors.AsType[*api.Failure](err)
	_, over := errors.AsType[*attemptOver](err)
	_, answered := errors.AsType[*predict.Error](err)
	return failed || over || !answered
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

// greet learns what a ready model takes and which it is, and sends the
// warm-up. An answer that contradicts the job is an *api.Failure.
func (f *fleet) greet(ctx context.Context, s *readyServer) (answer string, err error) {
	err = s.client.Describe(ctx)
	if refusal, ok := errors.AsType[*predict.Error](err); ok && refusal.Class == api.ClassConfig {
		return "", api.Fail(api.Reason(api.ClassConfig), "check predict.model and predict.features against what the server serves", refusal)
	}
	if err != nil {
		return err.Error(), err
	}
	if err := f.recognise(ctx, s); err != nil {
		return "", err
	}
	return f.x.warmUp(ctx, s)
}

// warmUp sends one record and throws the answer away. Connection errors,
// timeouts and 5xx count against readiness, after other records were tried;
// any other answer means that the server speaks.
func (x *execution) warmUp(ctx context.Context, s *readyServer) (answer string, err error) {
	var refusal *predict.Error
	err = x.eachWarmUp(ctx, s, func(err error) (goOn bool, _ error) {
		if !errors.As(err, &refusal) {
			return false, err
		}
		switch refusal.Class {
		case api.ClassTransient:
			return true, refusal
		case api.ClassConfig:
			return false, api.Fail(api.Reason(api.ClassConfig), "check predict.model and predict.protocol against what the server serves", refusal)
		default:
			return false, nil
		}
	})
	if refusal, ok := err.(*predict.Error); ok { //nolint:errorlint // not one inside a failure
		return refusal.Error(), refusal
	}
	return "", err
}

// eachWarmUp sends records one by one until one is answered, or judge does not
// go on after one that is not. The error is judge's last.
func (x *execution) eachWarmUp(ctx context.Context, s *readyServer, judge func(error) (goOn bool, _ error)) error {
	records, err := x.goldenOrSample(ctx)
	if err == nil && len(records) < warmUps {
		var more [][]format.Value
		more, err = x.sample(ctx, warmUps-len(records))
		records = append(records, more...)
	}
	if err != nil {
		return err
	}
	var last error
	for _, features := range records {
		request := s.client.NewRequest()
		if request.Add(features) != nil {
			request.Release()
			continue // the record is bad, which its mini-batch will say
		}
		response, err := s.client.Predict(ctx, request, predict.Send{Key: x.plan.Run + "/warm-up", Purpose: "warm-up"})
		request.Release()
		if err == nil {
			response = x.tellingAnswer(ctx, s, response)
			err = x.resolve(ctx, response)
			response.Release()
			return err
		}
		goOn := false
		if goOn, last = judge(err); !goOn {
			return last
		}
	}
	return last
}
