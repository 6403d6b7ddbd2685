package swarm

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// An album is an image torrent of files of every kind.
type album struct {
	name  string
	files []Source
	data  [][]byte
	info  []byte
	ih    Infohash
}

func newAlbum(t testing.TB, seed uint64) album {
	t.Helper()
	a := album{name: "sha256-" + strings.Repeat("ab", 32)}
	add := func(data []byte, inline bool, path ...string) {
		src := Source{Path: path, Size: int64(len(data)), Data: data}
		if !inline {
			src = fileSource(t, data, path...)
		}
		a.files, a.data = append(a.files, src), append(a.data, data)
	}
	blob := func(data []byte) {
		sum := sha256.Sum256(data)
		add(data, false, "blobs", "sha256", hex.EncodeToString(sum[:]))
	}
	add([]byte(`{"imageLayoutVersion":"1.0.0"}`), true, "oci-layout")
	add([]byte(`{"schemaVersion":2}`), true, "index.json")
	blob(randomBytes(seed, 700))
	blob(randomBytes(seed+1, 300_000))
	blob(nil)
	blob(randomBytes(seed+2, 1_500_000))
	blob(randomBytes(seed+3, 1))
	var err error
	a.info, a.ih, err = BuildImage(t.Context(), a.name, a.files, nil)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (a album) flat() []byte { return bytes.Join(a.data, nil) }

func ordinary(c *Config) { c.Listen = "127.0.0.1:0" }

func TestFetchImage(t *testing.T) {
	t.Parallel()
	al := newAlbum(t, 70)
	for name, job := range map[string]func(alice *resident) Job{
		"over a stream": func(*resident) Job { return Job{Peers: []string{"alice"}} },
		"over TCP":      func(alice *resident) Job { return Job{Addrs: []string{alice.Addr()}} },
		"over both":     func(alice *resident) Job { return Job{Peers: []string{"alice"}, Addrs: []string{alice.Addr()}} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tn := newTown(t)
			alice, bob := tn.node("alice", ordinary), tn.node("bob")
			if err := alice.Seed(t.Context(), al.info, al.files); err != nil {
				t.Fatal(err)
			}
			j := job(alice)
			j.Infohash, j.Name, j.Partial = al.ih, al.name, filepath.Join(t.TempDir(), "partial")
			j.Check = func(info []byte) error { return CheckImageInfo(info, al.name, al.files) }
			res, err := bob.Fetch(within(t, patience), j)
			if err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(j.Partial)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, al.flat()) {
				t.Error("other bytes")
			}
			for i, s := range res.Files {
				if !slices.Equal(s.Path, al.files[i].Path) || !bytes.Equal(got[s.Offset:s.Offset+s.Size], al.data[i]) {
					t.Errorf("file %d: %+v", i, s)
				}
			}
			if res.Digest != "" {
				t.Errorf("an image has no digest, got %s", res.Digest)
			}
			if bob.Open() != 0 {
				t.Error("an image stays loaded though nothing checked its blobs")
			}
		})
	}
}

// An image torrent may come with hashes that nobody compared with the bytes. The
// pieces that they fit are served, the others never leave.
func TestWrongPieceOfAnImageIsNotServed(t *testing.T) {
	t.Parallel()
	al := newAlbum(t, 90)
	info := bytes.Clone(al.info)
	info[len(info)-2] ^= 1 // the last byte of the last hash
	ih := InfohashOf(info)
	tn := newTown(t)
	alice, bob := tn.node("alice"), tn.node("bob")
	if err := alice.Seed(t.Context(), info, al.files); err != nil {
		t.Fatal(err)
	}
	l, err := parseInfo(info)
	if err != nil {
		t.Fatal(err)
	}
	last := l.numPieces() - 1
	_, short := l.extent(last)
	var done atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := bob.Fetch(ctx, Job{
			Infohash: ih, Name: al.name, Partial: filepath.Join(t.TempDir(), "partial"), Peers: []string{"alice"},
			Progress: func(p Progress) { done.Store(p.Done) },
		})
		ended <- err
	}()
	await(t, "all pieces but one", func() bool { return done.Load() == l.size-short })
	await(t, "the last one to be refused", func() bool {
		alice.mu.Lock()
		defer alice.mu.Unlock()
		return !alice.open[ih].t.PieceState(last).Complete
	})
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the fetch ended with %v", err)
	}
	if n := bob.seen.count("alice", BadPiece); n > 0 {
		t.Errorf("%d wrong pieces were served", n)
	}
}

