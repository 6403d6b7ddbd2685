package exchange

import (
	"context"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/index"
	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/node/image"
	"github.com/dockchains/dockchain/p2p/swarm"
)

// Verify asks for the verdict on a release that this node knows. Where its
// content is here, every byte is hashed again. A verdict against it is an
// answer, not an error.
func (x *Exchange) Verify(ctx context.Context, text string, report func(Progress)) (Verified, error) {
	report = reporter(report)
	t, err := x.movedTarget(text)
	if err != nil {
		return Verified{}, err
	}
	records, err := x.recordsHere(ctx, t)
	if err != nil {
		return Verified{}, err
	}
	if len(records) == 0 {
		if err := x.whyNot(t.author); err != nil {
			return Verified{}, err
		}
		return Verified{}, fmt.Errorf("%w: nobody is known here to have released %s", ErrNotFound, text)
	}
	var out Verified
	for _, rec := range records {
		if out, err = x.verifyRecord(ctx, t, rec, report); err != nil || out.Verdict.Accepted {
			break
		}
	}
	return out, err
}

func (x *Exchange) verifyRecord(ctx context.Context, t target, rec index.Record, report func(Progress)) (Verified, error) {
	x.use(rec.Author, false)
	f := x.found(rec)
	v := Verified{Ref: f.Ref, Digest: f.Digest, Author: f.Author, Magnet: f.Magnet, Local: f.Local, Moved: t.moved}
	p, err := x.Ledger.Prove(ctx, rec.Author, rec.Index)
	if err != nil {
		return v, err
	}
	claim := t.claim(p)
	ih, err := swarm.ParseInfohash(rec.Infohash)
	if err != nil {
		return v, err
	}
	if hold, ok := x.holdings.image(ih); ok {
		claim.Content = x.hashContent(ctx, hold, rec.Digest, report)
		if ctx.Err() != nil {
			return v, context.Cause(ctx)
		}
	}
	v.Verdict = x.verdict(ctx, &claim)
	v.Opinions, err = x.opinionsOf(rec.Digest, rec.Author)
	return v, err
}

// hashContent hashes every blob of a held image again, and derives its torrent.
func (x *Exchange) hashContent(ctx context.Context, hold *holding, root digest.Digest, report func(Progress)) *ledger.Content {
	done := int64(0)
	for _, b := range hold.Map.Blobs {
		if err := x.Blobs.Verify(ctx, b.Digest); err != nil {
			return &ledger.Content{Digest: root, Err: fmt.Errorf("blob %s: %w", b.Digest, err)}
		}
		done += b.Size
		report(Progress{Step: "verify", Item: root.String(), Done: done, Total: hold.Map.Size})
	}
	files := x.imageSources(hold.Map)
	_, ih, err := swarm.BuildImage(ctx, image.LayoutName(root), files, nil)
	if err == nil && hold.Map.Image.Digest != root {
		err = errors.New("the image held under this infohash is another one")
	}
	return &ledger.Content{Digest: hold.Map.Image.Digest, Infohash: ih.String(), Err: err}
}
