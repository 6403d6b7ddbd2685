package swarm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anacrolix/torrent/bencode"
)

// website lays an album out as a web server would have it, with its .torrent file.
func website(t *testing.T, al album) string {
	t.Helper()
	dir := t.TempDir()
	for i, f := range al.files {
		path := filepath.Join(append([]string{dir, al.name}, f.Path...)...)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, al.data[i], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, al.name+".torrent"), TorrentFile(al.info, nil, nil), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL + "/"
}

func localLinks(c *Config) { c.LocalLinks = true }

func webJob(t *testing.T, al album, seeds ...string) Job {
	return Job{Infohash: al.ih, Name: al.name, Partial: filepath.Join(t.TempDir(), "partial"), WebSeeds: seeds}
}

// A web server alone is enough: it has the info dict too.
func TestWebSeedAlone(t *testing.T) {
	t.Parallel()
	al := newAlbum(t, 500)
	dir := website(t, al)
	var bytesSent atomic.Int64
	base := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &counting{ResponseWriter: w}
		http.FileServer(http.Dir(dir)).ServeHTTP(c, r)
		bytesSent.Add(c.n)
	}))
	bob := newTown(t).node("bob", localLinks)
	job := webJob(t, al, base)
	res, err := bob.Fetch(within(t, patience), job)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(job.Partial)
	if err != nil || !bytes.Equal(got, al.flat()) {
		t.Errorf("other bytes, %v", err)
	}
	name := strings.TrimSuffix(base, "/")
	if n := res.FromPeers[name]; n != int64(len(al.flat())) || bob.seen.bytes(name) != n {
		t.Errorf("%d bytes are credited to %s, of %v", n, name, res.FromPeers)
	}
	if most := int64(len(al.flat())) + 10_000; bytesSent.Load() > most {
		t.Errorf("%d bytes were sent, want at most %d", bytesSent.Load(), most)
	}
}

type counting struct {
	http.ResponseWriter
	n int64
}

func (c *counting) Write(b []byte) (int, error) {
	n, err := c.ResponseWriter.Write(b)
	c.n += int64(n)
	return n, err
}

// Web seeds that are of no use are left, for peers and better ones to do it all.
func TestWebSeedsThatFail(t *testing.T) {
	t.Parallel()
	al := newAlbum(t, 510)
	files := http.FileServer(http.Dir(website(t, al)))
	for name, test := range map[string]struct {
		h     http.Handler
		wrong int // pieces
	}{
		"not found":  {http.NotFoundHandler(), 0},
		"no ranges":  {http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { r.Header.Del("Range"); files.ServeHTTP(w, r) }), 0},
		"other file": {http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 12345)) }), 0},
		"lies": {http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for i, f := range al.files {
				if strings.HasSuffix(r.URL.Path, strings.Join(f.Path, "/")) {
					http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(make([]byte, len(al.data[i]))))
					return
				}
			}
			http.NotFound(w, r)
		}), 1},
		"other ranges": {http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Range", "bytes 0-9/10")
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(make([]byte, 10))
		}), 0},
		"endless redirects": {http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path+"x", http.StatusFound)
		}), 0},
		"cuts off": {http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000")
			w.WriteHeader(http.StatusOK)
		}), 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := serve(t, test.h)
			tn := newTown(t)
			alice, bob := tn.node("alice", ordinary), tn.node("bob", localLinks)
			if err := alice.Seed(t.Context(), al.info, al.files); err != nil {
				t.Fatal(err)
			}
			// The seed has the first word: it has failed when the peer is named.
			more := make(chan string)
			job := webJob(t, al, base)
			job.Info, job.MorePeers = al.info, more
			done := make(chan error, 1)
			go func() { _, err := bob.Fetch(within(t, patience), job); done <- err }()
			await(t, "the web seed to be left or to have failed", func() bool {
				f := bob.fetchOf(al.ih) // whoever serves whole files only is of use where they are asked for whole
				return len(done) > 0 || f != nil && (f.webs.Load() == 0 || name == "cuts off" || name == "endless redirects")
			})
			select {
			case more <- "alice":
			case err := <-done:
				done <- err
			}
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			if got := bob.seen.count(strings.TrimSuffix(base, "/"), BadPiece); got != test.wrong {
				t.Errorf("%d wrong pieces are told, want %d", got, test.wrong)
			}
			got, err := os.ReadFile(job.Partial)
			if err != nil || !bytes.Equal(got, al.flat()) {
				t.Errorf("other bytes, %v", err)
			}
		})
	}
}

// A web seed and a peer share the work.
func TestWebSeedBesideAPeer(t *testing.T) {
	t.Parallel()
	al := newAlbum(t, 520)
	base := serve(t, http.FileServer(http.Dir(website(t, al))))
	tn := newTown(t)
	alice, bob := tn.node("alice", ordinary), tn.node("bob", localLinks)
	if err := alice.Seed(t.Context(), al.info, al.files); err != nil {
		t.Fatal(err)
	}
	job := webJob(t, al, base, base+"elsewhere/")
	job.Addrs = []string{alice.Addr()}
	res, err := bob.Fetch(within(t, patience), job)
	if err != nil {
		t.Fatal(err)
	}
	total := int64(0)
	for _, n := range res.FromPeers {
		total += n
	}
	if want := int64(len(al.flat())); total < want {
		t.Errorf("%d bytes are credited of %d: %v", total, want, res.FromPeers)
	}
	if got, err := os.ReadFile(job.Partial); err != nil || !bytes.Equal(got, al.flat()) {
		t.Errorf("other bytes, %v", err)
	}
}

