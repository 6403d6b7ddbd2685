package swarm

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/anacrolix/torrent"
	pp "github.com/anacrolix/torrent/peer_protocol"

	"github.com/dockchains/dockchain/p2p/swarm/superseed"
)

// poke has the patrol make its round now.
func (f *fetch) poke() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// patrol keeps a fetch going: it dials, redials, takes in further peers, cuts
// off silent ones, reports progress, and gives up when patience ends.
func (f *fetch) patrol(ctx context.Context) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	more := f.job.MorePeers
	meter := newMeter(f.began)
	told := false // that the first piece is here
	for {
		paused := f.standStill()
		f.mu.Lock()
		advance := f.advance
		f.mu.Unlock()
		if !paused {
			f.crowd.round(time.Now())
		}
		select {
		case <-ctx.Done():
			return
		case id, ok := <-more:
			if !ok {
				more = nil
				continue
			}
			f.crowd.addPeer(id)
			continue
		case <-f.wake:
			if !told && f.hasBegun() {
				told = true
				f.reportRate(meter.rate)
			}
			f.askNear()
			continue
		case now := <-ticker.C:
			f.mu.Lock()
			idle := f.arrived == meter.bytes
			meter.update(now, f.arrived)
			f.mu.Unlock()
			f.company.tell((*superseed.Share).Tick)
			f.nudge(now, idle)
			f.checkInfo(now)
			f.askNear()
		}
		f.reportRate(meter.rate)
		f.checkPatience(advance)
		f.checkHope(more == nil && !paused)
	}
}

// nudge has peers that have nothing to do take over what others were asked for
// and do not send. The library looks for such work only when something happens,
// and not before stealGrace; so that something happens, one piece is called off and
// asked for again.
func (f *fetch) nudge(now time.Time, nothing bool) {
	f.mu.Lock()
	p := f.partial
	f.mu.Unlock()
	if p == nil || f.crowd.size() < 2 || !nothing && !f.crowd.waits(now) {
		return
	}
	i, ok := p.firstMissing()
	if !ok {
		return
	}
	again := torrent.PiecePriorityNormal
	if p.isNear(i) {
		again = torrent.PiecePriorityHigh
	}
	f.t.Piece(i).SetPriority(torrent.PiecePriorityNone)
	f.t.Piece(i).SetPriority(again)
}

// hasBegun says whether any piece verified.
func (f *fetch) hasBegun() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.begun
}

// announce asks mainline DHT, the local network and trackers, as far as they are
// on, and the trackers of the job, until the context ends.
func (f *fetch) announce(ctx context.Context) {
	var g sync.WaitGroup
	defer g.Wait()
	for _, u := range f.job.Trackers {
		if !slices.Contains(f.s.cfg.Trackers, u) || !f.job.Public {
			g.Go(func() { f.askTracker(ctx, u, true) })
		}
	}
	if !f.job.Public {
		return
	}
	for _, u := range f.s.cfg.Trackers {
		g.Go(func() { f.askTracker(ctx, u, false) })
	}
	if f.s.dht != nil {
		g.Go(func() { f.s.dht.search(ctx, f) })
	}
	if f.s.lsd != nil {
		g.Go(func() { f.s.lsd.search(ctx, f.job.Infohash) })
	}
}

func (f *fetch) checkPatience(advance time.Time) {
	if f.job.Patience <= 0 || time.Since(advance) < f.job.Patience {
		return
	}
	if f.crowd.size() == 0 {
		f.fail(ErrNoPeers)
		return
	}
	f.fail(ErrStalled)
}

// checkHope ends a fetch that has only banned peers left and no way to hear of
// others.
func (f *fetch) checkHope(noMore bool) {
	if noMore && !f.job.Public && len(f.job.Trackers) == 0 && f.webs.Load() == 0 && f.crowd.hopeless() {
		f.fail(ErrNoPeers)
	}
}

func (f *fetch) reportRate(rate float64) {
	if f.job.Progress == nil {
		return
	}
	f.mu.Lock()
	p := f.partial
	f.mu.Unlock()
	pr := Progress{Total: f.job.Size, Rate: rate, Peers: f.crowd.size()}
	if p != nil {
		pr.Done, _ = p.progress()
		pr.Total = p.layout.size
	}
	f.job.Progress(pr)
}

// report is the last word on progress: the mean rate of the whole.
func (f *fetch) report() {
	f.mu.Lock()
	rate := float64(f.arrived) / max(time.Since(f.began).Seconds(), 1e-3)
	f.mu.Unlock()
	f.reportRate(rate)
}

