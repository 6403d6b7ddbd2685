package main

import (
	"bytes"
	"fmt"
	"html"
	"math"
)

// A series is one line of the plot; a point without a line where it has one only.
type series struct {
	label string
	class string
	at    []point
}

type point struct{ x, y float64 }

const (
	plotWidth, plotHeight = 360, 240
	marginLeft, marginTop = 50, 40
	gap                   = 60
)

// plotStyle is readable on a light page and on a dark one.
const plotStyle = `<style>
text{font:13px system-ui,sans-serif;fill:#24292f}
.title{font-weight:600}
.note{font-size:12px;fill:#57606a}
.axis{stroke:#8c959f;fill:none}
.grid{stroke:#d0d7de;fill:none}
.a{stroke:#0969da}.b{stroke:#54aeff}.c{stroke:#0a3069}
.line{fill:none;stroke-width:2}
.dot.a{fill:#0969da}.dot.b{fill:#54aeff}.dot.c{fill:#0a3069}
.peer{fill:#bc4c00;stroke:none}
.sim{fill:none;stroke:#bc4c00;stroke-width:2}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.note{fill:#8b949e}.grid{stroke:#30363d}
.c{stroke:#cae8ff}.dot.c{fill:#cae8ff}.peer{fill:#f0883e}.sim{stroke:#f0883e}}
</style>
`

// kraken are the figures that Kraken published: 3 GB to 2,600 hosts of 300 MB/s,
// whose ideal is 10 s, and its own simulation, which reached 84 to 85 % of the
// speed with 1,000 peers.
var kraken = []struct {
	label string
	at    point
	class string
}{
	{"p50", point{2600, 1.0}, "peer"},
	{"p99", point{2600, 1.8}, "peer"},
	{"p99.9", point{2600, 2.2}, "peer"},
	{"simulated", point{1000, 1 / 0.845}, "sim"},
}

// draw plots ratio and copies against the number of nodes.
func draw(results []Result) []byte {
	quantile := func(label, class string, q float64) series {
		s := series{label: label, class: class}
		for _, r := range results {
			s.at = append(s.at, point{float64(r.Nodes), r.Ratio(q)})
		}
		return s
	}
	copies := series{label: "copies", class: "a"}
	for _, r := range results {
		copies.at = append(copies.at, point{float64(r.Nodes), r.Copies})
	}
	ratios := []series{quantile("p50", "a", 0.5), quantile("p99", "b", 0.99), quantile("last", "c", 1)}
	var b bytes.Buffer
	top := 2.4
	for _, s := range append(ratios, copies) {
		for _, p := range s.at {
			top = max(top, math.Ceil(p.y*5)/5)
		}
	}
	width := 2*(marginLeft+plotWidth) + gap
	height := marginTop + plotHeight + 90
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="Simulated herds: time and copies against the number of nodes">`+"\n%s", width, height, plotStyle)
	f := frame{left: marginLeft, low: 0.8, high: top}
	f.axes(&b, "Simulation: time against the ideal")
	for _, s := range ratios {
		f.line(&b, s)
	}
	f.legend(&b, ratios)
	for _, k := range kraken {
		x, y := f.x(k.at.x), f.y(k.at.y)
		fmt.Fprintf(&b, `<circle class="%s" cx="%.1f" cy="%.1f" r="4"/><text class="note" x="%.1f" y="%.1f">Kraken, %s</text>`+"\n", k.class, x, y, x+8, y+4, k.label)
	}
	f = frame{left: 2*marginLeft + plotWidth + gap, low: 0.8, high: top}
	f.axes(&b, "Simulation: copies sent by the source")
	f.line(&b, copies)
	if len(results) > 0 {
		fmt.Fprintf(&b, `<text class="note" x="0" y="%d">%s</text>`+"\n", height-10, html.EscapeString(results[0].words()))
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// words describe a play below the plot.
func (r Result) words() string {
	s := fmt.Sprintf("virtual time, no sockets: %d MiB in pieces of %d KiB, source of %g MB/s, nodes of", r.Size>>20, r.Piece>>10, r.Source/1e6)
	for _, u := range r.Uplinks {
		s += fmt.Sprintf(" %g", u/1e6)
	}
	s += " MB/s"
	if r.RoundTrip > 0 {
		s += fmt.Sprintf(", round trip %s", r.RoundTrip)
	}
	return s + "; Kraken's published points: 3 GB, 2,600 hosts, and its own simulation"
}

// A frame is where a plot is: x from 1 to 10,000, logarithmic.
type frame struct {
	left      int
	low, high float64
}

func (f frame) x(v float64) float64 { return float64(f.left) + math.Log10(v)/4*plotWidth }
func (f frame) y(v float64) float64 {
	return marginTop + plotHeight - (v-f.low)/(f.high-f.low)*plotHeight
}

func (f frame) axes(b *bytes.Buffer, title string) {
	fmt.Fprintf(b, `<text class="title" x="%d" y="%d">%s</text>`+"\n", f.left, marginTop-16, html.EscapeString(title))
	step := 0.2
	if f.high > 4 {
		step = math.Ceil(f.high / 8)
	}
	for v := 1.0; v <= f.high+1e-9; v += step {
		y := f.y(v)
		fmt.Fprintf(b, `<path class="grid" d="M%d %.1fh%d"/><text class="note" x="%d" y="%.1f">%.3g</text>`+"\n", f.left, y, plotWidth, f.left-30, y+4, v)
	}
	for e := range 5 {
		v := math.Pow10(e)
		fmt.Fprintf(b, `<text class="note" x="%.1f" y="%d">%.0f</text>`+"\n", f.x(v)-6, marginTop+plotHeight+18, v)
	}
	fmt.Fprintf(b, `<path class="axis" d="M%d %dv%dh%d"/><text class="note" x="%d" y="%d">nodes</text>`+"\n",
		f.left, marginTop, plotHeight, plotWidth, f.left+plotWidth/2-16, marginTop+plotHeight+36)
}

func (f frame) line(b *bytes.Buffer, s series) {
	fmt.Fprintf(b, `<path class="line %s" d="`, s.class)
	for i, p := range s.at {
		fmt.Fprintf(b, "%c%.1f %.1f", "LM"[btoi(i == 0)], f.x(p.x), f.y(p.y))
	}
	b.WriteString("\"/>\n")
	for _, p := range s.at {
		fmt.Fprintf(b, `<circle class="dot %s" cx="%.1f" cy="%.1f" r="3"/>`+"\n", s.class, f.x(p.x), f.y(p.y))
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (f frame) legend(b *bytes.Buffer, all []series) {
	for i, s := range all {
		x, y := f.left+16, marginTop+14+18*i
		fmt.Fprintf(b, `<path class="line %s" d="M%d %dh18"/><text class="note" x="%d" y="%d">%s</text>`+"\n", s.class, x, y, x+24, y+4, html.EscapeString(s.label))
	}
}
