package store

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/reputation"
)

func author(name string) ledger.AuthorID { return ledger.AuthorIDOf([]byte(name)) }

func infohash(n int) string { return fmt.Sprintf("%040x", n) }

func TestAliases(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openAt(t, dir)
	for _, name := range []string{"", "me", "Alice", "-a", ".a", "a b", "a/b", "a:b", strings.Repeat("a", 65), "é", string(author("x"))} {
		if err := s.SetAlias(name, author("x")); !errors.Is(err, ErrBadAlias) {
			t.Errorf("SetAlias(%q): %v, want ErrBadAlias", name, err)
		}
	}
	if err := s.SetAlias("alice", "nobody"); err == nil {
		t.Error("an alias of no author was accepted")
	}
	for name, of := range map[string]string{"bob": "b", "alice": "a", "alice.work-2": "a", strings.Repeat("a", 64): "b"} {
		if err := s.SetAlias(name, author(of)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.SetAlias("bob", author("bob")); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, dir)
	if got, err := s.Alias("bob"); err != nil || got != author("bob") {
		t.Errorf("Alias(bob) = %s, %v", got, err)
	}
	all, err := s.Aliases()
	if err != nil || len(all) != 4 || all[1].Name != "alice" || all[1].Author != author("a") || all[1].Added.IsZero() {
		t.Errorf("Aliases() = %+v, %v", all, err)
	}
	if names, err := s.NamesOf(author("a")); err != nil || !slices.Equal(names, []string{"alice", "alice.work-2"}) {
		t.Errorf("NamesOf = %v, %v", names, err)
	}
	if err := s.DeleteAlias("alice"); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteAlias("alice"); !errors.Is(err, ErrNotFound) {
		t.Errorf("deleting twice: %v", err)
	}
	if _, err := s.Alias("alice"); !errors.Is(err, ErrNotFound) {
		t.Errorf("after deleting: %v", err)
	}
}

func TestTorrents(t *testing.T) {
	t.Parallel()
	s := open(t)
	want := Torrent{Infohash: infohash(7), Info: bytes.Repeat([]byte("d"), 3<<20), Digest: digest.FromString("x"), Kind: LayerTorrent, Size: 1 << 40}
	for name, bad := range map[string]func(*Torrent){
		"infohash":        func(t *Torrent) { t.Infohash = strings.ToUpper(strings.Repeat("ab", 20)) },
		"short infohash":  func(t *Torrent) { t.Infohash = "ab" },
		"digest":          func(t *Torrent) { t.Digest = "sha256:x" },
		"kind":            func(t *Torrent) { t.Kind = "film" },
		"no info":         func(t *Torrent) { t.Info = nil },
		"too much info":   func(t *Torrent) { t.Info = make([]byte, maxInfo+1) },
		"a negative size": func(t *Torrent) { t.Size = -1 },
	} {
		wrong := want
		bad(&wrong)
		if err := s.PutTorrent(wrong); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
	image := want
	image.Infohash, image.Kind, image.Info = infohash(3), ImageTorrent, []byte("de")
	for _, put := range []Torrent{want, image, want} {
		if err := s.PutTorrent(put); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := s.Torrent(want.Infohash); err != nil || !equal(got, want) {
		t.Errorf("Torrent: %v, %v", got.Infohash, err)
	}
	if got, err := s.TorrentOf(ImageTorrent, want.Digest); err != nil || !equal(got, image) {
		t.Errorf("TorrentOf: %+v, %v", got, err)
	}
	if _, err := s.TorrentOf(LayerTorrent, digest.FromString("other")); !errors.Is(err, ErrNotFound) {
		t.Errorf("of another blob: %v", err)
	}
}

func equal(x, y Torrent) bool {
	return bytes.Equal(x.Info, y.Info) && x.Infohash == y.Infohash && x.Digest == y.Digest && x.Kind == y.Kind && x.Size == y.Size
}

func TestPeersAreBounded(t *testing.T) {
	t.Parallel()
	s := open(t)
	at := func(n int) time.Time { return time.Unix(1_795_190_400+int64(n), 0).UTC() }
	var many []Peer
	for i := range maxPeers + 50 {
		many = append(many, Peer{ID: fmt.Sprint("peer", i), Addrs: []string{"/ip4/127.0.0.1/tcp/1"}, Seen: at(i)})
	}
	if err := s.SavePeers(many...); err != nil {
		t.Fatal(err)
	}
	addrs := []string{"", "bad addr", strings.Repeat("a", maxAddr+1), "/a", "/a"}
	for i := range 30 {
		addrs = append(addrs, fmt.Sprint("/b/", i))
	}
	err := s.SavePeers(
		Peer{ID: "late", Addrs: addrs, Seen: at(10_000)},
		Peer{ID: "nowhere", Seen: at(10_000)},
		Peer{ID: "not an id", Addrs: []string{"/a"}, Seen: at(10_000)},
		Peer{ID: "peer500", Addrs: []string{"/older"}, Seen: at(3)},
		Peer{ID: "peer501", Addrs: []string{"/newer"}, Seen: at(5000)},
	)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Peers()
	if err != nil || len(got) != maxPeers {
		t.Fatalf("%d peers, %v", len(got), err)
	}
	if got[0].ID != "late" || len(got[0].Addrs) != maxPeerAddrs || got[0].Addrs[0] != "/a" {
		t.Errorf("first %+v", got[0])
	}
	if got[1].ID != "peer501" || got[1].Addrs[0] != "/newer" {
		t.Errorf("second %+v", got[1])
	}
	for _, p := range got {
		if p.ID == "peer500" && p.Addrs[0] != "/ip4/127.0.0.1/tcp/1" {
			t.Errorf("an older sighting replaced a newer one: %+v", p)
		}
		if p.Seen.Before(at(50)) {
			t.Errorf("%s, seen long ago, was kept", p.ID)
		}
	}
}

func TestReputation(t *testing.T) {
	t.Parallel()
	s := open(t)
	good, gone := reputation.Subject{Kind: reputation.Peer, ID: "good"}, reputation.Subject{Kind: reputation.Author, ID: "gone"}
	book := reputation.New(reputation.Config{})
	book.Observe(good, reputation.BadPiece, 2)
	book.Observe(gone, reputation.BadPiece, 2)
	if err := s.SaveReputation(book.Changed()); err != nil {
		t.Fatal(err)
	}
	if err := s.SaveReputation([]reputation.Change{{Subject: gone}}); err != nil {
		t.Fatal(err)
	}
	put(t, s, reputationPrefix+"peer/broken", "not a record")
	for range 2 {
		again := reputation.New(reputation.Config{})
		if err := s.LoadReputation(again); err != nil {
			t.Fatal(err)
		}
		if again.Score(good) > -0.7 || again.Len(reputation.Peer) != 1 || again.Len(reputation.Author) != 0 {
			t.Errorf("loaded %+v %+v", again.Standings(reputation.Peer), again.Standings(reputation.Author))
		}
	}
	if err := s.get(reputationPrefix+"peer/broken", new(any)); !errors.Is(err, ErrNotFound) {
		t.Errorf("the broken record is still there: %v", err)
	}
}
