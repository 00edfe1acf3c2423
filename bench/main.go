package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// Between these the guide has what was measured.
const (
	opening = "<!-- results: make bench -->\n"
	closing = "<!-- end -->\n"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: bench RESULTS, from the root of the repository; see make bench")
		os.Exit(64)
	}
	if err := render(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// render writes the guide and the plot, where results are those of full sizes;
// others are for the developer only, and lie beside the results.
func render(path string) error {
	r, err := readResults(path)
	if err != nil {
		return err
	}
	if len(r.Figures)+len(r.Pairs) == 0 {
		return fmt.Errorf("%s holds no figure: run make bench", path)
	}
	if r.Scale != 1 {
		scratch := filepath.Dir(path)
		fmt.Printf("sizes are scaled by %g: the page and the plot are in %s, the guide stays as it is\n", r.Scale, scratch)
		return writeAll(map[string]string{filepath.Join(scratch, "benchmarks.md"): page(r), filepath.Join(scratch, "benchmarks.svg"): plot(r)})
	}
	const guide = "templates/guides/benchmarks.md"
	text, err := os.ReadFile(guide)
	if err != nil {
		return err
	}
	filled, err := fill(string(text), page(r))
	if err != nil {
		return fmt.Errorf("fill %s: %w", guide, err)
	}
	return writeAll(map[string]string{guide: filled, "docs/guides/benchmarks.md": filled, "docs/benchmarks.svg": plot(r)})
}

func writeAll(files map[string]string) error {
	for path, text := range files {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
