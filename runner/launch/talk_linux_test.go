package launch

import (
	"os"
	"os/signal"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// Go sends signals to its own threads as it likes; what one of them interrupts
// says nothing about a pipe.
func TestASilentProgramStaysSilentUnderSignals(t *testing.T) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGURG)
	defer signal.Stop(signals)
	talk := &talk{}
	stdin, stdout, err := talk.open()
	if err != nil {
		t.Fatal(err)
	}
	defer talk.close()
	defer stdin.Close()  //nolint:errcheck // a test's
	defer stdout.Close() //nolint:errcheck // a test's

	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	own, done, ended := unix.Gettid(), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-done:
				return
			default:
				_ = unix.Tgkill(os.Getpid(), own, unix.SIGURG)
			}
		}
	}()
	broken := 0
	for range 30_000 {
		if !talk.silent() {
			broken++
		}
	}
	close(done)
	<-ended
	if broken > 0 {
		t.Errorf("it was not silent %d times, of a program that wrote nothing", broken)
	}
}
