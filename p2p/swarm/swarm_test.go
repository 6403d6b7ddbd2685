package swarm

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A town is a network of swarms that reach each other by name, over loopback TCP.
type town struct {
	t     testing.TB
	mu    sync.Mutex
	nodes map[string]func(from string, c net.Conn)
	folk  map[string]*resident
}

func (tn *town) residents() map[string]*resident {
	tn.mu.Lock()
	defer tn.mu.Unlock()
	return maps.Clone(tn.folk)
}

func newTown(t testing.TB) *town {
	return &town{t: t, nodes: map[string]func(string, net.Conn){}, folk: map[string]*resident{}}
}

// settle makes somebody reachable who is no swarm.
func (tn *town) settle(name string, accept func(from string, c net.Conn)) {
	tn.mu.Lock()
	defer tn.mu.Unlock()
	tn.nodes[name] = accept
}

func (tn *town) dial(ctx context.Context, from, to string) (net.Conn, error) {
	tn.mu.Lock()
	accept := tn.nodes[to]
	tn.mu.Unlock()
	if accept == nil {
		return nil, fmt.Errorf("no route to %s", to)
	}
	near, far, err := tcpPair(ctx)
	if err != nil {
		return nil, err
	}
	go accept(from, far)
	return near, nil
}

func tcpPair(ctx context.Context) (near, far net.Conn, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	defer l.Close()
	var d net.Dialer
	if near, err = d.DialContext(ctx, "tcp", l.Addr().String()); err != nil {
		return nil, nil, err
	}
	far, err = l.Accept()
	return near, far, err
}

// A resident is a swarm and what it saw.
type resident struct {
	*Swarm
	name  string
	shelf *shelf
	seen  *sightings
}

// node starts a swarm under a name.
func (tn *town) node(name string, change ...func(*Config)) *resident {
	tn.t.Helper()
	r := &resident{name: name, shelf: &shelf{}, seen: &sightings{}}
	cfg := Config{
		Dial:    func(ctx context.Context, peer string) (net.Conn, error) { return tn.dial(ctx, name, peer) },
		Resolve: r.shelf.resolve,
		Observe: r.seen.observe,
	}
	for _, f := range change {
		f(&cfg)
	}
	s, err := New(cfg, testLog(tn.t))
	if err != nil {
		tn.t.Fatal(err)
	}
	r.Swarm = s
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	tn.settle(name, s.Accept)
	tn.mu.Lock()
	tn.folk[name] = r
	tn.mu.Unlock()
	tn.t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			tn.t.Errorf("running %s: %v", name, err)
		}
		if err := s.Close(); err != nil {
			tn.t.Errorf("closing %s: %v", name, err)
		}
	})
	return r
}

func testLog(t testing.TB) *slog.Logger {
	level := slog.LevelInfo
	if os.Getenv("SWARM_DEBUG") != "" {
		level = slog.LevelDebug
	}
	w := &testWriter{t: t}
	t.Cleanup(w.stop)
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
}

// A testWriter logs to a test until its end, which goroutines of the library may
// outlive for a moment.
type testWriter struct {
	mu sync.Mutex
	t  testing.TB // nil after the test
}

func (w *testWriter) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.t = nil
}

func (w *testWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.t != nil {
		w.t.Log(string(bytes.TrimSpace(b)))
	}
	return len(b), nil
}

// A shelf is the torrents a node has, asked by Config.Resolve.
type shelf struct {
	mu    sync.Mutex
	seeds map[Infohash]seed
	asked map[Infohash]int
}

func (s *shelf) resolve(ih Infohash) ([]byte, []Source, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked == nil {
		s.asked = map[Infohash]int{}
	}
	s.asked[ih]++
	sd, ok := s.seeds[ih]
	return sd.info, sd.files, ok
}

func (s *shelf) put(info []byte, files ...Source) Infohash {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seeds == nil {
		s.seeds = map[Infohash]seed{}
	}
	ih := InfohashOf(info)
	s.seeds[ih] = seed{info, files}
	return ih
}

// sightings are the events a node observed.
type sightings struct {
	mu     sync.Mutex
	events []sighting
}

type sighting struct {
	peer string
	Event
}

func (s *sightings) observe(peer string, e Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, sighting{peer, e})
}

func (s *sightings) count(peer string, k Kind) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, e := range s.events {
		if e.peer == peer && e.Kind == k {
			n++
		}
	}
	return n
}

func (s *sightings) bytes(peer string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	var n int64
	for _, e := range s.events {
		if e.peer == peer {
			n += e.Bytes
		}
	}
	return n
}

// A blob is content and the layer torrent made of it.
type blob struct {
	data []byte
	name string
	info []byte
	ih   Infohash
}

func newBlob(t testing.TB, seed uint64, size int) blob {
	t.Helper()
	return blobOf(t, randomBytes(seed, size))
}

func blobOf(t testing.TB, data []byte) blob {
	t.Helper()
	sum := sha256.Sum256(data)
	b := blob{data: data, name: hex.EncodeToString(sum[:])}
	var err error
	b.info, b.ih, err = BuildLayer(t.Context(), b.name, int64(len(data)), bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func randomBytes(seed uint64, size int) []byte {
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	b := make([]byte, size)
	_, _ = rand.NewChaCha8(key).Read(b)
	return b
}

func (b blob) source() Source {
	return Source{Size: int64(len(b.data)), Open: func() (io.ReaderAt, io.Closer, error) {
		return bytes.NewReader(b.data), io.NopCloser(nil), nil
	}}
}

func (b blob) job(t testing.TB, peers ...string) Job {
	return Job{
		Infohash: b.ih, Name: b.name, Size: int64(len(b.data)), Peers: peers,
		Partial: filepath.Join(t.TempDir(), "partial"),
	}
}

func (b blob) reader() io.Reader { return bytes.NewReader(b.data) }

func (b blob) digest() string { return "sha256:" + b.name }

func (b blob) check(t testing.TB, path string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, b.data) {
		t.Errorf("%s: %d bytes that differ from the %d wanted", path, len(got), len(b.data))
	}
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// patience is how long a test waits for what must come, on however busy a
// machine.
const patience = 3 * time.Minute

func await(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("gave up waiting: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestFetchLayer(t *testing.T) {
	t.Parallel()
	sizes := []int{1, 16 << 10, 256 << 10, 256<<10 + 1, 3<<20 + 7}
	if !testing.Short() {
		sizes = append(sizes, 66<<20)
	}
	for _, size := range sizes {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			tn := newTown(t)
			a, b := tn.node("alice"), tn.node("bob")
			bl := newBlob(t, 1, size)
			a.shelf.put(bl.info, bl.source())

			job := bl.job(t, "alice")
			var last Progress
			job.Progress = func(p Progress) { last = p }
			res, err := b.Fetch(within(t, patience), job)
			if err != nil {
				t.Fatal(err)
			}
			bl.check(t, job.Partial)
			want := Result{
				Info: bl.info, Digest: res.Digest, Size: int64(size),
				FromPeers: map[string]int64{"alice": int64(size)},
				Files:     []Span{{Size: int64(size)}},
				Have:      []Extent{{To: int64(size)}},
			}
			if diff := cmp.Diff(want, res); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
			if string(res.Digest) != bl.digest() {
				t.Errorf("digest %s, want %s", res.Digest, bl.digest())
			}
			if last.Done != int64(size) || last.Total != int64(size) {
				t.Errorf("last progress %+v", last)
			}
			if got := b.seen.bytes("alice"); got != int64(size) {
				t.Errorf("observed %d verified bytes from alice", got)
			}
		})
	}
}
