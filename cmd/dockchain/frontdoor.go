package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/dockchains/dockchain/node"
)

// doorConfig is the table [door] of the configuration file: what clients of the
// registry may take.
type doorConfig struct {
	Uploads       int          `toml:"uploads"`
	UploadBytes   int64        `toml:"upload_bytes"`
	UploadIdle    fileDuration `toml:"upload_idle"`
	Requests      int          `toml:"requests"`
	ManifestBytes int64        `toml:"manifest_bytes"`
	Page          int          `toml:"page"`
	Stall         fileDuration `toml:"stall"`
	Patience      fileDuration `toml:"patience"`
}

// upstreamConfig is the table [upstream]: how third-party registries are asked.
type upstreamConfig struct {
	Insecure       []string          `toml:"insecure"`
	Instead        map[string]string `toml:"instead"`
	Login          *bool             `toml:"login"`
	PerHost        int               `toml:"per_host"`
	Transfers      int               `toml:"transfers"`
	BytesPerSecond int64             `toml:"bytes_per_second"`
	Stall          fileDuration      `toml:"stall"`
	Fresh          fileDuration      `toml:"fresh"`
	SwarmBudget    fileDuration      `toml:"swarm_budget"`
	SwarmPatience  fileDuration      `toml:"swarm_patience"`
}

// applyDoor sets what the tables say; what they leave out keeps its default.
func (c fileConfig) applyDoor(n *node.Config) error {
	d, u := c.Door, c.Upstream
	var errs []error
	for key, v := range map[string]int64{
		"door: uploads": int64(d.Uploads), "door: upload_bytes": d.UploadBytes, "door: upload_idle": int64(d.UploadIdle.Duration),
		"door: requests": int64(d.Requests), "door: manifest_bytes": d.ManifestBytes, "door: page": int64(d.Page),
		"door: stall": int64(d.Stall.Duration), "door: patience": int64(d.Patience.Duration),
		"upstream: per_host": int64(u.PerHost), "upstream: transfers": int64(u.Transfers), "upstream: bytes_per_second": u.BytesPerSecond,
		"upstream: stall": int64(u.Stall.Duration), "upstream: swarm_budget": int64(u.SwarmBudget.Duration), "upstream: swarm_patience": int64(u.SwarmPatience.Duration),
	} {
		if v < 0 {
			errs = append(errs, fmt.Errorf("%s: %d is below 0", key, v))
		}
	}
	n.Door.Uploads.Sessions, n.Door.Uploads.Bytes, n.Door.Uploads.Idle = d.Uploads, d.UploadBytes, d.UploadIdle.Duration
	n.Door.Requests, n.Door.Manifests, n.Door.Page, n.Door.Stall = d.Requests, d.ManifestBytes, d.Page, d.Stall.Duration
	n.Pull.Patience, n.Pull.Fresh = d.Patience.Duration, u.Fresh.Duration
	n.Pull.SwarmBudget, n.Pull.SwarmPatience = u.SwarmBudget.Duration, u.SwarmPatience.Duration
	n.Upstream.Insecure, n.Upstream.Instead = u.Insecure, u.Instead
	n.Upstream.PerHost, n.Upstream.InAll = u.PerHost, u.Transfers
	n.Upstream.BytesPerSecond, n.Upstream.Stall = u.BytesPerSecond, u.Stall.Duration
	if u.Login != nil {
		n.UpstreamLogin = *u.Login
	}
	return errors.Join(errs...)
}

func newRegistryTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "registry",
		Short: "Whose names are whose at localhost:5000, and what it allows",
		Long: `The first part of a name at the local registry decides whose it is:

  localhost:5000/me/app:1.0           yours: what you pushed, else what you released
  localhost:5000/alice/app:1.0        another author's, by a name of yours (dockchain alias)
  localhost:5000/bafkrei…/app:1.0       or by the author's id; only to be pulled
  localhost:5000/quay.io/org/app:1.0  what that registry has; only to be pulled
  localhost:5000/app:1.0              a plain repository of this machine

What was pushed stays on this machine until you publish it. Images of authors and of
other registries are fetched when they are asked for: layers from peers where somebody
has them, and the rest from the registry, once however many ask; dockchain pulls shows
where they came from. A layer is handed on while it arrives.

The configuration file may change what is allowed; these are the defaults:

  [door]
  uploads = 1024               # under way at once
  upload_bytes = 274877906944  # of all of them
  upload_idle = "24h"          # after which one is given up
  requests = 1024              # served at once; more are answered 429
  manifest_bytes = 67108864    # of manifests in memory
  page = 1000                  # entries of a list in one answer
  stall = "1m"                 # that a client may take for the next piece
  patience = "30s"             # without progress, before a pull gives up

  [upstream]
  insecure = []                # registries to be asked over plain HTTP, beside loopback
  instead = {}                 # registries of yours to be asked for others': { "docker.io" = "hub.example" }
  login = true                 # with what docker login left
  per_host = 6                 # transfers at once, of one registry
  transfers = 24               #   and of all
  bytes_per_second = 0         # 0: no limit
  stall = "30s"                # that a registry may be silent
  fresh = "10s"                # that its answer to a tag counts; below 0: not at all
  swarm_budget = "200ms"       # to find a peer who has a layer, before the registry is asked
  swarm_patience = "5s"        # that peers may bring nothing of it`,
	}
}