// connected, disconnected, received, extendedHandshake and extensionMessage are
// called by the client under its lock.
func (f *fetch) connected(pc *torrent.PeerConn) {
	if f.blame.isBanned(peerName(pc.RemoteAddr)) {
		hangUp([]*torrent.PeerConn{pc})
		return
	}
	f.mu.Lock()
	if f.meta != nil && f.meta.alone {
		f.meta.restart(true, time.Now()) // the next one's turn
	}
	f.mu.Unlock()
	f.crowd.joined(pc)
}

func (f *fetch) disconnected(pc *torrent.PeerConn) {
	f.company.leaves(pc)
	f.crowd.left(pc)
	f.poke()
}

func (f *fetch) received(p *torrent.Peer, m *pp.Message) {
	name := peerName(p.RemoteAddr)
	n := int64(len(m.Piece))
	f.blame.received(name, int(m.Index), int64(m.Begin), n)
	f.crowd.useful(name)
	f.mu.Lock()
	f.arrived += n
	f.mu.Unlock()
}

func (f *fetch) extendedHandshake(pc *torrent.PeerConn, d *pp.ExtendedHandshakeMessage) {
	name := peerName(pc.RemoteAddr)
	f.crowd.spoke(name, d.MetadataSize != 0)
	if d.M[shares] != 0 {
		f.company.joins(pc)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.meta == nil || d.MetadataSize == 0 {
		return
	}
	ok, lie := f.meta.claimed(name, int64(d.MetadataSize))
	if !ok {
		d.MetadataSize = 0
		delete(d.M, pp.ExtensionNameMetadata) // it is not to be asked
	}
	if lie {
		f.badInfo(name)
	}
}

func (f *fetch) extensionMessage(pc *torrent.PeerConn, id pp.ExtensionNumber, payload []byte) {
	if id == pp.HandshakeExtendedID {
		return
	}
	name, _, err := pc.LocalLtepProtocolMap.LookupId(id)
	if err == nil && name == introductions && f.crowd.mayIntroduce(peerName(pc.RemoteAddr)) {
		go f.meet(peerName(pc.RemoteAddr), bytes.Clone(payload))
	}
	if err != nil || name != pp.ExtensionNameMetadata {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.meta == nil {
		return
	}
	peer, before := peerName(pc.RemoteAddr), f.meta.moved
	suspects := f.meta.add(peer, payload)
	if f.meta.moved != before {
		f.crowd.heard(peer)
	}
	switch len(suspects) {
	case 0:
	case 1:
		f.badInfo(suspects[0])
		f.askAgain(f.meta.alone)
	default:
		f.askAgain(true)
	}
}

// badInfo bans a peer that served a wrong info dict. The client's lock is held.
func (f *fetch) badInfo(peer string) {
	f.s.log.Info("peer sent a wrong info dict", "peer", peer, "infohash", f.job.Infohash)
	f.blame.banQuietly(peer)
	go f.s.cfg.Observe(peer, Event{Kind: BadInfo, Infohash: f.job.Infohash})
	f.crowd.expel(peer)
}

// askAgain has peers asked for the info dict anew, which the library does only
// on a new connection. The caller holds mu.
func (f *fetch) askAgain(alone bool) {
	f.meta.restart(alone, time.Now())
	f.crowd.examine(alone)
	f.crowd.hangUpAll()
}

// checkInfo has peers asked one at a time when nothing comes of the info dict.
func (f *fetch) checkInfo(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	patience := infoPatience
	if f.job.ordinary() {
		patience = slowClient
	}
	patience = min(patience, f.s.cfg.Stall)
	if f.meta != nil && !f.meta.alone && now.Sub(f.meta.moved) > patience && f.crowd.size() > 0 {
		f.askAgain(true)
	}
}

// hasInfo says whether the info dict is here.
func (f *fetch) hasInfo() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.partial != nil
}

// promised says whether a peer claims to have what is missing.
func (f *fetch) promised(pc *torrent.PeerConn) bool {
	f.mu.Lock()
	p := f.partial
	f.mu.Unlock()
	if p == nil {
		return f.crowd.owesInfo(peerName(pc.RemoteAddr))
	}
	return slices.ContainsFunc(p.missing(), pc.PeerPieces().ContainsInt)
}

// A meter measures how fast bytes arrive of late.
type meter struct {
	rate  float64 // bytes a second
	at    time.Time
	bytes int64
}

func newMeter(at time.Time) *meter { return &meter{at: at} }

func (m *meter) update(now time.Time, bytes int64) {
	elapsed := now.Sub(m.at).Seconds()
	if elapsed <= 0 {
		return
	}
	current := float64(bytes-m.bytes) / elapsed
	if m.bytes == 0 && m.rate == 0 {
		m.rate = current
	} else {
		m.rate += (current - m.rate) * min(1, elapsed/2) // over two seconds
	}
	m.at, m.bytes = now, bytes
}
