package launch

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
)

// program answers each line with its process id and the line. Some lines have
// it do something else.
func program() int {
	signal.Reset()
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 10<<20)
	for n := 1; lines.Scan(); n++ {
		word, argument, _ := strings.Cut(lines.Text(), " ")
		switch word {
		case "exit":
			fmt.Fprintln(os.Stderr, "said", lines.Text())
			code, _ := strconv.Atoi(argument)
			return code
		case "kill":
			number, _ := strconv.Atoi(argument)
			_ = syscall.Kill(os.Getpid(), syscall.Signal(number))
			stay()
		case "hang":
			executable, _ := os.Executable()
			member := &exec.Cmd{Path: executable, Env: append(os.Environ(), roleVariable+"=quiet"), Stdout: os.Stdout}
			if err := member.Start(); err != nil {
				return 97
			}
			fmt.Fprintf(os.Stderr, "hangs %d\nmember %d\n", os.Getpid(), member.Process.Pid)
			stay()
		case "count":
			fmt.Println(n)
			continue
		case "twice":
			fmt.Print("one\ntwo\n")
			continue
		}
		fmt.Printf("%d %s\n", os.Getpid(), lines.Text())
	}
	if os.Getenv("SAY_END") != "" {
		fmt.Println("end")
	}
	return 0
}
