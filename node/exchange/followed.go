package exchange

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/index"
	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/node/image"
	"github.com/dockchains/dockchain/node/kv"
)

// followRecord is a repository, or one tag of it, whose newest release is kept
// pinned. Its key is AUTHOR-ID/REPO[:TAG].
type followRecord struct {
	Added  time.Time     `json:"added"`
	Digest digest.Digest `json:"digest,omitempty"` // that is pinned

	failed string // why the newest is not
}

func decodeFollow(b []byte) (f followRecord, err error) {
	if err := decodeStrict(b, &f); err != nil {
		return f, err
	}
	if f.Digest != "" {
		err = image.CheckDigest(f.Digest)
	}
	return f, err
}

// parseFollow parses AUTHOR/REPO[:TAG].
func (x *Exchange) parseFollow(name string) (key string, err error) {
	ref, err := image.ParseRef(name)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	if ref.Digest != "" {
		return "", fmt.Errorf("%w: a repository is followed by its name, without a digest", ErrBadRequest)
	}
	author, err := x.resolveAuthor(ref.Author)
	if err != nil {
		return "", err
	}
	key = string(author) + "/" + ref.Repo
	if name != ref.Name() {
		key += ":" + ref.Tag
	}
	return key, nil
}

// followName is what this user would call it.
func (x *Exchange) followName(key string) string {
	author, rest, _ := strings.Cut(key, "/")
	return x.nameOf(ledger.AuthorID(author)) + "/" + rest
}

// followedAs tells whether a name is followed.
func (x *Exchange) followedAs(name string) (key string, ok bool) {
	key, err := x.parseFollow(name)
	if err != nil {
		return "", false
	}
	p := &x.storage.pins
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok = p.follows[key]
	return key, ok
}

// pinFollowed begins to follow a repository, and pins its newest release if there is
// one already.
func (x *Exchange) pinFollowed(ctx context.Context, req PinRequest, report func(Progress)) (Pin, error) {
	key, err := x.parseFollow(req.Target)
	if err != nil {
		return Pin{}, err
	}
	if err := x.putFollow(key, func(f *followRecord) {
		if f.Added.IsZero() {
			f.Added = x.now().UTC().Truncate(time.Second)
		}
	}); err != nil {
		return Pin{}, err
	}
	author, _, _ := strings.Cut(key, "/")
	if _, err := x.Ledger.Head(ledger.AuthorID(author)); errors.Is(err, ledger.ErrUnknownAuthor) {
		x.bringLog(ctx, ledger.AuthorID(author))
	}
	rec, err := x.pinNewest(ctx, key, req, report)
	if errors.Is(err, ErrNotFound) { // it is pinned when there is one
		return Pin{Follows: x.followName(key)}, nil
	}
	if err != nil {
		return Pin{}, err
	}
	return x.describePin(rec), nil
}

func (x *Exchange) putFollow(key string, change func(*followRecord)) error {
	p := &x.storage.pins
	p.mu.Lock()
	defer p.mu.Unlock()
	f, known := p.follows[key]
	if !known && len(p.follows) >= maxPins {
		return fmt.Errorf("%w: at most %d repositories can be followed", ErrBadRequest, maxPins)
	}
	change(&f)
	err := x.Store.Storage().Update(func(tx kv.Txn) error { return tx.Set(followKey+key, encode(f)) })
	if err != nil {
		return fmt.Errorf("keeping what is followed: %w", spaceError(err))
	}
	p.follows[key] = f
	return nil
}

func (x *Exchange) unfollow(key string) error {
	p := &x.storage.pins
	p.mu.Lock()
	defer p.mu.Unlock()
	err := x.Store.Storage().Update(func(tx kv.Txn) error { return tx.Delete(followKey + key) })
	if err != nil {
		return fmt.Errorf("forgetting what is followed: %w", spaceError(err))
	}
	delete(p.follows, key)
	return nil
}

// newest is the release of a repository, or of one tag of it, that its author made
// last and did not take back.
func (x *Exchange) newest(key string) (index.Record, error) {
	author, rest, _ := strings.Cut(key, "/")
	repo, tag, tagged := strings.Cut(rest, ":")
	records, err := x.Index.Tags(ledger.AuthorID(author), repo)
	if err != nil {
		return index.Record{}, err
	}
	var best index.Record
	for _, r := range records {
		if r.Revoked == "" && (!tagged || r.Tag == tag) && (best.Digest == "" || r.Index > best.Index) {
			best = r
		}
	}
	if best.Digest == "" {
		return best, fmt.Errorf("%w: a release of %s", ErrNotFound, x.followName(key))
	}
	return best, nil
}

// pinNewest pins the newest release of what is followed, and then takes the pin of
// the one before back.
func (x *Exchange) pinNewest(ctx context.Context, key string, req PinRequest, report func(Progress)) (rec pinRecord, err error) {
	defer func() {
		p := &x.storage.pins
		p.mu.Lock()
		defer p.mu.Unlock()
		if f, ok := p.follows[key]; ok {
			if f.failed = ""; err != nil {
				f.failed = err.Error()
			}
			p.follows[key] = f
		}
	}()
	r, err := x.newest(key)
	if err != nil {
		return rec, err
	}
	p := &x.storage.pins
	p.mu.Lock()
	have, known := p.byRoot[r.Digest]
	f, followed := p.follows[key]
	p.mu.Unlock()
	if !followed {
		return rec, fmt.Errorf("%w: %s is not followed", ErrNotFound, x.followName(key))
	}
	if known && f.Digest == r.Digest {
		return have, nil
	}
	release := x.Blobs.Lease()
	defer release()
	target := pinRecord{Infohash: r.Infohash, Author: r.Author, Name: r.Repo + ":" + r.Tag, Size: r.Size}.target()
	if rec, err = x.findPin(ctx, PinRequest{Target: target, NoFetch: req.NoFetch, Timeout: req.Timeout}, report); err != nil {
		return rec, err
	}
	rec.Follows = key
	if err := x.putPin(rec); err != nil {
		return rec, err
	}
	if err := x.putFollow(key, func(f *followRecord) { f.Digest = rec.Digest }); err != nil {
		return rec, err
	}
	for _, old := range x.storage.pins.list() {
		if old.Follows == key && old.Digest != rec.Digest {
			if err := x.dropPin(old.Digest); err != nil {
				return rec, err
			}
		}
	}
	x.storage.pins.wake()
	return rec, nil
}

// noteFollowed has what is followed looked at when its author released something.
func (x *Exchange) noteFollowed(entries []*ledger.Entry) {
	p := &x.storage.pins
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range entries {
		if e.Release == nil {
			continue
		}
		name := string(e.Author) + "/" + e.Release.Repo
		_, repo := p.follows[name]
		_, tag := p.follows[name+":"+e.Release.Tag]
		if repo || tag {
			p.wake()
			return
		}
	}
}

// keepFollowed brings the newest releases of what is followed.
func (x *Exchange) keepFollowed(ctx context.Context) {
	p := &x.storage.pins
	p.mu.Lock()
	keys := make([]string, 0, len(p.follows))
	for key := range p.follows {
		keys = append(keys, key)
	}
	p.mu.Unlock()
	for _, key := range keys {
		if ctx.Err() != nil {
			return
		}
		if _, err := x.pinNewest(ctx, key, PinRequest{}, nil); err != nil && !errors.Is(err, ErrNotFound) {
			x.log.Warn("newest release of what is followed is not pinned", "name", key, "err", err)
		}
	}
}
