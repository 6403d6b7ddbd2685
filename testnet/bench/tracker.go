package main

import (
	"encoding/binary"
	"fmt"
	"net"
	nethttp "net/http"
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
	peers map[uint16]bool // guarded by mu; by port: has everything
}

func newTracker() (*tracker, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	t := &tracker{listener: l, peers: map[uint16]bool{}}
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
	for _, whole := range t.peers {
		if whole {
			n++
		}
	}
	return n
}

func (t *tracker) ServeHTTP(w nethttp.ResponseWriter, r *nethttp.Request) {
	q := r.URL.Query()
	port, err := strconv.ParseUint(q.Get("port"), 10, 16)
	if err != nil {
		fmt.Fprint(w, "d14:failure reason7:no porte")
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	self := uint16(port)
	if q.Get("event") == "stopped" {
		delete(t.peers, self)
	} else {
		t.peers[self] = q.Get("left") == "0"
	}
	var others []byte
	for p := range t.peers {
		if p != self {
			others = binary.BigEndian.AppendUint16(append(others, 127, 0, 0, 1), p)
		}
	}
	fmt.Fprintf(w, "d8:intervali1e5:peers%d:%se", len(others), others)
}
