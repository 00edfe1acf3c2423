package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

func TestAnErrorReadsAsPathMessageAndRemedy(t *testing.T) {
	for want, e := range map[string]*Error{
		"job iris is unknown":                                     Errorf(CodeNotFound, "", "job %s is unknown", "iris"),
		"job iris exists; import it":                              Errorf(CodeExists, "import it", "job iris exists"),
		"retry.backoff[1] is empty":                               {Pointer: "/retry/backoff/1", Message: "is empty"},
		"job is not valid\n  name is empty; set it\n  a.b is odd": {Code: CodeInvalid, Message: "job is not valid", Problems: []Error{{Pointer: "/name", Message: "is empty", Hint: "set it"}, {Pointer: "/a/b", Message: "is odd"}}},
	} {
		if got := e.Error(); got != want {
			t.Errorf("%q\nwant %q", got, want)
		}
	}
	if err := Invalid("job", nil); err != nil {
		t.Errorf("no findings make the error %v", err)
	}
}

func TestCodeOf(t *testing.T) {
	wrapped := fmt.Errorf("put job: %w", Errorf(CodeOwner, "", "is declared elsewhere"))
	if got := CodeOf(wrapped); got != CodeOwner {
		t.Error(got)
	}
	if got := CodeOf(errors.New("x")); got != CodeInternal {
		t.Error(got)
	}
}

func TestAnErrorSurvivesJSON(t *testing.T) {
	e := &Error{Code: CodeInvalid, Message: "m", Hint: "h", Pointer: "/p", Problems: []Error{{Code: CodeInvalid, Message: "n", Pointer: "/q"}}}
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var got Error
	if err := json.Unmarshal(text, &got); err != nil || !reflect.DeepEqual(&got, e) {
		t.Errorf("%v %+v", err, got)
	}
}

func TestDottedPath(t *testing.T) {
	for pointer, want := range map[string]string{
		"": "", "/name": "name", "/retry/backoff/1": "retry.backoff[1]", "/labels/a~1b": "labels.a/b",
		"/labels/a~0b": "labels.a~b", "/labels/~01": "labels.~1", "/a/0/b": "a[0].b",
	} {
		if got := DottedPath(pointer); got != want {
			t.Errorf("%s reads %q, not %q", pointer, got, want)
		}
	}
}

func TestAnyKeyIsFoundAgainByItsPointer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := "k" + rapid.StringOf(rapid.SampledFrom([]rune("/~01ab."))).Draw(t, "key")
		if got := DottedPath(pointerTo("", key)); got != key {
			t.Fatalf("%q became %q", key, got)
		}
	})
}

func TestAFailureReadsWithItsRemedyAndUnwraps(t *testing.T) {
	cause := errors.New("open /out: permission denied")
	f := Fail(ReasonOutputUnwritable, "make it writable", cause)
	if got := f.Error(); got != "open /out: permission denied; make it writable" {
		t.Error(got)
	}
	if got := Fail(ReasonPublish, "", cause).Error(); got != cause.Error() {
		t.Error(got)
	}
	if !errors.Is(f, cause) {
		t.Error("the cause is lost")
	}
}

func TestBalanced(t *testing.T) {
	sound := Counts{Planned: 10, Committed: 1, Carried: 1, DeadLettered: 1, Gone: 1, Unfinished: 6, Staged: 3, GivenUp: 2}
	if !sound.Balanced() || sound.Failed() != 4 {
		t.Errorf("%+v: %t, %d failed", sound, sound.Balanced(), sound.Failed())
	}
	for name, spoil := range map[string]func(*Counts){
		"planned":         func(c *Counts) { c.Planned++ },
		"committed":       func(c *Counts) { c.Committed++ },
		"carried":         func(c *Counts) { c.Carried++ },
		"dead-lettered":   func(c *Counts) { c.DeadLettered++ },
		"gone":            func(c *Counts) { c.Gone++ },
		"unfinished":      func(c *Counts) { c.Unfinished-- },
		"staged":          func(c *Counts) { c.Staged = 5 },
		"negative staged": func(c *Counts) { c.Staged = -1 },
	} {
		c := sound
		spoil(&c)
		if c.Balanced() {
			t.Errorf("%s: %+v passes", name, c)
		}
	}
}

func TestTheEndedStates(t *testing.T) {
	for state, want := range map[RunState]bool{
		RunQueued: false, RunPlanning: false, RunProvisioning: false, RunRunning: false, RunCommitting: false,
		RunSucceeded: true, RunIncomplete: true, RunFailed: true, RunCancelled: true, RunStopped: true,
	} {
		if state.Ended() != want {
			t.Errorf("%s ended: %t", state, state.Ended())
		}
	}
}
