package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dockchains/dockchain/node/api"
)

type peersOptions struct{ connect string }

func newPeersCommand(g *global) *cobra.Command {
	var o peersOptions
	cmd := &cobra.Command{
		Use:   "peers",
		Short: "The peers that the node knows, and what it thinks of them",
		Long: `The peers that the node knows, and what it thinks of them: a score from -1 to 1
for what it saw them do itself (0 is unknown), with the reasons.

ROAD is how bytes get to a connected peer: tcp; quic, where TCP cannot pass, at half
the rate for twice the work; relay, through a third node, slowly and for little, where
nothing else leads there. "near" is on this machine or its local network, "punched"
through a hole in a NAT.`,
		Example: `  dockchain peers
  dockchain peers --connect /ip4/192.0.2.1/tcp/4747/p2p/12D3…`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runPeers(cmd.Context(), g, o) },
	}
	cmd.Flags().StringVar(&o.connect, "connect", "", "dial the peer at this `multiaddr` first")
	return cmd
}

func runPeers(ctx context.Context, g *global, o peersOptions) error {
	return g.withNode(ctx, func(c *api.Client) error {
		if o.connect != "" {
			if err := c.Connect(ctx, o.connect); err != nil {
				return err // it names the address
			}
		}
		peers, err := c.Peers(ctx)
		if err != nil {
			return fmt.Errorf("listing peers: %w", err)
		}
		return g.ui.print(peersView(peers))
	})
}

func road(p api.PeerStatus) string {
	s := orDash(p.Road)
	if p.Near {
		s += ", near"
	}
	if p.Punched {
		s += ", punched"
	}
	return s
}

func peersView(peers []api.PeerStatus) view {
	v := view{
		value: peers, list: anyList(peers),
		header: []string{"PEER", "CONNECTED", "ROAD", "LATENCY", "SCORE", "AGENT", "WHY"},
	}
	for _, p := range peers {
		latency := "-"
		if p.LatencyMS > 0 {
			latency = strconv.FormatFloat(p.LatencyMS, 'f', 1, 64) + " ms"
		}
		v.names = append(v.names, p.ID)
		v.rows = append(v.rows, []string{
			p.ID, yesNo(p.Connected), road(p), latency, strconv.FormatFloat(p.Score, 'f', 2, 64),
			shorten(orDash(p.Agent), 30), orDash(strings.Join(p.Reasons, "; ")),
		})
	}
	return v
}
