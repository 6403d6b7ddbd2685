package p2p

import "sync/atomic"

// Stats are numbers about this host since it was opened; those that are not
// totals say so.
type Stats struct {
	Peers   int // connected now
	Members int // of those, speaking this network's protocols
	Table   int // peers in the DHT routing table now
	// Listeners are the connected peers that are known to take gossip: what is
	// published before there is one reaches nobody.
	Listeners int
	Planned   int // records kept announced now
	// Graylisted are the peers whose gossip is not looked at: what they sent did
	// not verify. Counted every second; some may be gone.
	Graylisted int

	GossipPublished, GossipAccepted, GossipIgnored, GossipRejected uint64

	// The same of the topic of evidence.
	EvidencePublished, EvidenceAccepted, EvidenceIgnored, EvidenceRejected uint64

	RequestsServed  uint64 // answered, with a result or an error of the application
	RequestsRefused uint64 // over a limit
	RequestsBroken  uint64 // malformed, too slow or cut off
	RequestsSent    uint64
	RequestsFailed  uint64 // sent, and not answered with a result

	StreamsAccepted, StreamsDialled uint64
	// DeadConns are connections that were closed because they gave no sign of life
	// while a raw stream was open on them.
	DeadConns uint64
	// Roads are numbers by the road that bytes took or take.
	Roads map[Road]RoadStats
	// Punched are the peers that are reached through a hole in a NAT now.
	Punched int

	Announced, AnnounceFailed uint64 // DHT records
	RecordsRefused            uint64 // by the validator
}

// RoadStats are numbers about one road.
type RoadStats struct {
	Peers   int    // whose best connection takes it now
	In, Out uint64 // bytes of raw streams
}

// roadCounters count the bytes of raw streams.
type roadCounters struct{ in, out atomic.Uint64 }

type gossipCounters struct{ published, accepted, ignored, rejected atomic.Uint64 }

type counters struct {
	served, refused, broken, sent, failed atomic.Uint64
	accepted, dialled, deadConns          atomic.Uint64
	tcp, quic, relay                      roadCounters
	announced, announceFailed, badRecords atomic.Uint64
}

func (c *counters) road(r Road) *roadCounters {
	switch r {
	case RoadTCP:
		return &c.tcp
	case RoadQUIC:
		return &c.quic
	default:
		return &c.relay
	}
}

func (h *Host) roadStats() (roads map[Road]RoadStats, punched int) {
	roads = map[Road]RoadStats{}
	for _, r := range Roads() {
		c := h.stats.road(r)
		roads[r] = RoadStats{In: c.in.Load(), Out: c.out.Load()}
	}
	for _, id := range h.lib.Network().Peers() {
		c := bestConn(h.lib.Network().ConnsToPeer(id))
		if c == nil {
			continue // gone in the meantime
		}
		road := roadOf(c.RemoteMultiaddr())
		s := roads[road]
		s.Peers++
		roads[road] = s
		if road != RoadRelay && h.relays.isPunched(id) {
			punched++
		}
	}
	return roads, punched
}

// Stats returns the current numbers.
func (h *Host) Stats() Stats {
	g, e, c := &h.gossip.stats, &h.gossip.evidence.stats, &h.stats
	roads, punched := h.roadStats()
	return Stats{
		Peers: len(h.lib.Network().Peers()), Members: h.members(),
		Table: h.dht.RoutingTable().Size(), Listeners: len(h.gossip.topic.ListPeers()), Planned: h.plan.len(),
		Graylisted:      int(h.gossip.graylisted.Load()),
		GossipPublished: g.published.Load(), GossipAccepted: g.accepted.Load(),
		GossipIgnored: g.ignored.Load(), GossipRejected: g.rejected.Load(),
		EvidencePublished: e.published.Load(), EvidenceAccepted: e.accepted.Load(),
		EvidenceIgnored: e.ignored.Load(), EvidenceRejected: e.rejected.Load(),
		RequestsServed: c.served.Load(), RequestsRefused: c.refused.Load(), RequestsBroken: c.broken.Load(),
		RequestsSent: c.sent.Load(), RequestsFailed: c.failed.Load(),
		StreamsAccepted: c.accepted.Load(), StreamsDialled: c.dialled.Load(),
		DeadConns: c.deadConns.Load(), Roads: roads, Punched: punched,
		Announced: c.announced.Load(), AnnounceFailed: c.announceFailed.Load(), RecordsRefused: c.badRecords.Load(),
	}
}
