package exchange

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/node/blobs"
	"github.com/dockchains/dockchain/node/image"
	"github.com/dockchains/dockchain/p2p/swarm"
	"github.com/dockchains/dockchain/reputation"
)

// defaultTimeout is the time without progress after which a fetch gives up.
const defaultTimeout = time.Minute

// Fetch finds a release of the target, asks for its verdict, fetches what is
// missing of its content, asks for the verdict again now that the bytes are
// here, and then holds the image: seeds and announces it. It is handed on while it
// arrives, but nothing is held, loaded or exported that either verdict refuses.
func (x *Exchange) Fetch(ctx context.Context, req FetchRequest, report func(Progress)) (Fetched, error) {
	start := time.Now()
	report = reporter(report)
	t, err := x.parseTarget(req.Target)
	if err == nil {
		t, err = x.followFar(ctx, t)
	}
	if err != nil {
		return Fetched{}, err
	}
	timeout := req.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	defer x.Blobs.Lease()()
	stall, ctx := newStall(ctx, timeout, ErrTimeout)
	defer stall.cancel(nil)
	c, got, err := x.findAndObtain(ctx, t, req, stall, report)
	if err != nil {
		return Fetched{}, stallError(ctx, spaceError(err))
	}
	defer got.onward.refuse(errNotHandedOn)
	if t, err = x.follow(t); err != nil {
		return Fetched{}, err
	}
	res := Fetched{
		Ref:            x.refOf(c.author, c.release.Repo, c.release.Tag),
		Digest:         c.release.Image.Digest.String(),
		Author:         string(c.author),
		Magnet:         x.magnet(got.infohash, c.author, c.release.Repo+":"+c.release.Tag, got.held.Map.Size).String(),
		Size:           got.held.Map.Size,
		BytesFromPeers: got.fromPeers,
		BytesFromDisk:  got.fromDisk,
		Sources:        got.sources,
		Moved:          t.moved,
	}
	claim := t.claim(c.proved)
	claim.Content = &ledger.Content{Digest: got.held.Map.Image.Digest, Infohash: got.infohash.String()}
	res.Verdict = x.verdict(ctx, &claim)
	if !res.Verdict.Accepted {
		return res, &RejectedError{Ref: res.Ref, Verdict: res.Verdict}
	}
	stall.stop() // what follows is local
	x.use(c.author, true)
	handed, begun, err := got.onward.accept()
	if !begun {
		handed, err = x.deliver(ctx, req, c, rootOf(got.held.Map), x.Blobs, report)
	}
	res.Loaded, res.Exported = handed.loaded, handed.exported
	res.Seconds = time.Since(start).Seconds()
	return res, err
}

// obtained is the content of an image, here whole and held.
type obtained struct {
	held      *holding
	infohash  swarm.Infohash
	fromPeers int64
	fromDisk  int64
	sources   map[string]int64
	onward    *handover // nil where nothing is handed on before the end
}

// obtainFor makes sure that the content of a release is here, checks it against
// the release, and holds it. Others read it meanwhile; nobody, where s is nil.
func (x *Exchange) obtainFor(ctx context.Context, t target, c *candidate, s *stages, report func(Progress)) (*obtained, error) {
	ih, err := swarm.ParseInfohash(c.release.Infohash)
	if err != nil {
		return nil, err
	}
	defer x.Blobs.Lease()() // what comes or is found here stays until it is held
	if held, ok := x.useHeld(ih); ok && held.Map.Image.Digest == c.release.Image.Digest {
		return &obtained{held: held, infohash: ih, fromDisk: held.Map.Size}, nil
	}
	if x.Net == nil {
		return nil, ErrOffline
	}
	if x.isPaused() {
		return nil, ErrPaused
	}
	ctx, refuse := context.WithCancelCause(ctx)
	defer refuse(nil)
	dl := x.newDownload(ctx, ih, report)
	if t.magnet != nil {
		dl.outside.link = *t.magnet
	}
	defer dl.close()
	dl.looking.Go(func() { dl.fromOutside(dl.ctx, c, report, refuse) })
	got, err := x.obtainBy(ctx, dl, c, s, report)
	var rejected *RejectedError
	if cause := context.Cause(ctx); err != nil && (errors.As(cause, &rejected) || errors.Is(cause, ErrNoSpace) || errors.Is(cause, ErrStorageQuota)) {
		return nil, cause
	}
	if err == nil {
		dl.close()
		if err := x.Blobs.DropPartial(dl.flat()); err != nil {
			x.log.Warn("what came of the image torrent is not removed", "err", err)
		}
	}
	return got, err
}

