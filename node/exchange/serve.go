package exchange

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/reconcile"
	"github.com/dockchains/dockchain/p2p/swarm"
)

// Operation answers one request of the direct protocol.
type Operation struct {
	Name      string
	MaxAnswer int // bytes
	Answer    func(ctx context.Context, from peer.ID, req []byte) ([]byte, error)
}

// Operations are what this node answers its peers.
func (x *Exchange) Operations() []Operation {
	return []Operation{
		{OpReleases, maxAnswer, x.answerReleases},
		{OpRelease, maxAnswer, x.answerRelease},
		{OpReconcile, reconcile.MaxAnswer, x.answerReconcile},
		{OpLog, reconcile.MaxPullAnswer, x.answerLog},
		{OpHead, ledger.MaxProved, x.answerHead},
		{OpGrowth, maxAnswer, x.answerGrowth},
		{OpFrozen, maxAnswer, x.answerFrozen},
		{OpEvidence, ledger.MaxEvidence, x.answerEvidence},
		{OpCosign, maxAnswer, x.answerCosign},
		{OpBlob, MaxDirectBlob, x.answerBlob},
		{OpInfo, swarm.MaxInfo, x.answerInfo},
		{OpLayer, maxAnswer, x.answerLayer},
		{OpKeep, maxAnswer, x.answerKeep},
		{OpTime, 20, x.answerTime},
	}
}

// answerReleases tells every release this node knows for an infohash.
func (x *Exchange) answerReleases(ctx context.Context, _ peer.ID, req []byte) ([]byte, error) {
	var q releasesRequest
	if err := decodeStrict(req, &q); err != nil {
		return nil, err
	}
	ih, err := swarm.ParseInfohash(q.Infohash)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGarbage, err)
	}
	places, err := x.Store.ReleasesOf(ih.String())
	if err != nil {
		return nil, err
	}
	var a releasesAnswer
	size := 0
	for _, at := range places[:min(len(places), maxReleases)] {
		p, err := x.Ledger.Prove(ctx, at.Author, at.Index)
		if errors.Is(err, ledger.ErrNotFound) {
			continue // it was of a history that was given up
		}
		if err != nil {
			return nil, err
		}
		proved := p.Encode()
		if size += len(proved) + 1; size > maxAnswer-64 {
			break // of authors whose keys changed often, fewer fit
		}
		a.Releases = append(a.Releases, proved)
	}
	if len(a.Releases) == 0 {
		return nil, ErrNotFound
	}
	return encode(a), nil
}

// answerRelease tells the latest release under a name.
func (x *Exchange) answerRelease(ctx context.Context, _ peer.ID, req []byte) ([]byte, error) {
	var q releaseRequest
	if err := decodeStrict(req, &q); err != nil {
		return nil, err
	}
	rec, err := x.Index.Resolve(ledger.AuthorID(q.Author), q.Repo, q.Tag)
	if notFound(err) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	p, err := x.Ledger.Prove(ctx, rec.Author, rec.Index)
	if err != nil {
		return nil, err
	}
	return encode(releasesAnswer{Releases: []json.RawMessage{p.Encode()}}), nil
}

// answerBlob gives a small blob that an accepted release covers.
func (x *Exchange) answerBlob(ctx context.Context, _ peer.ID, req []byte) ([]byte, error) {
	var q blobRequest
	if err := decodeStrict(req, &q); err != nil {
		return nil, err
	}
	if err := q.Digest.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGarbage, err)
	}
	if !x.mayGiveBlob(ctx, q.Digest) {
		return nil, ErrNotFound
	}
	return x.readBlob(q.Digest, MaxDirectBlob)
}

// answerInfo gives the info dictionary of a held image's torrent.
func (x *Exchange) answerInfo(ctx context.Context, _ peer.ID, req []byte) ([]byte, error) {
	var q infoRequest
	if err := decodeStrict(req, &q); err != nil {
		return nil, err
	}
	ih, err := swarm.ParseInfohash(q.Infohash)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGarbage, err)
	}
	if _, held := x.holdings.image(ih); !held || !x.mayGive(ctx, ih) {
		return nil, ErrNotFound
	}
	t, err := x.Store.Torrent(ih.String())
	if err != nil {
		return nil, err
	}
	return t.Info, nil
}

// ResolveTorrent finds the torrent a stream asks for: its info dictionary and
// where its bytes are. Only what an accepted release covers is found.
func (x *Exchange) ResolveTorrent(ih swarm.Infohash) (info []byte, files []swarm.Source, ok bool) {
	t, err := x.Store.Torrent(ih.String())
	if err != nil {
		return nil, nil, false
	}
	ctx := context.Background()
	if d, isLayer := x.holdings.layerBlob(ih); isLayer && x.mayGiveBlob(ctx, d) {
		size, err := x.Blobs.Stat(d)
		if err != nil {
			return nil, nil, false
		}
		return t.Info, []swarm.Source{x.blobSource(nil, d, size)}, true
	}
	if hold, isImage := x.holdings.image(ih); isImage && x.mayGive(ctx, ih) {
		return t.Info, x.imageSources(hold.Map), true
	}
	return nil, nil, false
}