// aria2c stands for ordinary clients: it opens the magnet link and ends up with
// the directory.
func TestOrdinaryClient(t *testing.T) {
	t.Parallel()
	aria2c := needClient(t)
	al := newAlbum(t, 80)
	tn := newTown(t)
	alice := tn.node("alice", ordinary, func(c *Config) { c.PEX = true })
	if err := alice.Seed(t.Context(), al.info, al.files); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]func(dir string) string{
		"torrent file": func(dir string) string {
			path := filepath.Join(dir, "a.torrent")
			torrent := slices.Concat([]byte("d4:info"), al.info, []byte("e"))
			if err := os.WriteFile(path, torrent, 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		},
		"magnet link": func(string) string {
			return Magnet{Infohash: al.ih, Name: "me/app:1.0", Peers: []string{alice.Addr()}}.String()
		},
	} {
		if testing.Short() && name == "torrent file" {
			continue // aria2c takes seconds to end
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			cmd := exec.CommandContext(ctx, aria2c, "--enable-dht=false", "--enable-dht6=false",
				"--bt-enable-lpd=false", "--disable-ipv6", "--interface=127.0.0.1", "--listen-port=20000-60000",
				"--file-allocation=none", "--seed-time=0", "--no-conf", "--bt-tracker-connect-timeout=30",
				"--dir="+dir, target(t.TempDir()))
			// It takes peers from x.pe in no version, so it is told by a tracker.
			cmd.Args = append(cmd.Args, "--bt-tracker="+trackerFor(t, al.ih, alice.Addr()))
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("aria2c: %v\n%s", err, out)
			}
			for i, f := range al.files {
				path := filepath.Join(append([]string{dir, al.name}, f.Path...)...)
				got, err := os.ReadFile(path)
				if err != nil {
					t.Error(err)
				} else if !bytes.Equal(got, al.data[i]) {
					t.Errorf("%s differs", path)
				}
			}
		})
	}
}

// A blob's bytes reach ordinary clients and nodes alike; here the client seeds.
func TestFetchFromOrdinaryClient(t *testing.T) {
	t.Parallel()
	aria2c := needClient(t)
	al := newAlbum(t, 90)
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
	file := filepath.Join(t.TempDir(), "a.torrent")
	if err := os.WriteFile(file, slices.Concat([]byte("d4:info"), al.info, []byte("e")), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, aria2c, "--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false",
		"--disable-ipv6", "--interface=127.0.0.1", "--listen-port=20000-60000", "--no-conf", "--check-integrity=true",
		"--seed-ratio=0.0", "--dir="+dir, file)
	said, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
	})
	port := awaitPort(t, said)
	bob := newTown(t).node("bob")
	job := Job{
		Infohash: al.ih, Name: al.name, Addrs: []string{"127.0.0.1:" + port},
		Partial: filepath.Join(t.TempDir(), "partial"),
	}
	if _, err := bob.Fetch(within(t, patience), job); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(job.Partial)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, al.flat()) {
		t.Error("other bytes")
	}
}

var listeningOn = regexp.MustCompile(`listening on TCP port (\d+)`)

// awaitPort reads in the output of aria2c which port it chose, and the rest of
// it so that it can go on.
func awaitPort(t *testing.T, output io.Reader) string {
	t.Helper()
	var seen strings.Builder
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		seen.WriteString(lines.Text() + "\n")
		if m := listeningOn.FindStringSubmatch(lines.Text()); m != nil {
			go func() { _, _ = io.Copy(io.Discard, output) }()
			return m[1]
		}
	}
	t.Fatalf("aria2c does not say where it listens:\n%s", seen.String())
	return ""
}

func needClient(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("aria2c")
	if err != nil {
		if os.Getenv("DOCKCHAIN_REQUIRE_CLIENTS") == "1" {
			t.Fatal("aria2c is required here and not installed")
		}
		t.Skip("aria2c is not installed: transfers with an ordinary BitTorrent client are not tested")
	}
	return path
}

func TestListenOff(t *testing.T) {
	t.Parallel()
	if addr := newTown(t).node("alice").Addr(); addr != "" {
		t.Errorf("listening on %s", addr)
	}
}

func TestPortInUse(t *testing.T) {
	t.Parallel()
	alice := newTown(t).node("alice", ordinary)
	_, err := New(Config{Listen: alice.Addr()}, testLog(t))
	if err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("got %v", err)
	}
}

func TestImageInfo(t *testing.T) {
	t.Parallel()
	al := newAlbum(t, 100)
	if err := CheckImageInfo(al.info, al.name, al.files); err != nil {
		t.Error(err)
	}
	others := map[string][]Source{
		"none":      nil,
		"fewer":     al.files[1:],
		"reordered": append(append([]Source{}, al.files[1], al.files[0]), al.files[2:]...),
		"outside":   append(append([]Source{}, al.files[1:]...), Source{Path: []string{"..", "x"}, Size: 30}),
		"absolute":  append(append([]Source{}, al.files[1:]...), Source{Path: []string{"/x"}, Size: 30}),
		"twice":     append(append([]Source{}, al.files[1:]...), al.files[1]),
	}
	for name, files := range others {
		if err := CheckImageInfo(al.info, al.name, files); !errors.Is(err, ErrBadInfo) {
			t.Errorf("%s: got %v", name, err)
		}
		if _, _, err := BuildImage(t.Context(), al.name, files[:min(len(files), 0)], nil); err == nil {
			t.Errorf("%s: built", name)
		}
	}
	l, err := parseInfo(al.info)
	if err != nil {
		t.Fatal(err)
	}
	want := make([]Span, len(al.files))
	off := int64(0)
	for i, f := range al.files {
		want[i] = Span{f.Path, off, f.Size}
		off += f.Size
	}
	if diff := cmp.Diff(want, l.files); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
