package launch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestStopLeavesNoDescendant(t *testing.T) {
	p, out := start(t, command(t, "family"))
	family := findFamily(t, out, p.PID())
	stop(t, p, 0)
	for _, pid := range family {
		if lives(pid) {
			t.Errorf("process %d of %v survived", pid, family)
		}
	}
}

func TestStopFindsADescendantThatOnlyItsDeadParentLedTo(t *testing.T) {
	p, out := start(t, command(t, "careless"))
	hidden := out.findPID(t, "hidden ")
	killAtEnd(t, hidden)
	out.find(t, "ready")
	stop(t, p, patience)
	if err := p.ExitError(); !strings.Contains(err.Error(), "code 0") {
		t.Fatalf("the test is broken: %v", err)
	}
	if lives(hidden) {
		t.Fatal("the descendant survived")
	}
}

func TestABackgroundProcessNeitherHangsExitedNorSurvivesStop(t *testing.T) {
	p, out := start(t, command(t, "daemon"))
	_ = awaitExit(t, p)
	left := out.findPID(t, "left ")
	if !lives(left) {
		t.Fatal("the test is broken: nobody was left")
	}
	stop(t, p, 0)
	if lives(left) {
		t.Fatal("the background process survived")
	}
}

func TestAServerOutlivesTheThreadThatStartedIt(t *testing.T) {
	c := command(t, "echo")
	out := &lines{arrived: make(chan struct{}, 1)}
	c.Log = out
	p, err := Prepare(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, p, 0) })
	thread := make(chan int)
	go onDyingThread(func() {
		if err := p.Start(); err != nil {
			t.Error(err)
		}
		thread <- unix.Gettid()
	})
	awaitThreadEnd(t, <-thread)
	out.find(t, "ready")
	if err := syscall.Kill(p.PID(), syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	out.find(t, "answer")
}

func TestAKilledRunnerTakesItsServerWithItAndReapTheRest(t *testing.T) {
	prefix := testPrefix() + t.Name() + "/"
	old := startRunner(t, prefix+"1/run-a")
	current := command(t, "family")
	current.ID = prefix + "2/run-b"
	p, out := start(t, current)
	wanted := findFamily(t, out, p.PID())

	if err := old.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	awaitEnd(t, old.server)
	// What the runner's death did not reach; "hidden" lost the one parent by
	// whom it could be found, and is the stand-in's business to end.
	orphans := []int{old.member, old.stranger}
	slices.Sort(orphans)

	thisEpoch := func(id string) bool { return strings.HasPrefix(id, prefix+"2/") }
	killed, err := Reap(t.Context(), prefix, thisEpoch)
	if err != nil || !slices.Equal(killed, orphans) {
		t.Fatalf("killed %v, %v; want %v", killed, err, orphans)
	}
	for _, pid := range orphans {
		if lives(pid) {
			t.Errorf("orphan %d survived", pid)
		}
	}
	for _, pid := range wanted {
		if !lives(pid) {
			t.Errorf("process %d of the current epoch is gone", pid)
		}
	}
	if killed, err := Reap(t.Context(), prefix, thisEpoch); len(killed) > 0 || err != nil {
		t.Errorf("a second reaping killed %v, %v", killed, err)
	}
}

func TestReapFollowsDescendants(t *testing.T) {
	c := command(t, "family")
	p, out := start(t, c)
	family := findFamily(t, out, p.PID())
	killed, err := Reap(t.Context(), c.ID, keepNone)
	slices.Sort(family)
	if err != nil || !slices.Equal(killed, family) {
		t.Fatalf("killed %v, %v; want %v", killed, err, family)
	}
	if err := awaitExit(t, p); !strings.Contains(err.Error(), "SIGKILL") {
		t.Fatal(err)
	}
}

func TestReapNeedsAPrefix(t *testing.T) {
	if _, err := Reap(t.Context(), "", keepNone); err == nil {
		t.Fatal("an empty prefix means every launch of every runner")
	}
}

func TestStartTimeTellsProcessesApart(t *testing.T) {
	p, _ := start(t, command(t, "stubborn"))
	if p.StartTime() == "" || p.StartTime() != startTime(p.PID()) {
		t.Fatalf("start time %q, in /proc %q", p.StartTime(), startTime(p.PID()))
	}
	if err := (process{pid: p.PID(), start: p.StartTime() + "0"}).kill(); err != nil || !lives(p.PID()) {
		t.Fatalf("killed a process of another start time (%v)", err)
	}
	if self := startTime(os.Getpid()); self == p.StartTime() {
		t.Fatalf("both began at %s", self)
	}
}

