package exchange

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/node/blobs"
	"github.com/dockchains/dockchain/node/image"
	"github.com/dockchains/dockchain/p2p/swarm"
)

// EngineTransport is where an image without a transport name comes from.
const EngineTransport = "docker-daemon"

// SelfAuthor is the name by which this node's user calls its own author.
const SelfAuthor = "me"

// Publish imports an image, derives its torrents, releases it in this node's log
// and announces it. When it returns without error the release is durable.
func (x *Exchange) Publish(ctx context.Context, req PublishRequest, report func(Progress)) (Published, error) {
	report = reporter(report)
	ref, err := x.ownRef(req.As)
	if err != nil {
		return Published{}, err
	}
	defer x.Blobs.Lease()() // what comes stays until it is held
	root, err := x.importImage(ctx, req, report)
	if err != nil {
		return Published{}, fmt.Errorf("importing %s: %w", req.Source, spaceError(err))
	}
	img, err := image.Walk(ctx, root, x.readDocument)
	if err != nil {
		return Published{}, fmt.Errorf("reading the image: %w", err)
	}
	d, err := x.deriveTorrents(ctx, img, nil, func(done, total int64) {
		report(Progress{Step: "hash", Item: root.Digest.String(), Done: done, Total: total})
	})
	if err != nil {
		return Published{}, fmt.Errorf("deriving torrents: %w", err)
	}
	mapDigest, err := x.putBytes(ctx, d.MapBytes)
	if err != nil {
		return Published{}, fmt.Errorf("storing the torrent map: %w", err)
	}
	if err := x.recordTorrent(d); err != nil {
		return Published{}, spaceError(err)
	}
	if req.Propose {
		if err := x.keepProposed(root.Digest, mapDigest); err != nil {
			return Published{}, spaceError(err)
		}
		return x.proposeRelease(ctx, ref, releaseOf(req, ref, img, d, mapDigest, x.now()))
	}
	proved, existed, err := x.release(ctx, ref, releaseOf(req, ref, img, d, mapDigest, x.now()))
	if err != nil {
		return Published{}, fmt.Errorf("signing the release: %w", spaceError(err))
	}
	// Only now: what nobody signed is not seeded. A crash in between is mended by
	// holdReleased at the next start.
	if _, err := x.hold(ctx, d.Map, mapDigest); err != nil {
		return Published{}, spaceError(err)
	}
	report(Progress{Step: "announce", Item: d.Infohash.String()})
	x.announce(ctx, d.Infohash, d.Map, proved)
	return Published{
		Ref:    ref.String(),
		Digest: root.Digest.String(),
		Author: string(x.Me.ID),
		Magnet: x.magnet(d.Infohash, x.Me.ID, ref.Repo+":"+ref.Tag, d.Map.Size).String(),
		Size:   d.Map.Size,
		Layers: img.Layers(),
		Entry:  proved.Index, Existed: existed,
	}, nil
}

