package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/failpoint"
	"github.com/batchpattern/terraform-provider-batch/runner/launch"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

const (
	// logLimit is how much of a run's server output is kept.
	logLimit = 10 << 20
	// stopGrace is how long a prediction server may take to end on SIGTERM.
	stopGrace = 10 * time.Second
)

// Process is a launched prediction server: a *launch.Process.
type Process interface {
	Start() error
	PID() int
	StartTime() string
	URL() string
	Exited() <-chan struct{}
	LastOutput() time.Time
	ExitError() error
	Stop(ctx context.Context, grace time.Duration) error
}

// prepare makes the process of a launch; it starts nothing.
func (e *Engine) prepare(c launch.Command) (Process, error) {
	if e.Launch != nil {
		return e.Launch(c)
	}
	return launch.Prepare(c)
}

// predictionServer is the server of one launch, or an endpoint that is
// somebody else's. It lives no longer than its run.
type predictionServer struct {
	f       *fleet
	url     string
	id      string // launch id; empty for an endpoint
	process Process
	pool    *launch.Pool   // the processes of a program
	print   fingerprint    // of the model that it serves
	log     io.WriteCloser // of this server alone
}

// openServerLog opens the log that all servers of a run share.
func (x *execution) openServerLog() (*launch.Log, error) {
	if err := os.MkdirAll(x.e.RunDir(x.run.ID), 0o700); err != nil {
		return nil, fmt.Errorf("create the run's folder: %w", err)
	}
	return launch.OpenLog(x.e.LogPath(x.run.ID), logLimit)
}

// launchServer starts the job's server command. The intent is recorded before
// the fork and the process after it, so that no crash leaves a server nobody
// knows of. Where a run has several servers, number tells their output apart.
func (f *fleet) launchServer(ctx context.Context, number int) (*predictionServer, error) {
	x := f.x
	if endpoint := x.job.Predict.Endpoint; endpoint != nil {
		print, err := x.identify(ctx)
		return &predictionServer{f: f, url: endpoint.URL, print: print}, err
	}
	s := &predictionServer{f: f, id: fmt.Sprintf("%s.%d.%s", x.e.Store.RunnerID(), x.e.Store.Epoch(), rand.Text()[:10])}
	secrets, err := x.secrets()
	if err != nil {
		return nil, err
	}
	if s.print, err = x.identify(ctx); err != nil {
		return nil, err
	}
	if program := x.job.Predict.Program; program != nil {
		return s, s.openPool(ctx, *program, secrets)
	}
	spec := x.job.Predict.Server
	prefix := ""
	if *spec.Replicas > 1 {
		prefix = fmt.Sprintf("[%d] ", number)
	}
	s.log = launch.Lines(f.log, prefix)
	s.process, err = x.e.prepare(launch.Command{
		ID: s.id, Args: spec.Command, Dir: spec.WorkingDir, Env: spec.Env, SecretEnv: secrets, Model: x.job.Predict.Model, Log: s.log,
	})
	if err != nil {
		return nil, err
	}
	launched := store.Launch{ID: s.id, Run: f.run.ID, UID: f.run.JobUID, Price: spec.PricePerHour}
	if err := x.e.Store.Write(ctx, func(tx *store.Tx) error { return tx.InsertLaunch(launched) }); err != nil {
		return nil, errors.Join(err, s.process.Stop(ctx, 0))
	}
	failpoint.Here("launch.intent")
	if err := s.process.Start(); err != nil {
		return nil, errors.Join(err, s.stop("did not start"))
	}
	failpoint.Here("launch.forked")
	s.url = s.process.URL()
	err = x.e.Store.Write(ctx, func(tx *store.Tx) error {
		if err := tx.RecordLaunch(s.id, s.process.PID(), s.process.StartTime()); err != nil {
			return err
		}
		return f.eventIn(tx, "launch", fmt.Sprintf("pid %d at %s", s.process.PID(), s.url))
	})
	if err != nil {
		return nil, errors.Join(err, s.stop("not recorded"))
	}
	failpoint.Here("launch.recorded")
	return s, nil
}

