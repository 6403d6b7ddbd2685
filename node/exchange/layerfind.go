package exchange

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dockchains/dockchain/node/image"
	"github.com/dockchains/dockchain/node/store"
	"github.com/dockchains/dockchain/p2p/swarm"
	"github.com/dockchains/dockchain/reputation"
)

// foundLayer is a torrent of a blob, and who has it.
type foundLayer struct {
	infohash swarm.Infohash
	info     []byte // nil: peers have to give it
	trusted  bool   // this node derived it, or had it from content that matched
	peers    []peer.ID
}

// findLayer looks for a layer torrent for a short while: here, and among those whom
// the DHT says to have the blob.
func (x *Exchange) findLayer(ctx context.Context, want image.Descriptor, budget time.Duration) (foundLayer, error) {
	var f foundLayer
	if t, err := x.Store.TorrentOf(store.LayerTorrent, want.Digest); err == nil && t.Size == want.Size {
		if ih, err := swarm.ParseInfohash(t.Infohash); err == nil {
			f = foundLayer{infohash: ih, info: t.Info, trusted: true}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	answers := make(chan foundLayer)
	var asking sync.WaitGroup
	asked := 0
	ask := func(p peer.ID) {
		if p == x.Net.ID() || asked >= askConnected {
			return
		}
		asked++
		asking.Go(func() {
			ih, err := x.askLayer(ctx, p, want)
			if err != nil {
				return
			}
			select {
			case answers <- foundLayer{infohash: ih, peers: []peer.ID{p}}:
			case <-ctx.Done():
			}
		})
	}
	looked := make(chan struct{})
	go func() {
		defer close(looked)
		for _, p := range x.Net.Connected() {
			ask(p)
		}
		for info := range x.Net.FindProviders(ctx, blobKey(want.Digest), maxProviders) {
			ask(info.ID)
		}
		asking.Wait()
	}()
	defer func() { cancel(); <-looked }()
	for {
		select {
		case a := <-answers:
			switch {
			case len(f.peers) == 0 && !f.trusted:
				f = a
			case f.infohash == a.infohash:
				f.peers = append(f.peers, a.peers...)
			}
			if len(f.peers) >= maxSources {
				return f, nil
			}
		case <-looked:
			return f, f.orNobody()
		case <-ctx.Done():
			return f, f.orNobody()
		}
	}
}

// maxSources is how many holders of a layer are enough to begin.
const maxSources = 8

func (f foundLayer) orNobody() error {
	if len(f.peers) == 0 {
		return errNoSwarm
	}
	return nil
}

// askLayer asks a peer for the torrent of a blob.
func (x *Exchange) askLayer(ctx context.Context, p peer.ID, want image.Descriptor) (swarm.Infohash, error) {
	b, err := x.Net.Request(ctx, p, OpLayer, encode(layerRequest{Digest: want.Digest}))
	if err != nil {
		return swarm.Infohash{}, err
	}
	ih, size, err := decodeLayer(b)
	if err == nil && size != want.Size {
		err = fmt.Errorf("%w: another size than that of %s", ErrGarbage, want.Digest)
	}
	if err != nil {
		x.blame(p, reputation.BrokenPromise)
	}
	return ih, err
}

func decodeLayer(b []byte) (swarm.Infohash, int64, error) {
	var a layerAnswer
	if err := decodeStrict(b, &a); err != nil {
		return swarm.Infohash{}, 0, err
	}
	ih, err := swarm.ParseInfohash(a.Infohash)
	if err != nil || a.Size <= 0 || ih.String() != a.Infohash {
		return swarm.Infohash{}, 0, fmt.Errorf("%w: no torrent of a blob", ErrGarbage)
	}
	return ih, a.Size, nil
}

// answerLayer tells the torrent of a blob that an accepted release covers.
func (x *Exchange) answerLayer(ctx context.Context, _ peer.ID, req []byte) ([]byte, error) {
	var q layerRequest
	if err := decodeStrict(req, &q); err != nil {
		return nil, err
	}
	if err := image.CheckDigest(q.Digest); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGarbage, err)
	}
	if !x.mayGiveBlob(ctx, q.Digest) {
		return nil, ErrNotFound
	}
	t, err := x.Store.TorrentOf(store.LayerTorrent, q.Digest)
	if err != nil {
		return nil, ErrNotFound
	}
	return encode(layerAnswer{Infohash: t.Infohash, Size: t.Size}), nil
}
