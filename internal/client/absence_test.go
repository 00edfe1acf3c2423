package client

import (
	"errors"
	"testing"
	"time"

	"github.com/batchpattern/terraform-provider-batch/internal/api"
)

func TestAnAbsentRunnerIsToldOnceAndBorneWithForAWhile(t *testing.T) {
	start := time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)
	gone := api.Errorf(api.CodeUnreachable, "", "no answer")
	var a Absence
	miss := func(after time.Duration, wantTell, wantBear bool) {
		t.Helper()
		if tell, bear := a.Missed(gone, start.Add(after)); tell != wantTell || bear != wantBear {
			t.Errorf("after %s: tell %t, bear %t", after, tell, bear)
		}
	}
	miss(0, false, true) // it may be no more than a restart
	miss(time.Second, false, true)
	miss(noticed, true, true)
	miss(noticed+time.Second, false, true)
	miss(patience-1, false, true)
	miss(patience, false, false)
	if !a.Answered() || a.Answered() {
		t.Error("that it is back is to be told once, where it was missed")
	}
	miss(time.Hour, false, true) // another absence
	if a.Answered() {
		t.Error("nobody knows of a short absence")
	}
}

func TestNobodyWaitsForAnotherRunnerOrARefusal(t *testing.T) {
	for _, err := range []error{
		api.Errorf(api.CodeOtherRunner, "", "a stranger"), api.Errorf(api.CodeNotFound, "", "no such run"), errors.New("no JSON"),
	} {
		if tell, bear := new(Absence).Missed(err, time.Now()); tell || bear {
			t.Errorf("%v is borne with", err)
		}
	}
	if _, bear := new(Absence).Missed(api.Errorf(api.CodeUnavailable, "", "draining"), time.Now()); !bear {
		t.Error("a runner that starts or drains is not waited for")
	}
}
