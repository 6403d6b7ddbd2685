package main

import (
	"bytes"
	"fmt"
	"html"
)

// A bar of the chart.
type bar struct {
	label string
	value float64
	mine  bool
}

const (
	chartWidth = 760
	labelWidth = 220
	barHeight  = 22
	barGap     = 6
	groupGap   = 34
)

// chartStyle is readable on a light page and on a dark one.
const chartStyle = `<style>
text{font:14px system-ui,sans-serif;fill:#24292f}
.title{font-weight:600}
.note{font-size:12px;fill:#57606a}
.mine{fill:#0969da}
.peer{fill:#afb8c1}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.note{fill:#8b949e}.mine{fill:#58a6ff}.peer{fill:#484f58}}
</style>
`

// drawChart draws the rates of the fetches, which is what a reader looks for
// first; the table has the rest.
func drawChart(rows []Row, m machine) []byte {
	var body bytes.Buffer
	y := 10
	for _, layers := range []int{oneLayer, tenLayers} {
		bars := fetchBars(rows, layers)
		if len(bars) == 0 {
			continue
		}
		y += 18
		fmt.Fprintf(&body, `<text class="title" x="0" y="%d">Fetch of %s, MB/s</text>`+"\n", y, shapeWords(layers))
		y += 12
		y = drawBars(&body, bars, y) + groupGap - barGap
	}
	fmt.Fprintf(&body, `<text class="note" x="0" y="%d">%s</text>`+"\n", y, html.EscapeString(fmt.Sprintf(
		"medians, two processes on one machine with %d cores, random bytes over loopback, %s", m.Cores, m.Date)))
	return fmt.Appendf(nil, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="Fetch rates of dockchain and others">
%s%s</svg>
`, chartWidth, y+10, chartStyle, body.Bytes())
}

// fetchBars are ours and, one each, the peers' of the rows of one shape.
func fetchBars(rows []Row, layers int) []bar {
	var bars []bar
	for _, r := range rows {
		if r.Unit != rate || r.Peer == nil || !hasPath(r.Name, fetchPrefix(layers)) {
			continue
		}
		if len(bars) == 0 {
			bars = append(bars, bar{"dockchain (verified, synced)", r.Ours, true})
		}
		bars = append(bars, bar{r.Who, *r.Peer, false})
	}
	return bars
}

func drawBars(w *bytes.Buffer, bars []bar, y int) int {
	top := 0.0
	for _, b := range bars {
		top = max(top, b.value)
	}
	for _, b := range bars {
		class := "peer"
		if b.mine {
			class = "mine"
		}
		length := int(b.value / max(top, 1e-9) * (chartWidth - labelWidth - 60))
		fmt.Fprintf(w, `<text x="0" y="%d">%s</text><rect class="%s" x="%d" y="%d" width="%d" height="%d" rx="3"/><text x="%d" y="%d">%s</text>`+"\n",
			y+16, html.EscapeString(b.label), class, labelWidth, y, length, barHeight, labelWidth+length+8, y+16, number(b.value))
		y += barHeight + barGap
	}
	return y
}
