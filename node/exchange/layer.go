package exchange

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/node/blobs"
	"github.com/dockchains/dockchain/node/image"
	"github.com/dockchains/dockchain/node/store"
	"github.com/dockchains/dockchain/node/upstream"
	"github.com/dockchains/dockchain/p2p/swarm"
	"github.com/dockchains/dockchain/reputation"
)

const (
	// maxLayers bounds the blobs of third-party images under way at once.
	maxLayers = 128
	// upstreamTries is how often in a row a registry may break off without a byte.
	upstreamTries = 4
	// smallGap is skipped by no request of its own: fetching it again is cheaper.
	smallGap = 1 << 20
)

// upstreamStats are for metrics.
type upstreamStats struct{ bytes, stale atomic.Int64 }

// UpstreamStats count what came from third-party registries since the start.
type UpstreamStats struct {
	Bytes int64 // of manifests and blobs
	Stale int64 // answers given that were old, because the registry could not be asked
}

// UpstreamStats are for metrics.
func (x *Exchange) UpstreamStats() UpstreamStats {
	return UpstreamStats{Bytes: x.upstreamStats.bytes.Load(), Stale: x.upstreamStats.stale.Load()}
}

// layer is a blob of an image in another registry on its way here: from the swarm as
// far as that goes, and the rest from the registry.
type layer struct {
	x    *Exchange
	ref  upstream.Ref // with the digest
	want image.Descriptor
	arr  *arrival
	kept int64 // bytes that a transfer before this one brought from the registry

	mu                      sync.Mutex
	fromPeers, fromUpstream int64
	why                     string
}

func (l *layer) run(ctx context.Context) (err error) {
	x := l.x
	name := l.ref.Name()
	x.pulls.begins(name)
	defer func() { x.pulls.ends(name, l, err) }()
	if err := l.locked(ctx); err != nil {
		return err
	}
	x.holdIfReleased(ctx, name, l.want.Digest)
	return nil
}

// locked brings the blob, unless somebody else did.
func (l *layer) locked(ctx context.Context) error {
	x := l.x
	unlock, err := x.blobLock.lock(ctx, l.want.Digest.String())
	if err != nil {
		return err
	}
	defer unlock()
	l.arr = x.arrivals.of(l.want.Digest, l.want.Size)
	defer x.arrivals.drop(l.arr)
	if x.isHere(l.want) {
		l.arr.complete()
		return nil
	}
	room, err := x.Blobs.Reserve(ctx, []blobs.Want{{Digest: l.want.Digest, Size: l.want.Size}})
	if err != nil {
		return spaceError(err)
	}
	defer room()
	stall, ctx := newStall(ctx, x.Pulling.patience(), ErrTimeout)
	defer stall.cancel(nil)
	if err := l.bring(ctx, stall); err != nil {
		return stallError(ctx, spaceError(err))
	}
	l.arr.complete()
	return nil
}

func (l *layer) says(why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case strings.Contains(l.why, why):
		return
	case l.why != "":
		why = l.why + "; " + why
	}
	l.why = why
}

// bring gets the blob into the store.
func (l *layer) bring(ctx context.Context, stall *stall) error {
	if l.want.Size == 0 {
		return l.x.Blobs.Put(ctx, l.want.Digest, 0, bytes.NewReader(nil))
	}
	have, err := l.fromSwarm(ctx, stall, l.x.Pulling.swarmBudget())
	if err == nil {
		return nil
	}
	err = l.fromRegistry(ctx, have, stall)
	if err != nil && isUpstream(err) && ctx.Err() == nil {
		// Then it may be worth looking for somebody for longer.
		l.says("the registry fails: " + err.Error())
		if _, serr := l.fromSwarm(ctx, stall, secondBudget); serr == nil {
			return nil
		}
	}
	if (len(have) > 0 || l.kept > 0) && errors.Is(err, blobs.ErrDigestMismatch) {
		// Some peer gave what it should not have, or the disk did not keep what came
		// before. The registry has all of it.
		l.says("what came before was wrong, and is fetched anew")
		l.arr.again()
		err = l.fromRegistry(ctx, nil, stall)
	}
	if errors.Is(err, blobs.ErrDigestMismatch) {
		l.arr.again()
		err = fmt.Errorf("%w: %w: %w", ErrUpstream, swarm.ErrWrongContent, err)
	}
	return err
}

// secondBudget is how long somebody is looked for when the registry failed.
const secondBudget = 5 * time.Second