// TestLinksLeadToPublicAddressesOnly: what a link names is not asked on this machine
// or in its network, neither directly nor by way of a redirect.
func TestLinksLeadToPublicAddressesOnly(t *testing.T) {
	t.Parallel()
	al := newAlbum(t, 530)
	var asked atomic.Int64
	base := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = udp.Close() })
	go func() {
		if _, _, err := udp.ReadFrom(make([]byte, 100)); err == nil {
			asked.Add(1)
		}
	}()
	bob := newTown(t).node("bob")
	port := base[strings.LastIndexByte(base, ':'):]
	job := webJob(t, al, base, "http://localhost"+port, "http://[::ffff:127.0.0.1]"+port)
	job.Info, job.Trackers = al.info, []string{base + "announce", "udp://" + udp.LocalAddr().String(), "http://localhost" + port + "announce"}
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(within(t, patience))
	defer cancel()
	go func() { _, err := bob.Fetch(ctx, job); ended <- err }()
	await(t, "all web seeds to be left", func() bool {
		f := bob.fetchOf(al.ih)
		return f != nil && f.webs.Load() == 0
	})
	if n := asked.Load(); n > 0 {
		t.Errorf("%d requests came", n)
	}
	for _, u := range job.Trackers {
		f := bob.fetchOf(al.ih)
		if _, err := f.announceTo(t.Context(), u, 0, true); !errors.Is(err, errNear) && !strings.Contains(fmt.Sprint(err), errNear.Error()) {
			t.Errorf("%s: got %v", u, err)
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the fetch ended with %v", err)
	}
}

func TestReach(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]struct{ public, local bool }{
		"192.0.2.1": {true, true}, "2001:db8::1": {true, true},
		"127.0.0.1": {false, true}, "::1": {false, true}, "::ffff:127.0.0.1": {false, true}, "10.1.2.3": {false, true},
		"192.168.0.1": {false, true}, "172.16.0.1": {false, true}, "fd00::1": {false, true}, "100.100.100.200": {false, true},
		"169.254.169.254": {}, "fe80::1": {}, "0.0.0.0": {}, "::": {}, "224.0.0.1": {},
	} {
		a := netip.MustParseAddr(addr)
		if got := (Config{}).mayReach(a) == nil; got != want.public {
			t.Errorf("%s: %v", addr, got)
		}
		if got := (Config{LocalLinks: true}).mayReach(a) == nil; got != want.local {
			t.Errorf("%s with local links: %v", addr, got)
		}
	}
}

func TestWebURL(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		base string
		path []string
		want string
	}{
		{"http://h/a", nil, "http://h/a"},
		{"http://h/a/", nil, "http://h/a/n%20m"},
		{"http://h/a", []string{"blobs", "x?y"}, "http://h/a/n%20m/blobs/x%3Fy"},
		{"http://h/a/", []string{"x"}, "http://h/a/n%20m/x"},
	} {
		if got := webURL(test.base, "n m", test.path); got != test.want {
			t.Errorf("%s %q: %s", test.base, test.path, got)
		}
	}
}

func FuzzContentRange(f *testing.F) {
	for _, s := range []string{"bytes 0-9/10", "bytes 5-5/*", "bytes */10", "bytes 0-9223372036854775807/1", "bytes 9-0/10", "", "bytes -1-2/3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		from, to, size, ok := parseContentRange(s)
		if ok && (from < 0 || to <= from || size < -1) {
			t.Fatalf("%q: %d %d %d", s, from, to, size)
		}
	})
}

func TestTorrentFile(t *testing.T) {
	t.Parallel()
	al := newAlbum(t, 540)
	b := TorrentFile(al.info, []string{"http://t/announce", "udp://u:1"}, []string{"http://w/"})
	var file struct {
		Announce     string        `bencode:"announce"`
		AnnounceList [][]string    `bencode:"announce-list"`
		Info         bencode.Bytes `bencode:"info"`
		URLs         []string      `bencode:"url-list"`
	}
	if err := bencode.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	if file.Announce != "http://t/announce" || len(file.AnnounceList) != 2 || len(file.URLs) != 1 || !bytes.Equal(file.Info, al.info) {
		t.Errorf("got %.300q", b)
	}
	if info, err := parseTorrentFile(b); err != nil || InfohashOf(info) != al.ih {
		t.Errorf("read back as %.60q, %v", info, err)
	}
}

func FuzzTorrentFile(f *testing.F) {
	f.Add([]byte("d4:infod4:name1:aee"))
	f.Add([]byte("d8:announce1:a4:infole"))
	f.Add([]byte("le"))
	f.Add([]byte(strings.Repeat("l", 5000)))
	f.Fuzz(func(t *testing.T, b []byte) {
		info, err := parseTorrentFile(b)
		if err == nil && !bytes.Contains(b, info) {
			t.Fatalf("%q is not in the file", info)
		}
		if err != nil && !errors.Is(err, ErrBadInfo) {
			t.Fatalf("unclear error %v", err)
		}
	})
}
