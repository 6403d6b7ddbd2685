package swarm

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/anacrolix/dht/v2/krpc"
)

func onMainline(bootstrap ...string) func(*Config) {
	return func(c *Config) {
		c.Listen, c.DHTListen = "127.0.0.1:0", "127.0.0.1:0"
		c.DHT, c.DHTBootstrap = true, bootstrap
	}
}

// Two nodes that know nothing of each other meet through a third, which knows
// nothing of the torrent.
func TestMainlineDHT(t *testing.T) {
	t.Parallel()
	tn := newTown(t)
	router := tn.node("router", onMainline("127.0.0.1:9"))
	addr := router.dht.server.Addr().String()
	alice, bob := tn.node("alice", onMainline(addr)), tn.node("bob", onMainline(addr))
	al := newAlbum(t, 130)
	if err := alice.Seed(t.Context(), al.info, al.files); err != nil {
		t.Fatal(err)
	}
	job := Job{Infohash: al.ih, Name: al.name, Public: true, Partial: filepath.Join(t.TempDir(), "partial")}
	if _, err := bob.Fetch(within(t, patience), job); err != nil {
		t.Fatal(err)
	}
}

// Packets that would bring the library down.
var poison = []string{
	"d1:q13:announce_peer1:t1:a1:y1:qe",
	"d1:q3:put1:t1:a1:y1:qe",
	"d1:q3:get1:t1:a1:y1:qe",
	"d1:ad2:id20:aaaaaaaaaaaaaaaaaaaae1:q3:put1:t1:a1:y1:qe",
	"d1:rd2:id20:aaaaaaaaaaaaaaaaaaaa6:valuesl1:xee1:t1:a1:y1:re",
	"d1:t1:a1:y1:re",
	"d1:y1:ee",
	"le", "", "d", "i-0e", strings.Repeat("l", 1400),
}

func TestPoisonedPackets(t *testing.T) {
	t.Parallel()
	for _, p := range poison {
		if digestible([]byte(p)) {
			t.Errorf("swallowed %.80q", p)
		}
	}
	router := newTown(t).node("router", onMainline("127.0.0.1:9"))
	c, err := net.Dial("udp", router.dht.server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, p := range poison {
		if _, err := c.Write([]byte(p)); err != nil {
			t.Fatal(err)
		}
	}
	answer := make([]byte, 2000)
	await(t, "the answer to a ping", func() bool { // packets get lost
		if _, err := c.Write([]byte("d1:ad2:id20:aaaaaaaaaaaaaaaaaaaae1:q4:ping1:t2:zz1:y1:qe")); err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(time.Second))
		n, _ := c.Read(answer)
		return strings.Contains(string(answer[:n]), "1:t2:zz")
	})
}

func FuzzDigestible(f *testing.F) {
	for _, p := range poison {
		f.Add([]byte(p))
	}
	f.Add([]byte("d1:ad2:id20:aaaaaaaaaaaaaaaaaaaae1:q4:ping1:t2:zz1:y1:qe"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if digestible(b) && len(b) < len("d1:y1:ee") {
			t.Fatalf("swallowed %q", b)
		}
	})
}

func TestAnnouncementsAreBounded(t *testing.T) {
	t.Parallel()
	var a announcements
	for i := range maxAnnounced + 100 {
		ih := [20]byte{byte(i), byte(i >> 8)}
		a.AddPeer(ih, krpc.NodeAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1})
	}
	for i := range maxAnnouncedPeers + 100 {
		a.AddPeer([20]byte{}, krpc.NodeAddr{IP: net.IPv4(192, 0, 2, byte(i)), Port: 1 + i})
	}
	if len(a.by) != maxAnnounced || len(a.GetPeers([20]byte{})) != maxAnnouncedPeers {
		t.Errorf("%d torrents, %d peers", len(a.by), len(a.GetPeers([20]byte{})))
	}
	a.AddPeer([20]byte{1}, krpc.NodeAddr{IP: net.IPv4(192, 0, 2, 9), Port: -5})
	if n := len(a.GetPeers([20]byte{1})); n != 1 {
		t.Errorf("%d peers, one of them without a port", n)
	}
	a.expire(time.Now().Add(2 * announcementsExpire))
	if len(a.by) != 0 {
		t.Errorf("%d torrents after all expired", len(a.by))
	}
}

func TestTrackers(t *testing.T) {
	t.Parallel()
	tn := newTown(t)
	al := newAlbum(t, 140)
	alice := tn.node("alice", ordinary)
	if err := alice.Seed(t.Context(), al.info, al.files); err != nil {
		t.Fatal(err)
	}
	url := trackerFor(t, al.ih, alice.Addr())
	bob := tn.node("bob", ordinary, func(c *Config) { c.Trackers = []string{url} })
	job := Job{Infohash: al.ih, Name: al.name, Public: true, Partial: filepath.Join(t.TempDir(), "partial")}
	if _, err := bob.Fetch(within(t, patience), job); err != nil {
		t.Fatal(err)
	}
	// What is announced must be loaded, for the tracker's visitors' sake.
	if err := bob.Seed(t.Context(), al.info, al.files); err != nil {
		t.Fatal(err)
	}
	if bob.Open() != 1 {
		t.Errorf("%d loaded", bob.Open())
	}
}
