package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Row is one line of the result: a median of ours beside that of a peer.
type Row struct {
	Name  string   `json:"name"`
	What  string   `json:"what"`
	Unit  string   `json:"unit"`
	Ours  float64  `json:"ours"`
	Min   float64  `json:"ours_min"`
	Max   float64  `json:"ours_max"`
	Who   string   `json:"peer_name,omitempty"`
	Peer  *float64 `json:"peer"`  // null where there is none, or it could not be had
	Ratio *float64 `json:"ratio"` // ours / peer
	Aim   string   `json:"aim"`   // "" is none
	Holds *bool    `json:"holds"` // null where there is no aim
	Runs  int      `json:"runs"`
}

// Units of measure.
const (
	rate    = "MB/s"  // 10^6 bytes a second
	cpu     = "s/GiB" // CPU seconds, user and system
	memory  = "MB"    // 10^6 bytes resident
	elapsed = "ms"
)

// An aim bounds a row's value, or its ratio to the peer's.
type aim struct {
	ratio bool
	least bool // else at most, and less than
	bound float64
}

func (a *aim) String() string {
	if a == nil {
		return ""
	}
	sign, times := "< ", ""
	if a.least {
		sign = "≥ "
	}
	if a.ratio {
		times = " ×"
	}
	return fmt.Sprintf("%s%g%s", sign, a.bound, times)
}

func (a *aim) holds(v float64) bool {
	if a.least {
		return v >= a.bound
	}
	return v < a.bound
}

// A plannedRow is a row before it was measured. ours and peer name series of
// samples.
type plannedRow struct {
	name, what, unit string
	ours             string
	who, peer        string
	aim              *aim
	digits           int
}

// series are samples by name, as "1-layer/ours/fetch/rate".
type series map[string][]float64

func (s series) add(name string, v float64) { s[name] = append(s[name], v) }

// Contenders of the fetch rows.
const (
	ours     = "ours"
	aria     = "aria2c"
	http     = "http"
	httpSync = "http-fsync"
	copying  = "copy"
)

var contenderNames = map[string]string{
	aria:     "aria2c",
	http:     "HTTP + sha256",
	httpSync: "HTTP + sha256 + fsync",
	copying:  "copy + sha256 + fsync",
}

const (
	oneLayer  = 1
	tenLayers = 10
)

// allRows is the whole plan.
func allRows() []plannedRow {
	var rows []plannedRow
	for _, layers := range []int{oneLayer, tenLayers} {
		rows = append(rows, transferRows(layers)...)
	}
	return append(append(rows,
		plannedRow{name: "idle/rss", what: "idle node, resident", unit: memory, ours: "idle/rss", aim: &aim{bound: 100}},
		plannedRow{name: "first-piece/link", what: "magnet link to first piece, 1 MiB image, peer named in the link", unit: elapsed, ours: "first/link", aim: &aim{bound: 50}, digits: 1},
		plannedRow{name: "first-piece/connected", what: "magnet link to first piece, 1 MiB image, peer connected", unit: elapsed, ours: "first/connected", aim: &aim{bound: 50}, digits: 1},
		plannedRow{name: "whole-fetch/link", what: "magnet link to whole 1 MiB image, durable and verified", unit: elapsed, ours: "first/whole", digits: 1},
	), slices.Concat(manyRows(), herdRows(), roadsRows(), registryRows(), ledgerRows())...)
}

func transferRows(layers int) []plannedRow {
	shape := shapeName(layers)
	s := func(contender, of string) string { return shape + "/" + contender + "/" + of }
	row := func(name, what, unit, of, peer string, a *aim) plannedRow {
		if rest, fetch := strings.CutPrefix(name, "fetch/"); fetch {
			name = fetchPrefix(layers) + "/" + rest
		} else {
			name = shape + "/" + name
		}
		r := plannedRow{name: name, what: what + ", " + shapeWords(layers), unit: unit, ours: s(ours, of), aim: a}
		if unit == cpu {
			r.digits = 2
		}
		if peer != "" {
			r.who, r.peer = contenderNames[peer], s(peer, of)
		}
		return r
	}
	beside := 0.8
	if layers == oneLayer {
		beside = 0.9
	}
	return []plannedRow{
		row("fetch/aria2c", "fetch", rate, "fetch/rate", aria, &aim{ratio: true, least: true, bound: 2.5}),
		row("fetch/http", "fetch", rate, "fetch/rate", http, &aim{ratio: true, least: true, bound: beside}),
		row("fetch/http-fsync", "fetch", rate, "fetch/rate", httpSync, nil),
		row("publish", "publish", rate, "publish/rate", copying, nil),
		row("cpu-fetch/aria2c", "CPU of the fetching side", cpu, "fetch/cpu-to", aria, nil),
		row("cpu-fetch/http", "CPU of the fetching side", cpu, "fetch/cpu-to", http, nil),
		row("cpu-seed/aria2c", "CPU of the seeding side", cpu, "fetch/cpu-from", aria, nil),
		row("cpu-seed/http", "CPU of the seeding side", cpu, "fetch/cpu-from", http, nil),
		row("cpu-publish", "CPU of publishing", cpu, "publish/cpu", copying, nil),
		row("rss-fetch", "peak memory of the fetching node", memory, "fetch/rss-to", aria, &aim{bound: 150}),
		row("rss-publish", "peak memory of the publishing node", memory, "fetch/rss-from", aria, &aim{bound: 150}),
	}
}

// fetchPrefix begins the names of the rows of fetches.
func fetchPrefix(layers int) string {
	if layers == oneLayer {
		return "one-to-one/1GiB"
	}
	return shapeName(layers) + "/fetch"
}

func shapeName(layers int) string {
	if layers == oneLayer {
		return "1-layer"
	}
	return fmt.Sprintf("%d-layers", layers)
}

func shapeWords(layers int) string {
	if layers == oneLayer {
		return "1 GiB in one layer"
	}
	return "1 GiB in ten layers"
}

func selectRows(pattern *regexp.Regexp) []plannedRow {
	return slices.DeleteFunc(allRows(), func(r plannedRow) bool { return !pattern.MatchString(r.name) })
}

// needs says whether any row wants a series that begins so.
func needs(plan []plannedRow, prefix string) bool {
	return slices.ContainsFunc(plan, func(r plannedRow) bool {
		return hasPath(r.ours, prefix) || hasPath(r.peer, prefix)
	})
}

// needsNodes says whether any row is about processes of dockchain.
func needsNodes(plan []plannedRow) bool {
	return slices.ContainsFunc(plan, func(r plannedRow) bool { return !hasPath(r.ours, "ledger") })
}

func hasPath(name, prefix string) bool {
	return name == prefix || len(name) > len(prefix) && name[:len(prefix)] == prefix && name[len(prefix)] == '/'
}

func (r plannedRow) judge(s series) Row {
	mine := s[r.ours]
	row := Row{
		Name: r.name, What: r.what, Unit: r.unit, Who: r.who, Aim: r.aim.String(), Runs: len(mine),
		Ours: round(median(mine), r.digits), Min: round(slices.Min(mine), r.digits), Max: round(slices.Max(mine), r.digits),
	}
	judged := median(mine)
	if theirs := s[r.peer]; len(theirs) > 0 {
		peer := median(theirs)
		ratio := judged / peer
		if r.aim != nil && r.aim.ratio {
			judged = ratio
		}
		peer, ratio = round(peer, r.digits), round(ratio, 2)
		row.Peer, row.Ratio = &peer, &ratio
	}
	if r.aim != nil {
		ok := r.aim.holds(judged)
		row.Holds = &ok
	}
	return row
}
