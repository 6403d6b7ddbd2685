package swarm

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/anacrolix/torrent/bencode"
)

// tracker is an HTTP tracker (BEP 3, 23) that names one address for a torrent.
func tracker(t testing.TB, ih Infohash, addr string) string {
	t.Helper()
	ap := netip.MustParseAddrPort(addr)
	ip := ap.Addr().As4()
	peer := append(ip[:], byte(ap.Port()>>8), byte(ap.Port()))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reply := map[string]any{"interval": 1, "peers": string(peer)}
		if r.URL.Query().Get("info_hash") != string(ih[:]) {
			reply = map[string]any{"failure reason": "unknown torrent"}
		}
		_, _ = w.Write(bencode.MustMarshal(reply))
	}))
	t.Cleanup(srv.Close)
	return srv.URL + "/announce"
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}