// ownRef parses a name under "me", or under this author's own id.
func (x *Exchange) ownRef(s string) (image.Ref, error) {
	ref, err := image.ParseRef(s)
	if err != nil {
		return ref, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	if ref.Digest != "" {
		return ref, fmt.Errorf("%w: a release is named by a tag, not by a digest: %s", ErrBadRequest, s)
	}
	author, err := x.resolveAuthor(ref.Author)
	if err != nil {
		return ref, err
	}
	if author != x.Me.ID {
		return ref, fmt.Errorf("%w: %s", ErrNotYours, s)
	}
	ref.Author = SelfAuthor
	return ref, nil
}

// importImage brings the image into the blob store and picks the platform that
// was asked for.
func (x *Exchange) importImage(ctx context.Context, req PublishRequest, report func(Progress)) (image.Descriptor, error) {
	transport, name := splitSource(req.Source, x.Importers)
	imp, ok := x.Importers[transport]
	if !ok {
		return image.Descriptor{}, fmt.Errorf("%w: unknown transport %q", ErrBadRequest, transport)
	}
	root, err := imp(ctx, name, req, func(item string, done, total int64) {
		report(Progress{Step: "import", Item: item, Done: done, Total: total})
	})
	if err != nil || req.Platform == "" {
		return root, err
	}
	p, err := image.ParsePlatform(req.Platform)
	if err != nil {
		return root, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	return image.Select(ctx, root, p, x.readDocument)
}

// splitSource splits "transport:name"; a source without a known transport is the
// Docker Engine's.
func splitSource(source string, known map[string]Importer) (transport, name string) {
	if t, rest, ok := strings.Cut(source, ":"); ok {
		if _, ok := known[t]; ok {
			return t, strings.TrimPrefix(rest, "//")
		}
	}
	return EngineTransport, source
}

func releaseOf(req PublishRequest, ref image.Ref, img *image.Image, d *derived, mapDigest digest.Digest, now time.Time) ledger.Release {
	r := ledger.Release{
		Repo: ref.Repo,
		Tag:  ref.Tag,
		Image: ledger.Descriptor{
			MediaType: img.Root.MediaType, Digest: img.Root.Digest, Size: img.Root.Size,
		},
		Size:     d.Map.Size,
		Infohash: d.Infohash.String(),
		Torrents: ledger.Descriptor{
			MediaType: image.MediaTypeTorrents, Digest: mapDigest, Size: int64(len(d.MapBytes)),
		},
		Layers:      img.Layers(),
		Title:       firstOf(req.Title, labelOf(img, "org.opencontainers.image.title")),
		Description: firstOf(req.Description, labelOf(img, "org.opencontainers.image.description")),
		Labels:      map[string]string{},
		Created:     now.UTC().Truncate(time.Second),
	}
	for k, v := range img.Labels {
		r.Labels[k] = v
	}
	for k, v := range req.Labels {
		r.Labels[k] = v
	}
	for _, p := range img.Platforms {
		r.Platforms = append(r.Platforms, image.FormatPlatform(p))
	}
	return r.Fit()
}

// labelOf is an annotation of the image, or a label of its config.
func labelOf(img *image.Image, key string) string {
	return firstOf(img.Annotations[key], img.Labels[key])
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// release appends to this author's log, unless the log's latest word on the tag
// is the same already, and was not taken back.
func (x *Exchange) release(ctx context.Context, ref image.Ref, r ledger.Release) (p *ledger.Proved, existed bool, err error) {
	x.publish.Lock()
	defer x.publish.Unlock()
	if err := x.assure(ctx); err != nil {
		return nil, false, err
	}
	rec, err := x.Index.Resolve(x.Me.ID, ref.Repo, ref.Tag)
	if err == nil && rec.Revoked == "" && rec.Digest == r.Image.Digest && rec.Title == r.Title && rec.Description == r.Description {
		p, err := x.Ledger.Prove(ctx, x.Me.ID, rec.Index)
		return p, true, err
	}
	if err != nil && !notFound(err) {
		return nil, false, err
	}
	if err := x.mayAlone(false); err != nil {
		return nil, false, err
	}
	p, err = x.Ledger.AppendRelease(ctx, x.Me.ID, x.Me.Key, r)
	if err != nil {
		return nil, false, err
	}
	head, err := x.Ledger.Head(x.Me.ID)
	if err != nil {
		return nil, false, err
	}
	_, err = x.indexLog(ctx, x.Me.ID, p.Index, head.Size)
	return p, false, err
}

// proposeRelease leaves the signing to several people. Nothing is held or
// announced before they have.
func (x *Exchange) proposeRelease(ctx context.Context, ref image.Ref, r ledger.Release) (Published, error) {
	x.publish.Lock()
	defer x.publish.Unlock()
	said, err := x.propose(ctx, &r, x.Me.Key)
	if err != nil {
		return Published{}, fmt.Errorf("proposing the release: %w", err)
	}
	ih, err := swarm.ParseInfohash(r.Infohash)
	return Published{
		Ref: ref.String(), Digest: r.Image.Digest.String(), Author: said.Author, Entry: said.Entry, Size: r.Size, Layers: r.Layers,
		Magnet: x.magnet(ih, x.Me.ID, ref.Repo+":"+ref.Tag, r.Size).String(), Proposal: said.Proposal,
	}, err
}

// magnet is the link to an image, with this node's addresses as hints.
func (x *Exchange) magnet(ih swarm.Infohash, author ledger.AuthorID, name string, size int64) swarm.Magnet {
	m := swarm.Magnet{
		Infohash: ih, Name: name, Size: size, Author: string(author),
		Trackers: x.LinkTrackers, WebSeeds: x.LinkWebSeeds,
	}
	if x.PeerHints != nil {
		m.Addrs, m.Peers = x.PeerHints()
	}
	return m
}

// reporter makes nil a progress function too.
func reporter(report func(Progress)) func(Progress) {
	if report == nil {
		return func(Progress) {}
	}
	return report
}

// spaceError names a full disk by our sentinel.
func spaceError(err error) error {
	if err != nil && (errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, blobs.ErrNoSpace)) {
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	}
	return err
}
