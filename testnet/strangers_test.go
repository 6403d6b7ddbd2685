package main_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"io"
	mrand "math/rand/v2"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"

	testnet "github.com/dockchains/dockchain/testnet/harness"
)

// Protocols of the network, and those that carry its gossip.
var spoken = []protocol.ID{
	"/dockchain/public/sync/1.0.0",
	"/dockchain/public/bt/1.0.0",
	"/dockchain/public/kad/1.0.0",
	"/meshsub/1.1.0",
	"/ipfs/id/1.0.0",
	"/ipfs/ping/1.0.0",
}

// stranger is a bare libp2p host: a peer that keeps no rule of ours at all.
func stranger(t *testing.T, victim *testnet.Node) host.Host {
	t.Helper()
	h, err := libp2p.New(
		libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.Transport(tcp.NewTCPTransport),
		libp2p.Security(noise.ID, noise.New), libp2p.DisableRelay(), libp2p.DisableMetrics(),
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	info, err := peer.AddrInfoFromString(victim.Addr())
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Connect(t.Context(), *info); err != nil {
		t.Fatal(err)
	}
	return h
}

// garbage gives streams of bytes that no protocol of ours has in it.
func garbage(t *testing.T) map[string][]byte {
	t.Helper()
	noise := make([]byte, 4096)
	if _, err := rand.Read(noise); err != nil {
		t.Fatal(err)
	}
	huge := binary.AppendUvarint(nil, 1<<62)
	claim := binary.AppendUvarint(nil, 1<<20) // a frame of 1 MiB that never comes
	op := append([]byte{3}, "log"...)
	infohash := bytes.Repeat([]byte{7}, 20)
	preamble := append([]byte("dcbt\x01"), infohash...)
	return map[string][]byte{
		"nothing":                  {},
		"noise":                    noise,
		"a megabyte":               bytes.Repeat(noise, 256),
		"a frame of 4 EiB":         append(huge, noise...),
		"a frame that never comes": claim,
		"endless varint":           bytes.Repeat([]byte{0xff}, 64),
		"an op and a huge payload": append(bytes.Clone(op), append(huge, noise...)...),
		"an op, not JSON":          append(bytes.Clone(op), append([]byte{4}, "null"...)...),
		"an op, deep JSON":         append(bytes.Clone(op), append(binary.AppendUvarint(nil, 60000), bytes.Repeat([]byte("["), 60000)...)...),
		"half a preamble":          preamble[:9],
		"a torrent nobody has":     preamble,
		"a preamble and noise":     append(bytes.Clone(preamble), noise...),
		"an HTTP request":          []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
	}
}

// TestGarbageFrames throws garbage at every protocol from many streams at once.
// The node stays up, forgets none of its duties, and its heap does not fill.
func TestGarbageFrames(t *testing.T) {
	t.Parallel()
	net := testnet.New(t, 3).Start().Connect().AwaitPeers(2)
	victim := net.Node(0)
	for name, b := range garbage(t) {
		h := stranger(t, victim)
		for _, proto := range spoken {
			throw(t, h, victim, proto, name, b)
		}
	}
	testnet.Await(t, "garbage to be noticed", func() bool { return victim.Host().Stats().RequestsBroken > 0 })

	layout := testnet.Image{Seed: 600, Layers: []int64{1 << 20}}.Lay(t)
	pub := victim.PublishLayout("app:1.0", layout)
	for _, n := range net.Nodes()[1:] {
		n.AwaitSearch("app", pub.Digest)
		n.Fetch(testnet.BareMagnet(t, pub.Magnet))
	}
}

// throw opens a stream, writes, and reads what little comes back.
func throw(t *testing.T, h host.Host, victim *testnet.Node, proto protocol.ID, name string, b []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	s, err := h.NewStream(ctx, victim.ID(), proto)
	if err != nil {
		return // it may have had enough of us
	}
	defer s.Reset()
	deadline := time.Now().Add(200 * time.Millisecond) // a peer that says nothing more is not waited for
	if err := s.SetDeadline(deadline); err != nil {
		t.Fatal(err)
	}
	_, _ = s.Write(b)
	_ = s.CloseWrite()
	if n, _ := io.Copy(io.Discard, io.LimitReader(s, 16<<20)); n >= 16<<20 {
		t.Errorf("%s over %s is answered with %d bytes", name, proto, n)
	}
}

// TestGossipOfAMegabyte has a bare gossipsub peer send what is larger than any
// message may be. It reaches nobody, and honest gossip still does.
func TestGossipOfAMegabyte(t *testing.T) {
	t.Parallel()
	net := testnet.New(t, 2).Start().Connect().AwaitPeers(1)
	front, behind := net.Node(0), net.Node(1)
	h := stranger(t, front)
	net.CutPeer(behind, h.ID())
	ps, err := pubsub.NewGossipSub(t.Context(), h, pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign),
		pubsub.WithNoAuthor(), pubsub.WithMaxMessageSize(16<<20), pubsub.WithFloodPublish(true))
	if err != nil {
		t.Fatal(err)
	}
	topic, err := ps.Join("/dockchain/public/ledger/1")
	if err != nil {
		t.Fatal(err)
	}
	testnet.Await(t, "gossip to run", func() bool { return len(topic.ListPeers()) > 0 })
	src := mrand.NewChaCha8([32]byte{1})
	for range 20 {
		b := make([]byte, 1<<20)
		if _, err := src.Read(b); err != nil {
			t.Fatal(err)
		}
		if err := topic.Publish(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	pub := front.Publish("app:1.0", testnet.Image{Seed: 601, Layers: []int64{10}})
	behind.AwaitSearch("app", pub.Digest)
	if s := front.Host().Stats(); s.GossipAccepted > 0 {
		t.Errorf("messages of a megabyte were accepted: %+v", s)
	}
}
