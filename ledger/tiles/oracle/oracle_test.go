// Package oracle lets tessera's client and fsck read logs that we serve and
// export. It is a module of its own so that what tessera needs does not move
// the versions of this program's dependencies:
//
//	cd ledger/tiles/oracle && go test ./...
package oracle

import (
	"context"
	"fmt"
	"net/http/httptest"
	"net/url"
	"os"
	"testing"

	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
	xnote "golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/ledgertest"
	"github.com/dockchains/dockchain/ledger/note"
	"github.com/dockchains/dockchain/ledger/tiles"
)

// authorLog is a real log of releases in memory.
type authorLog struct {
	ledger   *ledger.Ledger
	author   ledger.AuthorID
	origin   string
	verifier xnote.Verifier
	size     uint64
}

func newLog(t *testing.T, size int) *authorLog {
	t.Helper()
	l := ledger.New(ledger.NewMem(), "public")
	key := ledgertest.Key(1)
	author := ledgertest.Author(t, l, key)
	for i := range size - 1 {
		ledgertest.Append(t, l, author, key, "app", "1.0", i)
	}
	origin := ledger.Origin("public", author)
	verifier, err := xnote.NewVerifier(note.Key{Name: origin, Alg: note.Ed25519, Public: key.Public()}.String())
	if err != nil {
		t.Fatal(err)
	}
	return &authorLog{l, author, origin, verifier, uint64(size)}
}

// hashBundle is what fsck wants: the leaf hashes of a bundle.
func hashBundle(b []byte) ([][]byte, error) {
	var bundle api.EntryBundle
	if err := bundle.UnmarshalText(b); err != nil {
		return nil, err
	}
	var out [][]byte
	for _, e := range bundle.Entries {
		h := tlog.RecordHash(e)
		out = append(out, h[:])
	}
	return out, nil
}

func TestTesseraReadsOurs(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 2, 255, 256, 257, 1000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			l := newLog(t, size)
			dir := t.TempDir()
			if err := tiles.Export(t.Context(), tiles.Of(l.ledger, l.author), dir); err != nil {
				t.Fatal(err)
			}
			server := httptest.NewServer(tiles.Handlers(l.ledger, func(err error) { t.Error(err) }))
			defer server.Close()
			at, err := url.Parse(server.URL + "/" + string(l.author) + "/")
			if err != nil {
				t.Fatal(err)
			}
			served, err := client.NewHTTPFetcher(at, server.Client())
			if err != nil {
				t.Fatal(err)
			}
			for name, f := range map[string]fsck.Fetcher{"served": served, "exported": client.FileFetcher{Root: dir}} {
				if err := fsck.New(l.origin, l.verifier, f, hashBundle, fsck.Opts{N: 4}).Check(t.Context()); err != nil {
					t.Errorf("%s: fsck: %v", name, err)
				}
				l.proves(t, name, f)
			}
		})
	}
}

// proves builds proofs with tessera's client, out of our tiles, and wants them
// to be ours.
func (l *authorLog) proves(t *testing.T, name string, f fsck.Fetcher) {
	t.Helper()
	ctx := t.Context()
	c, _, _, err := client.FetchCheckpoint(ctx, f.ReadCheckpoint, l.verifier, l.origin)
	if err != nil || c.Size != l.size {
		t.Fatalf("%s: %+v, %v", name, c, err)
	}
	builder, err := client.NewProofBuilder(ctx, c.Size, f.ReadTile)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	for _, i := range []uint64{0, l.size / 2, l.size - 1} {
		theirs, err := builder.InclusionProof(ctx, i)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		ours, err := tiles.Of(l.ledger, l.author).Prove(i)
		if err != nil {
			t.Fatal(err)
		}
		same(t, fmt.Sprintf("%s: inclusion of %d", name, i), theirs, ours.Hashes)
		bundle, err := client.GetEntryBundle(ctx, f.ReadEntryBundle, i/256, l.size)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		leaves, err := l.ledger.Leaves(l.author, i, i+1)
		if err != nil || string(bundle.Entries[i%256]) != string(leaves[0]) {
			t.Errorf("%s: entry %d differs, %v", name, i, err)
		}
		if i == 0 {
			continue
		}
		consistency, err := builder.ConsistencyProof(ctx, i, l.size)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		proof, err := l.ledger.ProveConsistency(context.Background(), l.author, i, l.size)
		if err != nil {
			t.Fatal(err)
		}
		same(t, fmt.Sprintf("%s: growth from %d", name, i), consistency, proof)
	}
}

func same(t *testing.T, what string, theirs [][]byte, ours []tlog.Hash) {
	t.Helper()
	if len(theirs) != len(ours) {
		t.Errorf("%s: %d hashes, ours has %d", what, len(theirs), len(ours))
		return
	}
	for i := range ours {
		if string(theirs[i]) != string(ours[i][:]) {
			t.Errorf("%s: hash %d differs", what, i)
		}
	}
}

// TestFsckFindsDamage: it does not pass whatever it is given.
func TestFsckFindsDamage(t *testing.T) {
	t.Parallel()
	l := newLog(t, 300)
	dir := t.TempDir()
	if err := tiles.Export(t.Context(), tiles.Of(l.ledger, l.author), dir); err != nil {
		t.Fatal(err)
	}
	path := dir + "/tile/0/000"
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := fsck.New(l.origin, l.verifier, client.FileFetcher{Root: dir}, hashBundle, fsck.Opts{N: 2}).Check(t.Context()); err == nil {
		t.Error("a flipped bit: no error")
	}
}
