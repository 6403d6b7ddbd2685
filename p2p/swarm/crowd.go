package swarm

import (
	"cmp"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/anacrolix/torrent"
)

const (
	// wantConns is how many peers a fetch tries to be connected to.
	wantConns = 30
	// maxContacts bounds the peers a fetch has heard of.
	maxContacts = 500

	// slowAfter is how long a peer may leave requests unanswered, at first, while
	// others send.
	slowAfter = 3 * time.Second

	redialFirst = time.Second
	redialMost  = 30 * time.Second
	// redialHeard is redialMost for addresses that strangers named.
	redialHeard = 2 * time.Minute
	// examineFor is how long a peer that is asked alone may send nothing before
	// the next one is (Config.Stall if that is less), the first time; examineMost
	// how long it has in all.
	examineFor  = time.Second
	examineMost = time.Minute
)

// A crowd is whom a fetch knows and is connected to.
type crowd struct {
	f *fetch

	mu       sync.Mutex
	contacts []*contact // best first
	byName   map[string]*contact
	alone    bool // one peer at a time, see blame
	switched time.Time
	apply    bool // alone changed, and the torrent does not know yet
}

// A contact is one peer.
type contact struct {
	name  string
	addr  torrent.PeerRemoteAddr // nil for one that dialled us
	ours  bool
	heard bool // named by a tracker or the DHT, and never connected
	conns map[*torrent.PeerConn]bool
	since time.Time // connected
	last  time.Time // sent something useful, or a part of it
	spoke bool      // shook hands for extensions
	info  bool      // and claims to have the info dict
	next  time.Time // may be dialled again
	wait  time.Duration
	turns int           // that it had alone, and brought nothing
	intro int           // introductions it made
	slow  time.Duration // what it may leave requests unanswered while others send
}

func newCrowd(f *fetch) *crowd {
	c := &crowd{f: f, byName: map[string]*contact{}}
	for _, p := range f.job.Peers {
		c.add(p, peerAddr{f.job.Infohash, p}, true)
	}
	for _, a := range f.job.Addrs {
		if validHostPort(a) {
			c.add(a, torrent.StringAddr(a), false)
		}
	}
	return c
}

// add makes a peer known that may be dialled.
func (c *crowd) add(name string, addr torrent.PeerRemoteAddr, ours bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byName[name] != nil || len(c.contacts) >= maxContacts {
		return
	}
	ct := &contact{name: name, addr: addr, ours: ours, conns: map[*torrent.PeerConn]bool{}, wait: redialFirst}
	c.byName[name] = ct
	c.contacts = append(c.contacts, ct)
}

// heardOf makes an address known that a tracker or the DHT named. When too many
// are, the one that was dialled in vain for longest makes room.
func (c *crowd) heardOf(addr netip.AddrPort) {
	if ip := addr.Addr(); ip.IsUnspecified() || ip.IsMulticast() || addr.Port() == 0 {
		return
	}
	name := addr.String()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byName[name] != nil {
		return
	}
	if len(c.contacts) >= maxContacts && !c.forgetOne() {
		return
	}
	ct := &contact{name: name, addr: torrent.StringAddr(name), heard: true, conns: map[*torrent.PeerConn]bool{}, wait: redialFirst}
	c.byName[name] = ct
	c.contacts = append(c.contacts, ct)
}

// introduced makes a peer of ours known that another one named. Like addresses that
// strangers named it may have to make room again.
func (c *crowd) introduced(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byName[id] != nil || len(c.contacts) >= maxContacts && !c.forgetOne() {
		return
	}
	ct := &contact{
		name: id, addr: peerAddr{c.f.job.Infohash, id}, ours: true, heard: true,
		conns: map[*torrent.PeerConn]bool{}, wait: redialFirst,
	}
	c.byName[id] = ct
	c.contacts = append(c.contacts, ct)
}