// obtainBy brings the image by a download.
func (x *Exchange) obtainBy(ctx context.Context, dl *download, c *candidate, s *stages, report func(Progress)) (*obtained, error) {
	m, mapDigest, err := dl.torrentMap(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("fetching the torrent map: %w", err)
	}
	if err := dl.log(ctx, c); err != nil {
		return nil, fmt.Errorf("fetching the author's log: %w", err)
	}
	if dl.image, err = x.newImageHashing(c, m); err != nil {
		return nil, x.contentRefused(ctx, c, "", fmt.Errorf("its torrent map makes no image: %w", err))
	}
	dl.looking.Go(func() { dl.learnInfo(dl.ctx) })
	room, err := x.Blobs.Reserve(ctx, wantsOf(m))
	if err != nil {
		return nil, err
	}
	defer room()
	var wants <-chan digest.Digest
	if s != nil {
		wants = s.wants
		if err := dl.documents(ctx, c, m); err != nil {
			return nil, err
		}
		if err := s.documentsHere(ctx, dl, m); err != nil {
			return nil, err
		}
	}
	err = dl.blobs(ctx, m, wants)
	if errors.Is(err, swarm.ErrWrongContent) || errors.Is(err, swarm.ErrBadInfo) {
		return nil, x.contentRefused(ctx, c, "", err)
	}
	if err != nil {
		return nil, err
	}
	dl.believe()
	held, err := x.verifyContent(ctx, c, m, dl.image, mapDigest, report)
	if err != nil {
		return nil, err
	}
	fromPeers, sources := dl.sources()
	x.Reputation.Observe(authorSubject(c.author), reputation.Verified, max(fromPeers, 1))
	select {
	case x.news <- held:
	default: // announced at the next start
	}
	return &obtained{held: held, infohash: dl.ih, fromPeers: fromPeers, fromDisk: dl.resumed(), sources: sources}, nil
}

// useHeld finds a held image for who uses it.
func (x *Exchange) useHeld(ih swarm.Infohash) (*holding, bool) {
	held, ok := x.holdings.take(ih, x.now())
	if ok {
		x.touch(held.Map.Image.Digest)
	}
	return held, ok
}

// wantsOf are the blobs of an image, for which there must be room.
func wantsOf(m image.TorrentMap) []blobs.Want {
	out := make([]blobs.Want, len(m.Blobs))
	for i, b := range m.Blobs {
		out[i] = blobs.Want{Digest: b.Digest, Size: b.Size}
	}
	return out
}

// verifyContent derives, from the bytes that are here, the list of blobs and the
// torrents, and holds the image if they are what its author signed. What passed
// by while it was fetched, and had its digest, is not read again, and nothing is
// where the info dict of the image torrent was learned.
func (x *Exchange) verifyContent(ctx context.Context, c *candidate, m image.TorrentMap, hashed *imageHashing, mapDigest digest.Digest, report func(Progress)) (*holding, error) {
	img, err := image.Walk(ctx, image.Descriptor{
		MediaType: c.release.Image.MediaType, Digest: c.release.Image.Digest, Size: c.release.Image.Size,
	}, x.readDocument)
	if err != nil {
		return nil, x.contentRefused(ctx, c, "", fmt.Errorf("the image does not read: %w", err))
	}
	if !sameBlobs(img, m) {
		return nil, x.contentRefused(ctx, c, "", errOtherBlobs)
	}
	d, err := x.deriveTorrents(ctx, img, hashed.torrent, func(done, total int64) {
		report(Progress{Step: "verify", Item: img.Root.Digest.String(), Done: done, Total: total})
	})
	if err != nil {
		return nil, fmt.Errorf("verifying the content: %w", err)
	}
	if !bytes.Equal(d.MapBytes, m.Encode()) {
		return nil, x.contentRefused(ctx, c, d.Infohash.String(), errors.New("its bytes give other torrents than the release names"))
	}
	if err := x.recordTorrent(d); err != nil {
		return nil, err
	}
	return x.hold(ctx, d.Map, mapDigest)
}

// contentRefused is the verdict against content that is not what was signed.
func (x *Exchange) contentRefused(ctx context.Context, c *candidate, infohash string, cause error) error {
	x.Reputation.Observe(authorSubject(c.author), reputation.BrokenPromise, 1)
	v := x.judge(ctx, ledger.Claim{
		Proved: c.proved, Infohash: c.release.Infohash,
		Content: &ledger.Content{Digest: c.release.Image.Digest, Infohash: infohash, Err: cause},
	})
	v.Accepted = false
	return &RejectedError{Ref: x.refOf(c.author, c.release.Repo, c.release.Tag), Verdict: v}
}

func sameBlobs(img *image.Image, m image.TorrentMap) bool {
	if len(img.Blobs) != len(m.Blobs) {
		return false
	}
	for i, b := range img.Blobs {
		if b.Digest != m.Blobs[i].Digest || b.Size != m.Blobs[i].Size {
			return false
		}
	}
	return true
}

// stallError prefers the reason why the context ended to what its end caused.
func stallError(ctx context.Context, err error) error {
	var rejected *RejectedError
	if cause := context.Cause(ctx); cause != nil && errors.Is(cause, ErrTimeout) &&
		!errors.As(err, &rejected) && !errors.Is(err, ErrTimeout) {
		return fmt.Errorf("%w: %w", ErrTimeout, err)
	}
	return err
}
