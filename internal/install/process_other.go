//go:build !unix

package install

import (
	"errors"
	"os/exec"
	"runtime"
)

var errNotHere = errors.New("a runner can't be installed on " + runtime.GOOS + "; install it elsewhere and use existing")

func detach(*exec.Cmd) {}

func terminate(int) error { return errNotHere }

func lock(string) (func(), error) { return nil, errNotHere }

func lockHolder(string) string { return "" }