// openPool readies the processes of a program, which are one launch however
// many they become. None is started before the first request.
func (s *predictionServer) openPool(ctx context.Context, program api.Program, secrets map[string]string) (err error) {
	x := s.f.x
	s.url, s.log = program.Command[0], launch.Lines(s.f.log, "")
	s.pool, err = launch.OpenPool(launch.Program{
		ID: s.id, Args: program.Command, Dir: program.WorkingDir, Env: program.Env, SecretEnv: secrets, Log: s.log, Once: program.Per == api.PerMiniBatch,
		Timeout: x.job.Predict.RequestTimeout.Value(), StartTimeout: api.DefaultStartTimeout.Value(),
	})
	if err != nil {
		return err
	}
	err = x.e.Store.Write(ctx, func(tx *store.Tx) error {
		if err := tx.InsertLaunch(store.Launch{ID: s.id, Run: s.f.run.ID, UID: s.f.run.JobUID}); err != nil {
			return err
		}
		return s.f.eventIn(tx, "launch", "program "+program.Command[0])
	})
	if err != nil {
		return err
	}
	failpoint.Here("launch.intent")
	return nil
}

// launches tells whether what predicts is started by this run, and can be
// started anew.
func (x *execution) launches() bool { return x.job.Predict.Endpoint == nil }

// wholeMiniBatches tells whether a request is a whole mini-batch, whatever its
// size.
func (x *execution) wholeMiniBatches() bool {
	program := x.job.Predict.Program
	return program != nil && program.Per == api.PerMiniBatch
}

// secrets resolves the secret environment, anew for each launch.
func (x *execution) secrets() (map[string]string, error) {
	refs, where := map[string]api.SecretRef{}, ""
	switch p := x.job.Predict; {
	case p.Server != nil:
		refs, where = p.Server.SecretEnv, "predict.server"
	case p.Program != nil:
		refs, where = p.Program.SecretEnv, "predict.program"
	}
	values := map[string]string{}
	for name, ref := range refs {
		value, err := x.e.Secrets.Resolve(ref)
		if err != nil {
			return nil, api.Fail(api.Reason(api.ClassConfig), "", fmt.Errorf("%s.secret_env.%s: %w", where, name, err))
		}
		values[name] = value
	}
	return values, nil
}

// lost is closed when the launched process is gone; an endpoint is never
// known to be lost.
func (s *predictionServer) lost() <-chan struct{} {
	if s.process == nil {
		return nil
	}
	return s.process.Exited()
}

func (s *predictionServer) isLost() bool {
	select {
	case <-s.lost():
		return true
	default:
		return false
	}
}

// lastSign is when the server last wrote something.
func (s *predictionServer) lastSign() time.Time {
	if s.process == nil {
		return time.Time{}
	}
	return s.process.LastOutput()
}

// exit says how the process ended, with the last it wrote to stderr.
func (s *predictionServer) exit() error {
	if s.process == nil {
		return errors.New("the endpoint is gone")
	}
	return s.process.ExitError()
}

// stop ends the server and everything it started, and records the end, in one
// transaction with what else there is to say about it.
func (s *predictionServer) stop(outcome string, also ...func(*store.Tx) error) error {
	if s == nil || s.id == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*stopGrace)
	defer cancel()
	var err error
	if s.pool != nil {
		err = s.pool.Close(ctx, stopGrace)
	} else {
		err = s.process.Stop(ctx, stopGrace)
	}
	return errors.Join(err, s.log.Close(), s.f.x.e.Store.Write(ctx, func(tx *store.Tx) error {
		if err := tx.EndLaunch(s.id, outcome); err != nil {
			return err
		}
		for _, step := range also {
			if err := step(tx); err != nil {
				return err
			}
		}
		return nil
	}))
}

// launchEpoch reads the epoch out of a launch id.
func (e *Engine) launchEpoch(id string) int64 {
	parts := strings.Split(strings.TrimPrefix(id, e.Store.RunnerID()+"."), ".")
	epoch, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil {
		return -1
	}
	return epoch
}
