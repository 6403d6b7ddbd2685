package main

import (
	"encoding/binary"
	"fmt"
	"net"
	nethttp "net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"
)

// A tracker introduces BitTorrent clients of this machine to one another (BEP 3,
// compact answers of BEP 23).
type tracker struct {
	listener net.Listener
	server   *nethttp.Server

	mu    sync.Mutex
	peers map[netip.AddrPort]trackedPeer // guarded by mu
}

type trackedPeer struct {
	gone, whole bool
	uploaded    int64 // bytes, by its own word
}

func newTracker() (*tracker, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	t := &tracker{listener: l, peers: map[netip.AddrPort]trackedPeer{}}
	t.server = &nethttp.Server{Handler: t, ReadHeaderTimeout: time.Minute}
	go func() { _ = t.server.Serve(l) }()
	return t, nil
}

func (t *tracker) url() string { return "http://" + t.listener.Addr().String() + "/announce" }

func (t *tracker) close() { _ = t.server.Close() }

// seeders is the number of clients that told they have everything.
func (t *tracker) seeders() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, p := range t.peers {
		if p.whole && !p.gone {
			n++
		}
	}
	return n
}

// anySeeder is one of them.
func (t *tracker) anySeeder() (addr netip.AddrPort) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for a, p := range t.peers {
		if p.whole {
			return a
		}
	}
	return addr
}

// uploaded is what a client said last that it sent, in bytes.
func (t *tracker) uploaded(addr netip.AddrPort) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.peers[addr].uploaded
}

func (t *tracker) ServeHTTP(w nethttp.ResponseWriter, r *nethttp.Request) {
	q := r.URL.Query()
	port, err := strconv.ParseUint(q.Get("port"), 10, 16)
	if err != nil {
		fmt.Fprint(w, "d14:failure reason7:no porte")
		return
	}
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		fmt.Fprint(w, "d14:failure reason10:no addresse")
		return
	}
	self := netip.AddrPortFrom(from.Addr().Unmap(), uint16(port))
	uploaded, _ := strconv.ParseInt(q.Get("uploaded"), 10, 64) // 0 where nothing is told
	t.mu.Lock()
	defer t.mu.Unlock()
	t.peers[self] = trackedPeer{gone: q.Get("event") == "stopped", whole: q.Get("left") == "0", uploaded: uploaded}
	var others []byte
	for p, state := range t.peers {
		if p != self && !state.gone {
			others = binary.BigEndian.AppendUint16(append(others, p.Addr().AsSlice()...), p.Port())
		}
	}
	fmt.Fprintf(w, "d8:intervali1e5:peers%d:%se", len(others), others)
}
