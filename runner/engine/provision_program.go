package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/launch"
	"github.com/batchpattern/terraform-provider-batch/runner/predict"
)

// awaitProgram has a program answer a record. How long that may take its pool
// knows, which sees whether the record was read; meanwhile the run says what it
// waits for.
func (f *fleet) awaitProgram(ctx context.Context, s *readyServer) error {
	said := f.saySilence(ctx, s)
	err := f.recognise(ctx, s)
	if err == nil {
		err = f.x.eachWarmUp(ctx, s, f.judgeProgram)
	}
	switch err := errors.Join(err, said()); {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case f.x.draining():
		return errDraining
	default:
		return err
	}
}

// judgeProgram says what a program's failure at a warm-up record means. Records
// that it refuses tell that it works.
func (f *fleet) judgeProgram(err error) (goOn bool, _ error) {
	refusal, ok := errors.AsType[*predict.Error](err)
	if !ok {
		return false, err
	}
	hint := "see all that it wrote to stderr with: batch-runner logs " + f.run.ID
	end, ended := errors.AsType[*launch.ProgramError](err)
	if ended && end.Hint() != "" {
		hint = end.Hint()
	}
	switch {
	case ended && end.Timeout():
		return false, api.Fail(api.ReasonStartTimeout, hint, refusal)
	case refusal.Class == api.ClassConfig:
		return false, api.Fail(api.Reason(api.ClassConfig), hint, refusal)
	case refusal.Class == api.ClassTransient:
		return true, api.Fail(api.ReasonLaunchFailed, hint, refusal)
	case !ended:
		return true, api.Fail(api.Reason(api.ClassConfig),
			"on stdout a program writes one line of JSON for each record and nothing else: send whatever it has to say to stderr", withAnswer(refusal))
	default:
		return false, nil
	}
}

// withAnswer is the error of an answer, with the answer.
func withAnswer(refusal *predict.Error) error {
	if refusal.Body == "" {
		return refusal
	}
	return fmt.Errorf("%w: it wrote %.200q", refusal, refusal.Body)
}

// saySilence notes after a while what a program is waited for; the end of the
// wait ends it, and gives the error of the note.
func (f *fleet) saySilence(ctx context.Context, s *readyServer) (end func() error) {
	noted := make(chan error, 1)
	timer := time.AfterFunc(silenceNoted, func() {
		answer := s.pool.Waiting()
		f.x.log.Warn("the program is not ready yet", "answer", answer)
		noted <- f.event(ctx, "not_ready", answer)
	})
	return func() error {
		if timer.Stop() {
			return nil
		}
		return <-noted
	}
}
