//go:build failpoint

package failpoint

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
)

var (
	target, targetPass = parse(os.Getenv("BATCH_FAILPOINT"))
	passes             atomic.Int64
)

func parse(setting string) (name string, pass int64) {
	if setting == "" {
		return "", 0
	}
	name, count, counted := strings.Cut(setting, ":")
	pass = 1
	if counted {
		n, err := strconv.ParseInt(count, 10, 64)
		if err != nil || n < 1 {
			panic(fmt.Sprintf("BATCH_FAILPOINT=%s: %q is not a pass, counting from 1", setting, count))
		}
		pass = n
	}
	mustKnow(name)
	return name, pass
}

func mustKnow(name string) {
	if !slices.Contains(Names, name) {
		panic(fmt.Sprintf("failpoint %q is not in failpoint.Names", name))
	}
}

// Here ends the process if this is the pass that BATCH_FAILPOINT asks for.
func Here(name string) {
	mustKnow(name)
	if name != target || passes.Add(1) != targetPass {
		return
	}
	if err := record(name); err != nil {
		panic(fmt.Sprintf("record failpoint %s: %v", name, err))
	}
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Kill()
	}
	if err != nil {
		panic(fmt.Sprintf("kill at failpoint %s: %v", name, err))
	}
	select {} // the signal is on its way; nothing may happen any more
}

func record(name string) error {
	path := os.Getenv("BATCH_FAILPOINT_LOG")
	if path == "" {
		return nil
	}
	log, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	if _, err := log.WriteString(name + "\n"); err != nil {
		return err
	}
	return log.Sync()
}
