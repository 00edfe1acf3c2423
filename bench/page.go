package main

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// fill puts a text between the guide's markers.
func fill(guide, text string) (string, error) {
	before, rest, opened := strings.Cut(guide, opening)
	_, after, closed := strings.Cut(rest, closing)
	if !opened || !closed {
		return "", fmt.Errorf("there is no %q with %q below it", opening, closing)
	}
	return before + opening + text + closing + after, nil
}

// page is what was measured, as Markdown.
func page(r results) string {
	var w strings.Builder
	writeMachine(&w, r)
	writeComparisons(&w, r)
	for _, g := range groups {
		writeGroup(&w, g, r)
	}
	writeMatrix(&w, r)
	return w.String()
}

func writeMachine(w *strings.Builder, r results) {
	fmt.Fprintf(w, "\nMeasured on %s at %s: %d cores of %s, %d GB of memory, %s, %s.", r.Date.Format("2 January 2006"), strings.Join(r.Commits, " and "),
		r.Machine.Cores, r.Machine.CPU, r.Machine.MemoryGB, r.Machine.System, r.Machine.Go)
	var peers []string
	for _, name := range slices.Sorted(maps.Keys(r.Peers)) {
		peers = append(peers, name+" ("+r.Peers[name]+")")
	}
	if len(peers) > 0 {
		fmt.Fprintf(w, " Beside us: %s.", strings.Join(peers, ", "))
	}
	w.WriteString("\n")
}

func writeComparisons(w *strings.Builder, r results) {
	w.WriteString("\n## Against others\n\n| work | instead of batch-runner | theirs, records/s | ours, records/s | faster | less CPU | turns | target | met |\n|---|---|--:|--:|--:|--:|--:|--:|:-:|\n")
	for _, c := range comparisons {
		p, measured := r.Pairs[c.id]
		if !measured {
			continue
		}
		var targets []string
		met := true
		if c.wall > 0 {
			targets, met = append(targets, "≥ "+number(c.wall)+"×"), p.wall() >= c.wall
		}
		if c.cpu > 0 {
			targets, met = append(targets, "CPU ≥ "+number(c.cpu)+"×"), met && p.cpu() >= c.cpu
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | **%s×** | %s× | %d | %s | %s |\n", c.work, c.peer, number(p.Peer.perSecond()), number(p.Ours.perSecond()),
			number(p.wall()), number(p.cpu()), p.Turns, strings.Join(targets, ", "), tick(met, len(targets) > 0))
	}
}

func writeGroup(w *strings.Builder, g group, r results) {
	var rows strings.Builder
	for _, b := range g.bars {
		value, measured := r.Figures[b.id]
		if !measured {
			continue
		}
		target := ""
		if b.target > 0 {
			sign := "≤"
			if b.atLeast {
				sign = "≥"
			}
			target = sign + " " + number(b.target) + unit(b.unit)
		}
		fmt.Fprintf(&rows, "| %s | %s%s | %s | %s |\n", b.what, number(value), unit(b.unit), target, tick(b.met(value), b.target > 0))
	}
	if rows.Len() > 0 {
		fmt.Fprintf(w, "\n## %s\n\n| what | measured | target | met |\n|---|--:|--:|:-:|\n%s", g.title, rows.String())
	}
}

func writeMatrix(w *strings.Builder, r results) {
	var rows strings.Builder
	for _, from := range formats {
		var cells []string
		for _, to := range formats {
			value, measured := r.Figures[matrixID(from, to)]
			cell := ""
			if measured {
				cell = number(value) + " µs"
			}
			cells = append(cells, cell)
		}
		if strings.Join(cells, "") != "" {
			fmt.Fprintf(&rows, "| from %s | %s |\n", formatNames[from], strings.Join(cells, " | "))
		}
	}
	if rows.Len() > 0 {
		fmt.Fprintf(w, "\n## Formats\n\nCPU time of the runner per record, 128 records per request:\n\n| | to CSV | to JSON Lines | to Parquet |\n|---|--:|--:|--:|\n%s\n", rows.String())
	}
}

var formatNames = map[string]string{"csv": "CSV", "jsonl": "JSON Lines", "parquet": "Parquet"}

// tick says whether a target was met, where there is one.
func tick(met, target bool) string {
	switch {
	case !target:
		return ""
	case met:
		return "yes"
	}
	return "no"
}

func unit(name string) string {
	if name == "×" || name == "" {
		return name
	}
	return " " + name
}

// number is a value with as many digits as one can rely on: three, and
// thousands parted by commas.
func number(value float64) string {
	if value == 0 || math.IsInf(value, 0) || math.IsNaN(value) {
		return strconv.FormatFloat(value, 'g', -1, 64)
	}
	magnitude := int(math.Floor(math.Log10(math.Abs(value))))
	if decimals := 2 - magnitude; decimals > 0 {
		text := strconv.FormatFloat(value, 'f', decimals, 64)
		return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
	}
	unit := math.Pow10(magnitude - 2)
	digits := strconv.FormatInt(int64(math.Round(value/unit)*unit), 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
