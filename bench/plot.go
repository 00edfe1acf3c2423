package main

import (
	"fmt"
	"math"
	"strings"
)

// Measures of the plot, in its own units.
const (
	plotWidth  = 1000
	labelWidth = 250 // left of the bars
	ratioWidth = 130 // right of them
	rowHeight  = 50
	barHeight  = 17
	plotTop    = 62
)

// plotStyle is readable on light and on dark pages.
const plotStyle = `
    .paper { fill: #ffffff }
    .ours { fill: #0969da }
    .peer { fill: #afb8c1 }
    .text { fill: #1f2328 }
    .note { fill: #59636e; font-size: 12px }
    .ratio { font-weight: 600; font-size: 15px }
    .grid { stroke: #d1d9e0 }
    @media (prefers-color-scheme: dark) {
      .paper { fill: #0d1117 }
      .ours { fill: #4493f8 }
      .peer { fill: #656c76 }
      .text { fill: #f0f6fc }
      .note { fill: #9198a1 }
      .grid { stroke: #3d444d }
    }
  `

// plot draws the records per second of each comparison, ours above the
// peer's, on a logarithmic axis.
func plot(r results) string {
	var shown []comparison
	low, high := math.Inf(1), 0.0
	for _, c := range comparisons {
		if p, measured := r.Pairs[c.id]; measured {
			shown = append(shown, c)
			low, high = min(low, p.Ours.perSecond(), p.Peer.perSecond()), max(high, p.Ours.perSecond(), p.Peer.perSecond())
		}
	}
	if len(shown) == 0 {
		low, high = 1, 1
	}
	first := math.Floor(math.Log10(low))
	axis := axis{first: first, last: max(math.Ceil(math.Log10(high)), first+1)}
	height := plotTop + rowHeight*len(shown) + 34

	var w strings.Builder
	fmt.Fprintf(&w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="ui-sans-serif, system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif" font-size="13" role="img" aria-label="Records per second of batch-runner and of what people use instead, on a logarithmic axis">`+"\n", plotWidth, height)
	fmt.Fprintf(&w, "  <style>%s</style>\n  <rect class=\"paper\" width=\"%d\" height=\"%d\" rx=\"8\"/>\n", plotStyle, plotWidth, height)
	fmt.Fprintf(&w, `  <text class="text" x="24" y="32" font-size="16" font-weight="600">Records per second</text>`+"\n")
	fmt.Fprintf(&w, `  <rect class="ours" x="%d" y="20" width="14" height="14"/><text class="text" x="%d" y="32">batch-runner</text>`+"\n", labelWidth, labelWidth+20)
	fmt.Fprintf(&w, `  <rect class="peer" x="%d" y="20" width="14" height="14"/><text class="text" x="%d" y="32">the other</text>`+"\n", labelWidth+130, labelWidth+150)
	fmt.Fprintf(&w, `  <text class="note" x="%d" y="32" text-anchor="end">logarithmic: each line is ten times the one before</text>`+"\n", plotWidth-24)
	bottom := plotTop + rowHeight*len(shown)
	for exponent := axis.first; exponent <= axis.last; exponent++ {
		x := axis.x(math.Pow(10, exponent))
		fmt.Fprintf(&w, `  <line class="grid" x1="%.0f" y1="%d" x2="%.0f" y2="%d"/><text class="note" x="%.0f" y="%d" text-anchor="middle">%s</text>`+"\n",
			x, plotTop-8, x, bottom, x, bottom+18, number(math.Pow(10, exponent)))
	}
	for i, c := range shown {
		y, p := plotTop+rowHeight*i, r.Pairs[c.id]
		fmt.Fprintf(&w, `  <text class="text" x="24" y="%d">%s</text>`+"\n", y+barHeight+5, escape(c.short))
		writeBar(&w, "ours", axis, y, p.Ours.perSecond())
		writeBar(&w, "peer", axis, y+barHeight+2, p.Peer.perSecond())
		fmt.Fprintf(&w, `  <text class="text ratio" x="%d" y="%d" text-anchor="end">%s×</text>`+"\n", plotWidth-24, y+barHeight+6, number(p.wall()))
	}
	w.WriteString("</svg>\n")
	return w.String()
}

// axis is a logarithmic one from 10^first to 10^last.
type axis struct{ first, last float64 }

func (a axis) x(value float64) float64 {
	const width = plotWidth - labelWidth - ratioWidth
	return labelWidth + width*(math.Log10(value)-a.first)/(a.last-a.first)
}

// writeBar draws a bar with its value, outside where it does not fit in.
func writeBar(w *strings.Builder, class string, a axis, y int, value float64) {
	length := a.x(value) - labelWidth
	fmt.Fprintf(w, `  <rect class="%s" x="%d" y="%d" width="%.1f" height="%d" rx="2"/><text class="text" x="%.0f" y="%d" font-size="12">%s</text>`+"\n",
		class, labelWidth, y, length, barHeight, a.x(value)+6, y+13, number(value))
}

func escape(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
}