// mayIntroduce says whether to listen to what a peer says of others, so many times.
func (c *crowd) mayIntroduce(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	ct := c.byName[name]
	if ct == nil || ct.intro >= maxIntroductions {
		return false
	}
	ct.intro++
	return true
}

// forgetOne makes room for an address: the caller holds mu.
func (c *crowd) forgetOne() bool {
	worst := -1
	for i, ct := range c.contacts {
		if ct.heard && ct.wait > redialMost && (worst < 0 || ct.wait > c.contacts[worst].wait) {
			worst = i
		}
	}
	if worst < 0 {
		return false
	}
	delete(c.byName, c.contacts[worst].name)
	c.contacts = slices.Delete(c.contacts, worst, worst+1)
	return true
}

func (c *crowd) addPeer(id string) {
	if validPeer(id) {
		c.add(id, peerAddr{c.f.job.Infohash, id}, true)
	}
}

// size is how many peers are connected.
func (c *crowd) size() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, ct := range c.byName {
		if len(ct.conns) > 0 {
			n++
		}
	}
	return n
}

// hopeless says that there were peers and all of them are banned.
func (c *crowd) hopeless() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, ct := range c.byName {
		if !c.f.blame.isBanned(ct.name) && !(ct.heard && ct.wait > redialMost) {
			return false
		}
	}
	return len(c.byName) > 0
}

// joined notes a connection, of a peer that was dialled or dialled us.
func (c *crowd) joined(pc *torrent.PeerConn) {
	name := peerName(pc.RemoteAddr)
	c.mu.Lock()
	defer c.mu.Unlock()
	ct := c.byName[name]
	if ct == nil {
		_, ours := parsePeerAddr(pc.RemoteAddr.String())
		ct = &contact{name: name, ours: ours, conns: map[*torrent.PeerConn]bool{}, wait: redialFirst}
		c.byName[name] = ct
		if pc.Discovery != torrent.PeerSourceIncoming && len(c.contacts) < maxContacts {
			// Heard of by the library, from PEX.
			ct.addr = pc.RemoteAddr
			c.contacts = append(c.contacts, ct)
		}
	}
	if len(ct.conns) == 0 {
		ct.since = time.Now()
	}
	ct.heard = false
	ct.conns[pc] = true
}

func (c *crowd) left(pc *torrent.PeerConn) {
	name := peerName(pc.RemoteAddr)
	c.mu.Lock()
	defer c.mu.Unlock()
	ct := c.byName[name]
	if ct == nil {
		return
	}
	delete(ct.conns, pc)
	if len(ct.conns) == 0 && ct.addr == nil {
		delete(c.byName, name)
	}
}

// useful notes that a peer sent something that was wanted.
func (c *crowd) useful(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ct := c.byName[name]; ct != nil {
		ct.last = time.Now()
		ct.wait, ct.turns = redialFirst, 0
	}
}

// heard notes that a part of a piece came in.
func (c *crowd) heard(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ct := c.byName[name]; ct != nil {
		ct.last = time.Now()
	}
}

// spoke notes that a peer shook hands for extensions, and whether it claims to
// have the info dict.
func (c *crowd) spoke(name string, info bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ct := c.byName[name]; ct != nil {
		ct.spoke, ct.info = true, info
	}
}

// owesInfo says whether a peer could be expected to send the info dict. One that
// has not said a word could.
func (c *crowd) owesInfo(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	ct := c.byName[name]
	return ct != nil && (ct.info || !ct.spoke)
}

// hangUpAll ends all connections, to be made anew.
func (c *crowd) hangUpAll() {
	c.mu.Lock()
	var conns []*torrent.PeerConn
	for _, ct := range c.byName {
		ct.next = time.Time{}
		for pc := range ct.conns {
			conns = append(conns, pc)
		}
	}
	c.mu.Unlock()
	hangUp(conns)
}