// isUpstream tells whether a registry is at fault, and not this node.
func isUpstream(err error) bool {
	return errors.Is(err, ErrUpstream) || errors.Is(err, ErrUpstreamDenied) || errors.Is(err, ErrUpstreamLimited) || errors.Is(err, ErrNotFound)
}

// errNoSwarm: nobody in the swarm is known to have it.
var errNoSwarm = errors.New("nobody in the swarm has it")

// fromSwarm tries to get the blob through its layer torrent. Otherwise it tells what
// of it is in the partial file.
func (l *layer) fromSwarm(ctx context.Context, stall *stall, budget time.Duration) ([]swarm.Extent, error) {
	x := l.x
	if x.Swarm == nil || x.Net == nil {
		return nil, errNoSwarm
	}
	if x.isPaused() {
		l.says("traffic with peers is paused")
		return nil, errNoSwarm
	}
	if l.want.Size < providedBlob {
		l.says("small blobs come from the registry")
		return nil, errNoSwarm
	}
	found, err := x.findLayer(ctx, l.want, budget)
	if err != nil {
		l.says(errNoSwarm.Error())
		return nil, err
	}
	grown := growth(stall.progressed)
	job := swarm.Job{
		Infohash: found.infohash, Info: found.info, Name: l.want.Digest.Encoded(), Size: l.want.Size,
		Partial: x.Blobs.Partial(l.want.Digest), Peers: peerStrings(found.peers),
		Patience: x.Pulling.swarmPatience(), TakeOnly: true, Near: l.arr.near,
		Progress: func(p swarm.Progress) {
			grown(Progress{Step: "fetch", Done: p.Done})
		},
	}
	if found.trusted {
		job.Content = l.arr.follow() // else nobody vouches for the pieces before the digest does
	}
	stall.holdWhile(x.isPaused)
	res, err := x.Swarm.Fetch(ctx, job)
	stall.holdWhile(nil)
	for _, n := range res.FromPeers {
		l.mu.Lock()
		l.fromPeers += n
		l.mu.Unlock()
	}
	if err != nil {
		if errors.Is(err, swarm.ErrWrongContent) {
			for p := range res.FromPeers {
				if id, derr := peer.Decode(p); derr == nil {
					x.blame(id, reputation.BadPiece)
				}
			}
			l.arr.again()
			l.says("peers gave other content")
			return nil, err
		}
		l.says(fmt.Sprintf("the swarm stalled after %s, the registry goes on", megabytes(res.Have)))
		return res.Have, err
	}
	if err := x.Blobs.AdoptHashed(l.want.Digest, l.want.Size, res.Digest); err != nil {
		return nil, err
	}
	if !x.mayGiveBlob(ctx, l.want.Digest) {
		x.Swarm.Unseed(found.infohash)
	}
	return nil, x.Store.PutTorrent(store.Torrent{
		Infohash: found.infohash.String(), Kind: store.LayerTorrent, Digest: l.want.Digest, Size: l.want.Size, Info: res.Info,
	})
}

func megabytes(have []swarm.Extent) string {
	n := int64(0)
	for _, e := range have {
		n += e.To - e.From
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

// holdIfReleased holds the images of a name that are here whole by now and that
// somebody released, so that they are given to others too.
func (x *Exchange) holdIfReleased(ctx context.Context, name string, d digest.Digest) {
	if x.Net == nil {
		return
	}
	for _, root := range x.imagesOf(name) {
		records, err := x.Index.ByDigest(root.Digest)
		if err != nil || len(records) == 0 {
			continue
		}
		img, err := image.Walk(ctx, root, x.readDocument)
		if err != nil || !covers(img, d) || !x.allHere(img) {
			continue
		}
		for _, rec := range records {
			target := string(rec.Author) + "/" + rec.Repo + "@" + root.Digest.String()
			x.log.Debug("a pulled image was released", "digest", root.Digest, "author", rec.Author)
			if _, err := x.Pull(ctx, PullRequest{Target: target, Client: "dockchain"}); err == nil {
				break
			}
		}
	}
}

func covers(img *image.Image, d digest.Digest) bool {
	for _, b := range img.Blobs {
		if b.Digest == d {
			return true
		}
	}
	return false
}

func (x *Exchange) allHere(img *image.Image) bool {
	for _, b := range img.Blobs {
		if !x.isHere(b.Descriptor) {
			return false
		}
	}
	return true
}
