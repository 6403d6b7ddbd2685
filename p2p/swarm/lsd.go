package swarm

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/time/rate"
)

const (
	lsdPort = 6771
	// lsdEvery is how often what is seeded or searched is told (BEP 14).
	lsdEvery = 5 * time.Minute
	// lsdPause is how long a torrent is not told again when somebody asks for it.
	lsdPause = 5 * time.Second
	// lsdRound is how many torrents are told in one round, any; the others when
	// somebody asks.
	lsdRound = 500
	// lsdMost bounds the packets sent and read a second, lsdBurst those at once.
	lsdMost, lsdBurst = 20, 100
	// lsdInterfaces is how often network interfaces are looked at.
	lsdInterfaces = 30 * time.Second
	// lsdPacket bounds a packet, lsdHashes the torrents in it.
	lsdPacket, lsdHashes = 1400, 32
)

var lsdGroup = net.IPv4(239, 192, 152, 143)

// An lsd is local service discovery (BEP 14): clients of one network tell each
// other by multicast which torrents they share, and where:
//
//	BT-SEARCH * HTTP/1.1
//	Host: 239.192.152.143:6771
//	Port: 4748
//	Infohash: <40 hex>
//	cookie: <random, to know one's own>
//
// What is seeded is told every five minutes, and at once when somebody asks. What
// others tell is heeded by fetches under way, and nothing is remembered of it.
type lsd struct {
	s      *Swarm
	cookie string
	out    *rate.Limiter
	in     *rate.Limiter
	soon   chan Infohash

	mu   sync.Mutex
	conn *ipv4.PacketConn // nil while no interface takes multicast
	at   []net.Interface  // joined
	told map[Infohash]telling
	over bool
}

// A telling is of a torrent that was told a moment ago.
type telling struct {
	at    time.Time
	again bool // it will be once more
}

func newLSD(s *Swarm) *lsd {
	return &lsd{
		s: s, cookie: rand.Text(), soon: make(chan Infohash, lsdBurst), told: map[Infohash]telling{},
		out: rate.NewLimiter(lsdMost, lsdBurst), in: rate.NewLimiter(lsdMost, lsdBurst),
	}
}

func (l *lsd) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	if l.conn == nil {
		return nil
	}
	return l.conn.Close()
}

// run joins the group wherever it can, and tells what is seeded.
func (l *lsd) run(ctx context.Context) error {
	look := time.NewTicker(lsdInterfaces)
	defer look.Stop()
	round := time.NewTicker(lsdEvery)
	defer round.Stop()
	if l.join() {
		l.tellAll(ctx)
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-look.C:
			if l.join() {
				l.tellAll(ctx)
			}
		case <-round.C:
			l.tellAll(ctx)
		case ih := <-l.soon:
			l.tell(ih)
		}
	}
}

// join joins the group on interfaces that are new, and says whether there are any.
func (l *lsd) join() bool {
	all, err := net.Interfaces()
	if err != nil {
		l.s.log.Debug("looking for network interfaces", "err", err)
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var now []net.Interface
	grown := false
	for _, i := range all {
		if l.over || i.Flags&net.FlagUp == 0 || i.Flags&net.FlagMulticast == 0 {
			continue
		}
		known := false
		for _, at := range l.at {
			known = known || at.Index == i.Index && at.Name == i.Name
		}
		if !known {
			if err := l.joinOne(i); err != nil {
				l.s.log.Debug("local service discovery", "interface", i.Name, "err", err)
				continue
			}
			grown = true
		}
		now = append(now, i)
	}
	l.at = now
	return grown
}

// joinOne joins on one interface. The caller holds mu.
func (l *lsd) joinOne(i net.Interface) error {
	if l.conn != nil {
		return l.conn.JoinGroup(&i, &net.UDPAddr{IP: lsdGroup})
	}
	pc, err := net.ListenMulticastUDP("udp4", &i, &net.UDPAddr{IP: lsdGroup, Port: lsdPort})
	if err != nil {
		return err
	}
	conn := ipv4.NewPacketConn(pc)
	// Other clients of this machine listen too. That a packet was sent to the group
	// is not told everywhere; then the group's scope is all there is.
	_ = conn.SetControlMessage(ipv4.FlagDst, true)
	if err := errors.Join(conn.SetMulticastLoopback(true), conn.SetMulticastTTL(1)); err != nil {
		return errors.Join(err, pc.Close())
	}
	l.conn = conn
	go l.listen(conn)
	return nil
}

// listen hears what others tell, until the socket is closed.
func (l *lsd) listen(conn *ipv4.PacketConn) {
	buf := make([]byte, lsdPacket+1)
	for {
		n, cm, from, err := conn.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			l.s.log.Debug("local service discovery", "err", err)
			if !sleep(l.s.ctx, time.Second) {
				return
			}
			continue
		}
		addr, ok := from.(*net.UDPAddr)
		if !ok || cm != nil && cm.Dst != nil && !cm.Dst.IsMulticast() || !l.in.Allow() {
			continue
		}
		if msg, ok := parseSearch(buf[:n]); ok && msg.cookie != l.cookie {
			l.heard(netip.AddrPortFrom(addr.AddrPort().Addr().Unmap(), msg.port), msg.hashes)
		}
	}
}

