package swarm

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anacrolix/torrent/bencode"
)

// trackerFor is an HTTP tracker (BEP 3, 23) that names one address for a torrent.
func trackerFor(t testing.TB, ih Infohash, addr string) string {
	t.Helper()
	return serveTracker(t, func(_ int, hash string) map[string]any {
		if hash != string(ih[:]) {
			return map[string]any{"failure reason": "unknown torrent"}
		}
		return map[string]any{"interval": 1, "peers": compact(addr)}
	})
}

func compact(addr string) string {
	ap := netip.MustParseAddrPort(addr)
	ip := ap.Addr().As4()
	return string(append(ip[:], byte(ap.Port()>>8), byte(ap.Port())))
}

// serveTracker answers the n-th announcement, n from 0; nil is no answer.
func serveTracker(t testing.TB, reply func(n int, infohash string) map[string]any) string {
	t.Helper()
	var asked atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if m := reply(int(asked.Add(1))-1, r.URL.Query().Get("info_hash")); m != nil {
			_, _ = w.Write(bencode.MustMarshal(m))
			return
		}
		w.WriteHeader(http.StatusBadGateway)
	}))
	t.Cleanup(srv.Close)
	return srv.URL + "/announce"
}

// What strangers name is dialled again: the library would do so once.
func TestHeardOfIsDialledAgain(t *testing.T) {
	t.Parallel()
	tn := newTown(t)
	al := newAlbum(t, 150)
	alice := tn.node("alice", ordinary)
	if err := alice.Seed(t.Context(), al.info, al.files); err != nil {
		t.Fatal(err)
	}
	door := shyDoor(t, alice.Addr(), 4) // the library tries each address twice, once obfuscated
	url := serveTracker(t, func(n int, _ string) map[string]any {
		switch n {
		case 0:
			return nil
		case 1:
			return map[string]any{"interval": 1800, "peers": compact(door)}
		}
		return map[string]any{"interval": 1800, "peers": ""} // it names nobody twice
	})
	bob := tn.node("bob", ordinary, func(c *Config) { c.Trackers = []string{url} })
	job := Job{Infohash: al.ih, Name: al.name, Public: true, Partial: filepath.Join(t.TempDir(), "partial")}
	if _, err := bob.Fetch(within(t, patience), job); err != nil {
		t.Fatal(err)
	}
}

// shyDoor hangs up on its first visitors and leads all others on.
func shyDoor(t testing.TB, to string, turnedAway int) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if n < turnedAway {
				_ = c.Close()
				continue
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				_ = c.Close()
				continue
			}
			go pipe(far, c)
			go pipe(c, far)
		}
	}()
	return l.Addr().String()
}

func pipe(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	_, _ = to.Close(), from.Close()
}

func TestTrackerPace(t *testing.T) {
	t.Parallel()
	var p trackerPacer
	failed := errors.New("failed")
	for i, step := range []struct {
		interval time.Duration
		err      error
		want     time.Duration
	}{
		{0, failed, trackerRetry},
		{time.Hour, failed, 2 * trackerRetry},
		{0, failed, 4 * trackerRetry},
		{-time.Second, nil, trackerPause},
		{time.Hour, nil, time.Hour},
		{0, failed, trackerRetry},
	} {
		if got := p.next(step.interval, step.err); got != step.want {
			t.Errorf("step %d: wait %s, want %s", i, got, step.want)
		}
	}
	for range 20 {
		p.next(0, failed)
	}
	if got := p.next(0, failed); got != trackerRetryMost {
		t.Errorf("after many failures: %s", got)
	}
}

func TestTrackerURLs(t *testing.T) {
	t.Parallel()
	for _, u := range []string{"http://t.example/announce?k=1", "https://t.example:443/a", "udp://t.example:80"} {
		if err := (Config{Trackers: []string{u}}).Validate(); err != nil {
			t.Errorf("%s: %v", u, err)
		}
	}
	for _, u := range []string{"", "t.example:80", "wss://t.example", "http://", "http://me:secret@t.example/a", "udp://%zz"} {
		err := Config{Trackers: []string{u}}.Validate()
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v", u, err)
		}
	}
}

// What many strangers name is bounded, and what never answered makes room.
func TestHeardOfIsBounded(t *testing.T) {
	t.Parallel()
	c := newCrowd(&fetch{job: Job{Peers: []string{"alice"}}, blame: newBlame()})
	addr := func(i int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)}), 1)
	}
	for i := range maxContacts + 10 {
		c.heardOf(addr(i))
	}
	c.heardOf(netip.MustParseAddrPort("0.0.0.0:1"))
	c.heardOf(netip.MustParseAddrPort("224.0.0.1:1"))
	if len(c.contacts) != maxContacts || c.byName[addr(maxContacts).String()] != nil {
		t.Fatalf("%d contacts", len(c.contacts))
	}
	c.byName[addr(7).String()].wait = redialHeard
	c.heardOf(addr(maxContacts))
	if len(c.contacts) != maxContacts || len(c.byName) != maxContacts || c.byName[addr(7).String()] != nil ||
		c.byName[addr(maxContacts).String()] == nil || c.byName["alice"] == nil {
		t.Errorf("%d contacts, and the useless one did not make room", len(c.contacts))
	}
}