// expel cuts a peer off for good: blame has banned it.
func (c *crowd) expel(name string) {
	c.mu.Lock()
	var conns []*torrent.PeerConn
	for _, ct := range c.byName {
		if banKey(ct.name) == banKey(name) {
			for pc := range ct.conns {
				conns = append(conns, pc)
			}
		}
	}
	c.mu.Unlock()
	hangUp(conns)
}

// hangUp closes connections from where the client's lock may be held.
func hangUp(conns []*torrent.PeerConn) {
	if len(conns) == 0 {
		return
	}
	go func() {
		for _, pc := range conns {
			_ = pc.Close()
		}
	}()
}

// examine has the peers asked one at a time from now on, or all at once again.
// It takes effect with the next round.
func (c *crowd) examine(alone bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.alone == alone {
		return
	}
	c.alone, c.apply = alone, true
	c.switched = time.Now()
	for _, ct := range c.contacts {
		ct.next, ct.wait = time.Time{}, redialFirst
	}
	c.f.poke()
}

// round does what is due: limits, redialling, silence.
func (c *crowd) round(now time.Time) {
	if limit := c.limit(); limit > 0 {
		c.f.t.SetMaxEstablishedConns(limit)
	}
	if silent := c.silent(now); len(silent) > 0 {
		var conns []*torrent.PeerConn
		for _, ct := range silent {
			c.f.s.cfg.Observe(ct.name, Event{Kind: Timeout, Infohash: c.f.job.Infohash})
			conns = append(conns, ct.open(c)...)
		}
		hangUp(conns)
	}
	hangUp(c.slow(now))
	c.rotate(now)
	if due := c.due(now); len(due) > 0 {
		c.f.t.AddPeers(due)
	}
}

func (ct *contact) open(c *crowd) []*torrent.PeerConn {
	c.mu.Lock()
	defer c.mu.Unlock()
	conns := make([]*torrent.PeerConn, 0, len(ct.conns))
	for pc := range ct.conns {
		conns = append(conns, pc)
	}
	return conns
}

// limit is the number of connections the torrent must be told, 0 for no change.
func (c *crowd) limit() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.apply {
		return 0
	}
	c.apply = false
	if c.alone {
		return 1
	}
	return c.f.s.cfg.ConnsPerTorrent
}

// due are the peers to dial now, fewer when enough are connected.
func (c *crowd) due(now time.Time) []torrent.PeerInfo {
	c.mu.Lock()
	defer c.mu.Unlock()
	connected := 0
	for _, ct := range c.byName {
		if len(ct.conns) > 0 {
			connected++
		}
	}
	var out []torrent.PeerInfo
	contacts := c.contacts
	if c.alone {
		contacts = c.byTurns()
	}
	for _, ct := range contacts {
		if connected+len(out) >= min(wantConns, c.f.s.cfg.ConnsPerTorrent) || c.alone && connected+len(out) >= 1 {
			break
		}
		if len(ct.conns) > 0 || now.Before(ct.next) || c.f.blame.isBanned(ct.name) {
			continue
		}
		ct.next = now.Add(ct.wait)
		ct.wait = min(2*ct.wait, ct.redialMost())
		out = append(out, torrent.PeerInfo{Addr: ct.addr, Source: torrent.PeerSourceDirect, Trusted: true})
	}
	return out
}

// byTurns are the contacts in the order in which they are asked alone: those first
// that sent something right before, then those that had fewer turns in vain.
func (c *crowd) byTurns() []*contact {
	credits := c.f.blame.credits()
	out := slices.Clone(c.contacts)
	slices.SortStableFunc(out, func(a, b *contact) int {
		good := func(ct *contact) int {
			if credits[ct.name] > 0 {
				return 0
			}
			return 1
		}
		return cmp.Or(cmp.Compare(a.turns, b.turns), cmp.Compare(good(a), good(b)), cmp.Compare(a.wait, b.wait))
	})
	return out
}

func (ct *contact) redialMost() time.Duration {
	if ct.heard {
		return redialHeard
	}
	return redialMost
}