func (l *lsd) heard(from netip.AddrPort, hashes []Infohash) {
	for _, ih := range hashes {
		if f := l.s.fetchOf(ih); f != nil && f.job.Public {
			f.crowd.heardOf(from)
			f.poke()
		}
		if l.s.isSeeded(ih) {
			l.announceSoon(ih)
		}
	}
}

// announceSoon has a torrent told, a moment later where it was just now.
func (l *lsd) announceSoon(ih Infohash) {
	select {
	case l.soon <- ih:
	default:
	}
}

// search tells of a fetch until it ends, so that those who have it come.
func (l *lsd) search(ctx context.Context, ih Infohash) {
	for {
		l.announceSoon(ih)
		if !sleep(ctx, lsdEvery) {
			return
		}
	}
}

func (l *lsd) tellAll(ctx context.Context) {
	for i, ih := range l.s.seeded() {
		if i == lsdRound || l.out.Wait(ctx) != nil {
			return
		}
		l.send(ih)
	}
}

// tell tells of a torrent that somebody asks for.
func (l *lsd) tell(ih Infohash) {
	l.mu.Lock()
	t, lately := l.told[ih]
	pause := time.Until(t.at.Add(lsdPause))
	switch {
	case lately && t.again, len(l.told) >= maxAnnounced:
		l.mu.Unlock()
		return
	case lately && pause > 0:
		l.told[ih] = telling{t.at, true}
		l.mu.Unlock()
		time.AfterFunc(pause, func() {
			l.mu.Lock()
			delete(l.told, ih)
			l.mu.Unlock()
			l.announceSoon(ih)
		})
		return
	}
	l.told[ih] = telling{at: time.Now()}
	l.mu.Unlock()
	time.AfterFunc(2*lsdPause, func() { l.forget(ih) })
	if l.out.Allow() {
		l.send(ih)
	}
}

func (l *lsd) forget(ih Infohash) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t := l.told[ih]; !t.again && time.Since(t.at) >= lsdPause {
		delete(l.told, ih)
	}
}

func (l *lsd) send(ih Infohash) {
	addr, ok := l.s.inbox.addr.(*net.TCPAddr)
	if !ok {
		return // nobody could come
	}
	msg := search{port: uint16(addr.Port), hashes: []Infohash{ih}, cookie: l.cookie}.encode()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn == nil || l.over {
		return
	}
	for _, i := range l.at {
		err := l.conn.SetMulticastInterface(&i)
		if err == nil {
			_, err = l.conn.WriteTo(msg, nil, &net.UDPAddr{IP: lsdGroup, Port: lsdPort})
		}
		if err != nil {
			l.s.log.Debug("local service discovery", "interface", i.Name, "err", err)
		}
	}
}

// A search is one packet.
type search struct {
	port   uint16
	hashes []Infohash
	cookie string
}

const searchLine = "BT-SEARCH * HTTP/1.1"

func (m search) encode() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\r\nHost: %s:%d\r\nPort: %d\r\n", searchLine, lsdGroup, lsdPort, m.port)
	for _, ih := range m.hashes {
		fmt.Fprintf(&b, "Infohash: %s\r\n", ih)
	}
	fmt.Fprintf(&b, "cookie: %s\r\n\r\n\r\n", m.cookie)
	return []byte(b.String())
}

// parseSearch reads a packet; one with anything amiss is none.
func parseSearch(b []byte) (m search, ok bool) {
	if len(b) > lsdPacket {
		return m, false
	}
	head, _, ok := strings.Cut(string(b), "\r\n\r\n")
	lines := strings.Split(head, "\r\n")
	if !ok || lines[0] != searchLine {
		return m, false
	}
	for _, line := range lines[1:] {
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			return m, false
		}
		value = strings.TrimSpace(value)
		switch strings.ToLower(key) {
		case "port":
			port, err := strconv.ParseUint(value, 10, 16)
			if err != nil || port == 0 || m.port != 0 {
				return m, false
			}
			m.port = uint16(port)
		case "infohash":
			ih, err := ParseInfohash(strings.ToLower(value))
			if err != nil || len(m.hashes) == lsdHashes {
				return m, false
			}
			m.hashes = append(m.hashes, ih)
		case "cookie":
			m.cookie = value
		}
	}
	return m, m.port != 0 && len(m.hashes) > 0
}
