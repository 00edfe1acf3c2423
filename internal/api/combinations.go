package api

import "time"

// combinations checks what settings mean together: each rule is a row of the
// table in the guide on retrying. What is reported are settings that
// contradict each other, or that nothing would act on.
func (v *validator) combinations(j Job) {
	d := j.WithDefaults()
	policy := d.Retry.Policy
	if policy == PolicyComplete {
		v.complete(d)
	}
	if d.Overlap == OverlapAllow {
		switch {
		case policy == PolicyComplete || policy == PolicyNextBatch:
			v.add("/overlap", "", "%q lets runs go on side by side, which retry.policy %q can't; use %q", d.Overlap, policy, OverlapQueueOne)
		case d.Input.Incremental():
			v.add("/overlap", "", "%q lets runs go on side by side, and with input.mode %q each begins where the last one ended; use %q", d.Overlap, d.Input.Mode, OverlapQueueOne)
		}
	}
	if policy == PolicyNextBatch && *d.Retry.Attempts != 1 {
		v.add("/retry/attempts", "", "%d: with policy %q a mini-batch has one attempt, and what fails is carried to the next run; remove attempts", *d.Retry.Attempts, policy)
	}
	if d.Retry.MaxRunAttempts != nil && policy != PolicyComplete {
		v.add("/retry/max_run_attempts", "", "goes with policy %q only; remove it or set that", PolicyComplete)
	}
	if d.Retry.MaxCarries != nil && !carries(policy, d.Input) {
		if policy == PolicyComplete {
			v.add("/retry/max_carries", "", "goes with records that one run leaves to the next, and policy %q leaves none; remove it", policy)
		} else {
			v.add("/retry/max_carries", "", "goes with policy %q or input.mode %q only; remove it or set one of them", PolicyNextBatch, ModeNewFiles)
		}
	}
}

// complete checks that all or nothing can be kept.
func (v *validator) complete(d Job) {
	if d.Output.Publish == PublishProgressive {
		v.add("/output/publish", "", "%q shows mini-batches before the run has ended, and retry.policy %q promises all or nothing; change one of them", d.Output.Publish, PolicyComplete)
	}
	if t, err := ParseThreshold(d.MaxFailed); err == nil && !t.Zero() {
		v.add("/max_failed", "", "%q lets records fail, and retry.policy %q promises all or nothing; set it to \"0\" or remove it", d.MaxFailed, PolicyComplete)
	}
	if d.Predict.OnModelChange == ModelChangeContinue {
		v.add("/predict/on_model_change", "", "%q lets a run mix models, and with retry.policy %q all predictions come from one; change one of them", d.Predict.OnModelChange, PolicyComplete)
	}
}

// memory checks what goes with an incremental mode only.
func (v *validator) memory(in Input) {
	if in.Incremental() && in.OnEmpty != "" {
		v.add("/input/on_empty", "", "goes with mode %q only: with mode %q a run without new files has succeeded; remove it", ModeFull, in.Mode)
	}
	only := func(pointer string, set bool) {
		if set && !in.Incremental() {
			v.add(pointer, "", "goes with input.mode %q only; remove it or set that", ModeNewFiles)
		}
	}
	only("/input/state", in.State != "")
	if in.Files == nil {
		return
	}
	only("/input/files/min_age", in.Files.MinAge != "")
	only("/input/files/done_marker", in.Files.DoneMarker != "")
	v.duration("/input/files/min_age", in.Files.MinAge, 0, 365*24*time.Hour)
	if in.Files.DoneMarker != "" {
		if err := checkDoneMarker(in.Files.DoneMarker); err != nil {
			v.add("/input/files/done_marker", "", "%v", err)
		}
	}
}

func (v *validator) deadLetters(j Job) {
	d := j.DeadLetters
	if d == nil {
		return
	}
	v.word("/dead_letters/input", d.Input, DeadInputFull, DeadInputKeyOnly)
	v.duration("/dead_letters/keep_for", d.KeepFor, time.Hour, 3650*24*time.Hour)
	if d.Input == DeadInputKeyOnly && len(j.Input.Key) == 0 {
		v.add("/dead_letters/input", "", "%q keeps nothing but the key, and the job has none; list its columns in input.key", d.Input)
	}
}
