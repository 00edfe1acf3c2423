package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
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

// predictionServer is the server of one launch, or an endpoint that is
// somebody else's. It lives no longer than its run.
type predictionServer struct {
	x       *execution
	url     string
	id      string // launch id; empty for an endpoint
	process *launch.Process
	log     *launch.Log
}

// launchServer starts the job's server command. The intent is recorded before
// the fork and the process after it, so that no crash leaves a server nobody
// knows of.
func (x *execution) launchServer(ctx context.Context) (*predictionServer, error) {
	if endpoint := x.job.Predict.Endpoint; endpoint != nil {
		return &predictionServer{x: x, url: endpoint.URL}, nil
	}
	spec := x.job.Predict.Server
	s := &predictionServer{x: x, id: fmt.Sprintf("%s.%d.%s", x.e.Store.RunnerID(), x.e.Store.Epoch(), rand.Text()[:10])}
	secrets, err := x.secrets()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(x.e.RunDir(x.run.ID), 0o700); err != nil {
		return nil, fmt.Errorf("create the run's folder: %w", err)
	}
	if s.log, err = launch.OpenLog(x.e.LogPath(x.run.ID), logLimit); err != nil {
		return nil, err
	}
	s.process, err = launch.Prepare(launch.Command{
		ID: s.id, Args: spec.Command, Dir: spec.WorkingDir, Env: spec.Env, SecretEnv: secrets, Model: x.job.Predict.Model, Log: s.log,
	})
	if err != nil {
		return nil, errors.Join(err, s.log.Close())
	}
	if err := x.e.Store.Write(ctx, func(tx *store.Tx) error { return tx.InsertLaunch(x.run.ID, s.id) }); err != nil {
		return nil, errors.Join(err, s.log.Close())
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
		return tx.Event(store.Event{UID: x.run.JobUID, Run: x.run.ID, Event: api.Event{Kind: "launch", Actor: "runner",
			Detail: fmt.Sprintf("pid %d at %s", s.process.PID(), s.url)}})
	})
	if err != nil {
		return nil, errors.Join(err, s.stop("not recorded"))
	}
	failpoint.Here("launch.recorded")
	return s, nil
}

// secrets resolves the server's secret environment, anew for each launch.
func (x *execution) secrets() (map[string]string, error) {
	values := map[string]string{}
	for name, ref := range x.job.Predict.Server.SecretEnv {
		value, err := x.e.Secrets.Resolve(ref)
		if err != nil {
			return nil, api.Fail(api.Reason(api.ClassConfig), "", fmt.Errorf("predict.server.secret_env.%s: %w", name, err))
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

// stop ends the server and everything it started, and records the end.
func (s *predictionServer) stop(why string) error {
	if s == nil || s.process == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*stopGrace)
	defer cancel()
	err := s.process.Stop(ctx, stopGrace)
	return errors.Join(err, s.log.Close(), s.x.e.Store.Write(ctx, func(tx *store.Tx) error { return tx.EndLaunch(s.id, why) }))
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
