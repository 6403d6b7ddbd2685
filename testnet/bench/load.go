package main

import (
	"context"
	"fmt"
)

// Workloads of the ledger.
const (
	loadAppend1    = "append-1"
	loadAppend1000 = "append-1000"
	loadCosign     = "cosign"
	loadReplay     = "replay"
	loadCatchUp    = "catch-up"
	loadFork       = "fork"
	loadLogs       = "logs"
)

// minEntries is how few entries the workloads that read logs make sense with.
const minEntries = 1000

// load runs one workload with its data in dir; entries scales those that read
// logs.
func load(ctx context.Context, name, dir string, entries int) (series, error) {
	switch name {
	case loadAppend1:
		return appendTo(ctx, dir, 1)
	case loadAppend1000:
		return appendTo(ctx, dir, 1000)
	case loadCosign:
		return cosign(ctx, dir)
	case loadReplay:
		return replay(ctx, entries)
	case loadCatchUp:
		return catchUp(ctx, dir, entries)
	case loadFork:
		return forks(ctx, dir)
	case loadLogs:
		return holdLogs(ctx, dir)
	}
	return nil, fmt.Errorf("no workload %s", name)
}
