package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/node/exchange"
	"github.com/dockchains/dockchain/p2p"
	testnet "github.com/dockchains/dockchain/testnet/harness"
)

// askBlob asks a node for a blob as any peer may.
func askBlob(t *testing.T, h *testnet.Hostile, n *testnet.Node, d digest.Digest) error {
	t.Helper()
	req, err := json.Marshal(map[string]digest.Digest{"digest": d})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := testnet.Deadline(t)
	defer cancel()
	_, err = h.Host.Request(ctx, n.ID(), exchange.OpBlob, req)
	return err
}

// An image whose author takes it back is given to nobody any more, by whoever
// holds it: not by digest, not as a torrent, not to clients of the registry. A
// layer that another image covers still is, and so is what is released again.
func TestRevokedImageIsNotGiven(t *testing.T) {
	t.Parallel()
	net := testnet.New(t, 2).Start().Connect().AwaitPeers(1)
	publisher, holder := net.Node(0), net.Node(1)
	shared := testnet.Blob{MediaType: "application/vnd.oci.image.layer.v1.tar", Data: bytes.Repeat([]byte("shared"), 20_000)}
	bad := testnet.Image{Seed: 31, Layers: []int64{200 << 10, 900}, Blobs: []testnet.Blob{shared}}.Lay(t)
	good := testnet.Image{Seed: 32, Layers: []int64{100}, Blobs: []testnet.Blob{shared}}.Lay(t)
	revoked := publisher.PublishLayout("app:bad", bad)
	kept := publisher.PublishLayout("app:good", good)
	holder.Fetch(revoked.Magnet)
	holder.Fetch(kept.Magnet)
	asker := net.Hostile().Connect(publisher).Connect(holder)

	image := testnet.InfohashOf(t, revoked.Magnet)
	torrents := publisher.Torrents("me/app:bad")
	fine := publisher.Torrents("me/app:good")
	given := func(n *testnet.Node, d digest.Digest) error {
		f, err := n.Exchange().OpenBlob(d)
		if err == nil {
			err = f.Close()
		}
		return errors.Join(err, askBlob(t, asker, n, d))
	}
	for d := range bad.Blobs {
		if err := given(holder, d); err != nil {
			t.Fatalf("%s is not given before it is revoked: %v", d, err)
		}
	}
	planned := holder.Host().Stats().Planned
	if _, err := publisher.Exchange().Revoke(t.Context(), exchange.RevokeRequest{Target: revoked.Digest, Reason: "broken"}); err != nil {
		t.Fatal(err)
	}
	for _, n := range []*testnet.Node{publisher, holder} {
		for d := range bad.Blobs {
			if _, both := good.Blobs[d]; both {
				continue
			}
			testnet.Await(t, n.String()+" to keep a revoked blob for itself", func() bool {
				_, err := n.Exchange().OpenBlob(d)
				return errors.Is(err, exchange.ErrNotFound)
			})
			var remote *p2p.RemoteError
			if err := askBlob(t, asker, n, d); !errors.As(err, &remote) || !errors.Is(err, p2p.ErrNotFound) {
				t.Errorf("%s answers %v about a revoked blob", n, err)
			}
		}
		for d := range good.Blobs {
			if err := given(n, d); err != nil {
				t.Errorf("%s does not give %s of the image that is good: %v", n, d, err)
			}
		}
		if _, _, ok := n.Exchange().ResolveTorrent(image); ok {
			t.Errorf("%s seeds the torrent of a revoked image", n)
		}
		for ih := range torrents {
			_, both := fine[ih]
			if _, _, ok := n.Exchange().ResolveTorrent(ih); ok != both {
				t.Errorf("%s seeds %s of a revoked image: %v, it is of a good one too: %v", n, ih, ok, both)
			}
		}
		for ih := range fine {
			if _, _, ok := n.Exchange().ResolveTorrent(ih); !ok {
				t.Errorf("%s does not seed %s of the image that is good", n, ih)
			}
		}
	}
	testnet.Await(t, "the holder to announce less", func() bool { return holder.Host().Stats().Planned < planned })

	late := net.Add(holder, publisher)
	late.AwaitPeers(2)
	if got, err := late.TryFetch(kept.Magnet, ""); err != nil || got.Digest != kept.Digest {
		t.Errorf("fetching the good image: %v", err)
	}
	holder.Restart()
	if _, err := holder.Exchange().OpenBlob(digest.Digest(revoked.Digest)); !errors.Is(err, exchange.ErrNotFound) {
		t.Errorf("after a restart the revoked image is given: %v", err)
	}
	if _, _, ok := holder.Exchange().ResolveTorrent(image); ok {
		t.Error("after a restart the revoked image is seeded")
	}
}
