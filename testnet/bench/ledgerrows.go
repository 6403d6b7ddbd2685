package main

// Units of the ledger's rows.
const (
	entryRate = "entries/s"
	perCore   = "entries/s/core"
	times     = "×"
	seconds   = "s"
)

// ledgerRows are those of the ledger.
func ledgerRows() []plannedRow {
	row := func(name, what, unit, ours string, a *aim) plannedRow {
		return plannedRow{name: "ledger/" + name, what: what, unit: unit, ours: "ledger/" + ours, aim: a}
	}
	appending := &aim{least: true, bound: 20_000}
	one := row("append/1-log", "durable append of signed releases by 1,024 writers, one log", entryRate, "append-1/rate", appending)
	one.who, one.peer = "Tessera POSIX, unsigned leaves of the same size", "ledger/"+tessera+"/rate"
	perCPU := row("replay", "verified replay of logs of ten entries each, by CPU time, in memory", perCore, "replay/per-core", &aim{least: true, bound: 18_000})
	perCPU.who, perCPU.peer = "signatures verified by crypto/ed25519 alone", "ledger/replay/ed25519"
	cosigned := row("cosign/p95", "append to cosigned by 3 of 5 witnesses over HTTP, 95th percentile", elapsed, "cosign/p95", &aim{bound: 500})
	median := row("cosign/p50", "append to cosigned by 3 of 5 witnesses over HTTP, median", elapsed, "cosign/p50", nil)
	cosigned.digits, median.digits = 1, 1
	tails := row("catch-up/tails", "traffic of catching up with 1 % of all entries, each the last of its log, against their bytes", times, "catch-up/tails", &aim{bound: 2})
	whole := row("catch-up/logs", "traffic of catching up with 1 % of all entries, in whole logs, against their bytes", times, "catch-up/whole", &aim{bound: 2})
	tails.digits, whole.digits = 2, 2
	forked := row("fork/19-of-20", "fork shown to one node until 19 of 20 have the log frozen with the proof", seconds, "fork/known", &aim{bound: 5})
	forked.digits = 2
	return []plannedRow{
		one,
		row("append/1000-logs", "durable append of signed releases by 1,024 writers, 1,000 logs", entryRate, "append-1000/rate", appending),
		cosigned, median, perCPU, tails, whole, forked,
		row("10000-logs/rss", "10,000 logs in one process, resident", memory, "logs/rss", &aim{bound: 300}),
		row("10000-logs/peak", "10,000 logs in one process, peak while they are made", memory, "logs/peak", nil),
	}
}