func TestMembersOfATree(t *testing.T) {
	self := os.Getpid()
	base := func() table {
		return table{
			1:    {pid: 1, start: "1"},
			50:   {pid: 50, parent: 1, group: 50, start: "5", owned: true},
			self: {pid: self, parent: 50, group: syscall.Getpgrp(), start: "6", owned: true},
		}
	}
	for _, test := range []struct {
		name string
		more []process
		tree tree
		want []int
	}{
		{
			name: "group and descendants of whoever carries the id",
			more: []process{
				{pid: -10, parent: 1, group: -10, start: "9", owned: true, launch: "r/1"},
				{pid: -11, parent: 1, group: -10, start: "9", owned: true},
				{pid: -12, parent: -11, group: -12, start: "9", owned: true},
				{pid: -13, parent: 1, group: -13, start: "9", owned: true, launch: "r/2"},
			},
			want: []int{-12, -11, -10},
		},
		{
			name: "a foreign process takes nobody with it",
			more: []process{
				{pid: -10, parent: 1, group: 50, start: "9", launch: "r/1"},
				{pid: -11, parent: -10, group: -11, start: "9", owned: true},
			},
			want: []int{-10},
		},
		{
			name: "neither ourselves nor our ancestors",
			more: []process{{pid: -10, parent: self, group: 50, start: "9", owned: true, launch: "r/1"}},
			want: []int{-10},
		},
		{
			name: "a group without its leader",
			tree: tree{group: -10, seen: map[int]string{-10: "8"}},
			more: []process{{pid: -11, parent: 1, group: -10, start: "9", owned: true}},
			want: []int{-11},
		},
		{
			name: "a group whose number went to another process",
			tree: tree{group: -10, seen: map[int]string{-10: "8"}},
			more: []process{
				{pid: -10, parent: 1, group: -10, start: "9", owned: true},
				{pid: -11, parent: -10, group: -10, start: "9", owned: true},
			},
		},
		{
			name: "whoever belonged before",
			tree: tree{seen: map[int]string{-10: "9", -11: "8"}},
			more: []process{
				{pid: -10, parent: 1, group: -10, start: "9", owned: true},
				{pid: -11, parent: 1, group: -11, start: "9", owned: true},
			},
			want: []int{-10},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.tree.launched = func(id string) bool { return id == "r/1" }
			if test.tree.seen == nil {
				test.tree.seen = map[int]string{}
			}
			table := base()
			for _, p := range test.more {
				table[p.pid] = p
			}
			var got []int
			for pid := range test.tree.members(table) {
				got = append(got, pid)
			}
			slices.Sort(got)
			if !slices.Equal(got, test.want) {
				t.Fatalf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestParseStat(t *testing.T) {
	got, err := parseStat("7 (a) Z 9 (b c) S 3 4 5 0 -1 0 0 0 0 0 1 2 3 4 20 0 8 0 4711 1 2 3\n")
	want := process{parent: 3, group: 4, start: "4711"}
	if err != nil || got != want {
		t.Fatalf("got %+v, %v; want %+v", got, err, want)
	}
	if _, err := parseStat("7 (a) S 3"); err == nil {
		t.Fatal("a short line is no process")
	}
}

// standIn is a process that launched a family as a runner does.
type standIn struct {
	cmd                      *exec.Cmd
	server, member, stranger int
}

func startRunner(t *testing.T, id string) standIn {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out := &lines{arrived: make(chan struct{}, 1)}
	runner := exec.Command(executable)
	runner.Env = []string{roleVariable + "=runner", "FAMILY_ID=" + id}
	pipe, err := runner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := runner.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = runner.Process.Kill(), runner.Wait()
		_, _ = Reap(context.Background(), id, keepNone)
	})
	go func() {
		buffer := make([]byte, 1<<10)
		for {
			n, err := pipe.Read(buffer)
			_, _ = out.Write(buffer[:n])
			if err != nil {
				return
			}
		}
	}()
	s := standIn{cmd: runner, server: out.findPID(t, "server "), member: out.findPID(t, "member "), stranger: out.findPID(t, "stranger ")}
	killAtEnd(t, out.findPID(t, "hidden "))
	out.find(t, "ready")
	return s
}

// findFamily waits for the role "family" and gives its processes.
func findFamily(t *testing.T, out *lines, server int) []int {
	t.Helper()
	family := []int{server, out.findPID(t, "member "), out.findPID(t, "stranger "), out.findPID(t, "hidden ")}
	killAtEnd(t, family[3])
	out.await(t, "ready of each", func(text string) bool { return strings.Count(text, "ready\n") == len(family) })
	return family
}

// killAtEnd is for a process that carries no launch id, in case nobody found it.
func killAtEnd(t *testing.T, pid int) {
	t.Helper()
	hidden, err := readProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hidden.kill() })
}

func lives(pid int) bool {
	p, err := readProcess(pid)
	return err == nil && !p.zombie
}

// awaitEnd waits for the end of a process that is not our child.
func awaitEnd(t *testing.T, pid int) {
	t.Helper()
	handle, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(handle) }()
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(handle), Events: unix.POLLIN}}, 1000)
		if n == 1 {
			return
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			t.Fatal(err)
		}
	}
	t.Fatalf("process %d does not end", pid)
}

// onDyingThread calls do on a thread that ends afterwards, as one does when a
// goroutine returns without unlocking it. The main thread alone never ends.
func onDyingThread(do func()) {
	runtime.LockOSThread()
	if unix.Gettid() != os.Getpid() {
		do()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		onDyingThread(do)
	}()
	<-done
	runtime.UnlockOSThread()
}

func awaitThreadEnd(t *testing.T, thread int) {
	t.Helper()
	await(t, fmt.Sprintf("thread %d to end", thread), func() bool {
		_, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", thread))
		return errors.Is(err, os.ErrNotExist)
	})
}
