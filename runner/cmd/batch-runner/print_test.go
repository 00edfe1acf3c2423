package main

import (
	"strings"
	"testing"
)

// What databases and servers say may have lines and tabs of its own.
func TestWhatHasSeveralLinesKeepsTheLayout(t *testing.T) {
	const said = "open database postgres://h/x: connect:\n\thostname resolving error:\n\n\t\tno such host\n"
	if got, want := indented(said, "  "), "open database postgres://h/x: connect:\n  hostname resolving error:\n  no such host"; got != want {
		t.Errorf("got %q", got)
	}
	if got := indented("  one line, as it is ", "  "); got != "  one line, as it is " {
		t.Errorf("got %q", got)
	}
	var out strings.Builder
	(&printer{w: &out}).table([][]string{{"PROBLEM", "input", said}, {"ok", "disk", "tab\there"}})
	want := "PROBLEM  input  open database postgres://h/x: connect:\n                hostname resolving error:\n                no such host\nok       disk   tab here\n"
	if out.String() != want {
		t.Errorf("got\n%s", out.String())
	}
}
