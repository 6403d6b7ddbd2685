package main

import "fmt"

// Units of the herds' rows.
const (
	ofIdeal    = "× ideal"
	copiesSent = "copies"
	percent    = "%"
)

// herdRows are those of many nodes that want the same at once.
func herdRows() []plannedRow {
	var rows []plannedRow
	for _, h := range herds() {
		rows = append(rows, h.rows()...)
	}
	return rows
}

// bounds of the ratio to the ideal time.
var herdAims = map[string]float64{
	"herd/4": 1.08, "herd/8": 1.12, "herd/16": 1.25, "herd/mixed": 1.3, "herd/rtt-20": 1.3, "herd/rtt-50": 1.3, "herd/churn": 1.2,
}

func (h herd) rows() []plannedRow {
	row := func(name, what, unit, of, who string, a *aim, digits int) plannedRow {
		r := plannedRow{name: h.name + "/" + name, what: what, unit: unit, ours: h.name + "/" + ours + "/" + of, aim: a, digits: digits}
		if who != "" {
			r.who, r.peer = herdNames[who], h.name+"/"+who+"/"+of
		}
		return r
	}
	words := h.words()
	var rows []plannedRow
	for i, who := range h.against {
		switch {
		case h.source > 0:
			r := row("ratio/"+who, words+", until the last has it", ofIdeal, "ratio", who, nil, 2)
			if i == 0 && !h.plain { // nodes are waited for before ordinary clients are asked
				r.aim = &aim{bound: herdAims[h.name]}
			}
			rows = append(rows, r)
		case who == stock:
			rows = append(rows, row("rate/"+who, words+", together", rate, "rate", who, nil, 0))
		case who == aria:
			rows = append(rows, row("rate/"+who, words+", together", rate, "rate", who, &aim{ratio: true, least: true, bound: 1}, 0))
		default:
			rows = append(rows, row("rate/"+who, words+", together", rate, "rate", who, &aim{ratio: true, least: true, bound: round(1/1.3, 2)}, 0))
		}
	}
	if h.garbage > 0 {
		r := row("clean", words+", until the last has it", seconds, "seconds", "", &aim{ratio: true, bound: 2}, 2)
		r.who, r.peer = "without them", h.name+"/"+ours+"/clean"
		return append(rows, r)
	}
	if h.source > 0 {
		most := 1.15
		if h.plain {
			most = 1.3
		}
		rows = append(rows, row("copies", words+", sent by the source", copiesSent, "copies", stock, &aim{bound: most}, 2))
	}
	waste := &aim{bound: 0.1}
	if h.source == 0 {
		waste.bound = 1
	}
	return append(rows,
		row("waste", words+", bytes received in vain", percent, "waste", stock, waste, 3),
		row("cpu", words+", CPU of all processes", seconds, "cpu", stock, nil, 1),
	)
}

var herdNames = map[string]string{
	stock: "anacrolix/torrent as it comes", aria: "aria2c", debianRegistry: "docker-registry, HTTP + sha256",
}

// words describe a herd in a table.
func (h herd) words() string {
	s := fmt.Sprintf("%d cold nodes, %d MiB", h.nodes, h.size>>20)
	mb := func(n int64) string { return fmt.Sprintf("%g", float64(n)/oneMB) }
	if h.source > 0 {
		s += ", source of " + mb(h.source) + " MB/s"
	}
	switch {
	case len(h.uplinks) == 1 && h.uplinks[0] == h.source:
		s += " like each node"
	case len(h.uplinks) > 0:
		s += ", nodes of "
		for i, u := range h.uplinks {
			if i > 0 {
				s += ", "
			}
			s += mb(u)
		}
	default:
		s += ", no limits"
	}
	if h.roundTrip > 0 {
		s += fmt.Sprintf(", %d ms round trip", h.roundTrip.Milliseconds())
	}
	if h.plain {
		s += ", the source an ordinary client"
	}
	if h.churn {
		s += fmt.Sprintf(", %d killed and replaced, one more stopped", h.killed())
	}
	if h.garbage > 0 {
		s += fmt.Sprintf(", and %d more that send garbage", h.garbage)
	}
	return s
}
