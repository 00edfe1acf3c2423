package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
	"github.com/batchpattern/terraform-provider-batch/runner/launch"
	"github.com/batchpattern/terraform-provider-batch/runner/store"
)

// fingerprint identifies the model that a launch serves, as far as that can be
// seen from outside.
type fingerprint struct {
	ID         string   `json:"id"`                   // of what is below
	Path       string   `json:"path,omitzero"`        // where the program was found; not part of the id
	Executable string   `json:"executable,omitzero"`  // sha256 of the program
	Script     string   `json:"script,omitzero"`      // sha256 of the file that an interpreter is given
	Args       []string `json:"args,omitzero"`        // as the job has them
	ModelFiles string   `json:"model_files,omitzero"` // sha256 over predict.server.model_files
	Model      string   `json:"model"`                // name asked for
	Version    string   `json:"version,omitzero"`     // asked for
	Reported   []string `json:"reported,omitzero"`    // versions that the server tells
}

// seal completes a fingerprint with its id. The same program in another place
// is the same.
func (p fingerprint) seal() fingerprint {
	content := p
	content.ID, content.Path = "", ""
	sum := sha256.Sum256(content.document())
	p.ID = hex.EncodeToString(sum[:8])
	return p
}

func (p fingerprint) document() []byte {
	document, err := json.Marshal(p)
	if err != nil {
		panic(err) // strings always marshal
	}
	return document
}

// differences says what is not as it was.
func (p fingerprint) differences(was fingerprint) string {
	var found []string
	note := func(what, before, now string) {
		if before != now {
			found = append(found, fmt.Sprintf("%s (%s, was %s)", what, orNone(now), orNone(before)))
		}
	}
	note("model", was.Model, p.Model)
	note("predict.model.version", was.Version, p.Version)
	note("the version that the server reports", strings.Join(was.Reported, ", "), strings.Join(p.Reported, ", "))
	if p.Executable != was.Executable {
		found = append(found, p.otherExecutable(was))
	}
	note("the script, in content", digest(was.Script), digest(p.Script))
	note("the model files, in name or content", digest(was.ModelFiles), digest(p.ModelFiles))
	if !slices.Equal(was.Args, p.Args) {
		found = append(found, fmt.Sprintf("the arguments (%q, was %q)", p.Args, was.Args))
	}
	return strings.Join(found, "; ")
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

// otherExecutable says in what way the program is another one: it was found
// elsewhere, or is not what it was.
func (p fingerprint) otherExecutable(was fingerprint) string {
	switch {
	case p.Executable == "" || was.Executable == "":
		return fmt.Sprintf("the program (%s, was %s)", orNone(p.Path), orNone(was.Path))
	case was.Path == "" || p.Path == was.Path:
		return fmt.Sprintf("the program %s, in content (%s, was %s)", p.Path, digest(p.Executable), digest(was.Executable))
	}
	return fmt.Sprintf("the program (%s with %s, was %s with %s)", p.Path, digest(p.Executable), was.Path, digest(was.Executable))
}

// digest is enough of a hash to tell two apart.
func digest(sum string) string {
	if sum == "" {
		return ""
	}
	return "sha256 " + sum[:min(len(sum), 12)]
}

// identify takes the fingerprint of a launch before it starts. A model file
// that is not there is the job's mistake.
func (x *execution) identify(ctx context.Context) (fingerprint, error) {
	p := fingerprint{Model: x.job.Predict.Model.Name, Version: x.job.Predict.Model.Version}
	var command, files []string
	dir, find := "", launch.Executable
	switch predict := x.job.Predict; {
	case predict.Server != nil:
		command, dir, files = predict.Server.Command, predict.Server.WorkingDir, predict.Server.ModelFiles
	case predict.Program != nil:
		command, dir, find = predict.Program.Command, predict.Program.WorkingDir, launch.ProgramExecutable
	default:
		return p, nil
	}
	p.Args = command[1:]
	var err error
	if p.Path, err = find(command[0], dir); err != nil {
		return p, err
	}
	if p.Executable, p.Script, err = x.e.hashes.command(ctx, command, dir); err != nil {
		return p, err
	}
	p.ModelFiles, err = x.e.hashes.files(ctx, files)
	return p, err
}

// recognise compares a ready server with the model that the run has predicted
// with so far. The first one of a run, or of an attempt that has no result yet,
// says which that is.
func (f *fleet) recognise(ctx context.Context, s *readyServer) error {
	s.print.Reported = s.client.Versions()
	s.print = s.print.seal()
	f.printing.Lock()
	defer f.printing.Unlock()
	if f.print == nil {
		stored, err := f.remember(ctx, s.print)
		if err != nil {
			return err
		}
		f.print = &stored
	}
	if s.print.ID == f.print.ID || f.others[s.print.ID] {
		return nil
	}
	differs := fmt.Errorf("another model than the run began with: %s", s.print.differences(*f.print))
	switch {
	case f.x.job.Predict.OnModelChange == api.ModelChangeContinue:
		f.others[s.print.ID] = true
		return f.event(ctx, "model_changed", differs.Error())
	case f.x.job.Retry.Policy == api.PolicyComplete:
		return &attemptOver{Reason: api.ReasonModelChanged, Err: differs}
	}
	return api.Fail(api.ReasonModelChanged,
		`run the occurrence again with one model, or set predict.on_model_change = "continue" and retry`, differs)
}

// remember gives the fingerprint that binds the run: the stored one where
// anything was predicted with it, else this one, which is stored.
func (f *fleet) remember(ctx context.Context, now fingerprint) (fingerprint, error) {
	bound := now
	err := f.x.e.Store.Write(ctx, func(tx *store.Tx) error {
		document, binds, err := tx.Fingerprint(f.run.ID)
		if errors.Is(err, store.ErrNotFound) {
			return store.ErrFenced // purged meanwhile
		}
		if err != nil {
			return err
		}
		if binds && document != "" {
			return json.Unmarshal([]byte(document), &bound)
		}
		bound = now
		return tx.SetFingerprint(f.run.ID, string(now.document()))
	})
	return bound, err
}
