package engine

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "draw the guide's diagrams anew")

const lifeGuide = "../../templates/guides/life.md"

// The guide's pictures are drawn from the tables that the engine obeys.
func TestTheGuideShowsTheMachinesAsTheyAre(t *testing.T) {
	text, err := os.ReadFile(lifeGuide)
	if err != nil {
		t.Fatal(err)
	}
	drawn := replaceBetween(t, string(text), "run", diagram(runTransitions))
	drawn = replaceBetween(t, drawn, "mini-batch", diagram(miniBatchTransitions))
	if *update {
		if err := os.WriteFile(lifeGuide, []byte(drawn), 0o644); err != nil { //nolint:gosec // a document
			t.Fatal(err)
		}
	} else if drawn != string(text) {
		t.Errorf("%s does not show the state machines; draw it anew: go test ./runner/engine -run Guide -update", lifeGuide)
	}
}

// diagram draws a machine in Mermaid's language, and as a table for readers
// whose viewer knows none.
func diagram[S ~string](life []transition[S]) string {
	var b strings.Builder
	b.WriteString("```mermaid\nstateDiagram-v2\n")
	_, _ = fmt.Fprintf(&b, "  [*] --> %s\n", life[0].from)
	for _, move := range life {
		_, _ = fmt.Fprintf(&b, "  %s --> %s: %s\n", move.from, move.to, strings.ReplaceAll(move.why, ":", " –"))
	}
	b.WriteString("```\n\n| from | to | when |\n|---|---|---|\n")
	for _, move := range life {
		_, _ = fmt.Fprintf(&b, "| `%s` | `%s` | %s |\n", move.from, move.to, move.why)
	}
	return b.String()
}

func replaceBetween(t *testing.T, text, name, drawn string) string {
	t.Helper()
	begin, end := "<!-- life of a "+name+" -->\n", "<!-- end -->"
	before, rest, found := strings.Cut(text, begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no place for the life of a %s", lifeGuide, name)
	}
	return before + begin + drawn + end + after
}
