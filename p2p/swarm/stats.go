package swarm

// Traffic is what passed of one class since the start, in bytes, and what is
// connected.
type Traffic struct {
	Class Class
	// Torrent is BitTorrent's, with its messages, and what AwaitTurn was told of;
	// Request what AwaitUpload and Downloaded were.
	TorrentUp, TorrentDown int64
	RequestUp, RequestDown int64
	Conns                  int
}

// Stats are numbers about a swarm since it was opened; those that are not totals
// say so.
type Stats struct {
	// Sent and Received are bytes of pieces, of all torrents: what the protocols add
	// is not in them.
	Sent     int64
	Received int64
	// Wasted of Received was thrown away because it was here already, or nobody
	// had asked for it. Bytes of pieces that did not verify are not in it.
	Wasted int64

	Traffic  [NumClasses]Traffic
	Loaded   int // torrents, now
	Active   int // of those, with somebody connected
	Fetching int // of those, being fetched
	Seeds    int // torrents that Seed was told of, loaded or not

	Unreachable int64 // connections that could not be made
	Banned      int64 // peers, once for each torrent of which they sent something wrong
	Refused     int64 // connections over the budget
}

// Stats are the current numbers.
func (s *Swarm) Stats() Stats {
	lib := s.cl.ConnStats()
	received, useful := lib.BytesReadData.Int64(), lib.BytesReadUsefulData.Int64()
	out := Stats{
		Sent: lib.BytesWrittenData.Int64(), Received: received, Wasted: max(received-useful, 0),
		Unreachable: s.unreachable.Load(), Banned: s.bans.Load(), Refused: s.refused.Load(),
	}
	out.Traffic = s.limiter.traffic()
	s.mu.Lock()
	defer s.mu.Unlock()
	out.Loaded, out.Seeds = len(s.open), len(s.seeds)
	for _, e := range s.open {
		if e.fetching {
			out.Fetching++
		}
		if e.fetching || e.t.Stats().ActivePeers > 0 {
			out.Active++
		}
	}
	return out
}

// traffic is what passed by class.
func (l *limiter) traffic() (out [NumClasses]Traffic) {
	for c := range l.counts {
		n := &l.counts[c]
		out[c] = Traffic{
			Class:     Class(c),
			TorrentUp: n.up[kindTorrent].Load(), TorrentDown: n.down[kindTorrent].Load(),
			RequestUp: n.up[kindRequest].Load(), RequestDown: n.down[kindRequest].Load(),
			Conns: int(n.conns.Load()),
		}
	}
	return out
}

// Traffic is what Stats tell of it, at less cost.
func (s *Swarm) Traffic() [NumClasses]Traffic { return s.limiter.traffic() }

// counting counts what Observe hears on its way to the caller.
func (s *Swarm) counting(observe func(string, Event)) func(string, Event) {
	return func(peer string, e Event) {
		switch e.Kind {
		case Unreachable:
			s.unreachable.Add(1)
		case BadPiece, BadInfo:
			s.bans.Add(1)
		}
		observe(peer, e)
	}
}
