package exchange

import (
	"context"
	"errors"
	"fmt"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/quota"
	"github.com/dockchains/dockchain/node/store"
)

// heldOf is how much of a log is stored here. It is measured when it is asked for
// and counted on from there.
func (x *Exchange) heldOf(ctx context.Context, author ledger.AuthorID) (quota.Room, error) {
	head, err := x.Ledger.Head(author)
	if errors.Is(err, ledger.ErrUnknownAuthor) {
		return quota.Room{}, nil
	}
	if err != nil {
		return quota.Room{}, err
	}
	l, err := x.measure(ctx, author, head.Size)
	return quota.Room{Entries: l.Entries, Bytes: l.Bytes}, err
}

// measure counts on what is stored of a log up to a size.
func (x *Exchange) measure(ctx context.Context, author ledger.AuthorID, size uint64) (quota.Log, error) {
	l, known := x.limits.stock.Get(string(author))
	if !known || l.Entries > int64(size) {
		l = quota.Log{Since: x.now(), Used: l.Used, Fetched: l.Fetched}
	}
	if known && l.Entries == int64(size) {
		return l, nil
	}
	for l.Entries < int64(size) {
		leaves, err := x.Ledger.Range(ctx, author, uint64(l.Entries), size, 1<<20)
		if err != nil {
			return l, err
		}
		if l.Entries == 0 {
			e, err := ledger.DecodeEntry(author, 0, leaves[0])
			if err != nil {
				return l, err
			}
			l.WorkBits = e.Inception.Work.Bits
		}
		l.Entries += int64(len(leaves))
		l.Bytes += int64(sizeOf(leaves))
	}
	x.limits.stock.Set(string(author), l)
	x.limits.touch(author)
	return l, nil
}

func sizeOf(leaves [][]byte) (n int) {
	for _, leaf := range leaves {
		n += len(leaf)
	}
	return n
}

// touch notes that the usage of a log is to be stored.
func (l *limits) touch(author ledger.AuthorID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changed[author] = true
}

// measureAll measures all logs of others: those that a crash kept from being
// counted, for the rest is read from the store.
func (x *Exchange) measureAll(ctx context.Context) error {
	known, err := x.Store.LoadUsage()
	if err != nil {
		return err
	}
	var after ledger.AuthorID
	for {
		heads, err := x.Ledger.Heads(after, 256)
		if err != nil || len(heads) == 0 {
			return err
		}
		for _, h := range heads {
			after = h.Author
			if h.Author == x.Me.ID {
				continue
			}
			if u, ok := known[h.Author]; ok {
				x.limits.stock.Set(string(h.Author), quota.Log{
					Entries: u.Entries, Bytes: u.Bytes, WorkBits: u.WorkBits, Since: u.Since, Used: u.Used, Fetched: u.Fetched,
				})
			}
			if _, err := x.measure(ctx, h.Author, h.Size); err != nil {
				return fmt.Errorf("measuring the log of %s: %w", h.Author, err)
			}
		}
	}
}

// noteStored measures logs that grew.
func (x *Exchange) noteStored(entries []*ledger.Entry) error {
	var last ledger.AuthorID
	for _, e := range entries {
		if e.Author == last || e.Author == x.Me.ID {
			continue
		}
		last = e.Author
		if _, err := x.heldOf(context.Background(), last); err != nil {
			return err
		}
		x.limits.forgive(last)
	}
	return nil
}

// use notes that somebody here asked for an author's log, or fetched an image.
func (x *Exchange) use(author ledger.AuthorID, fetched bool) {
	x.limits.stock.Use(string(author), fetched)
	x.limits.touch(author)
}

// storeUsage writes down what changed since the last time.
func (x *Exchange) storeUsage() {
	x.limits.mu.Lock()
	changed := x.limits.changed
	x.limits.changed = map[ledger.AuthorID]bool{}
	x.limits.mu.Unlock()
	all := map[ledger.AuthorID]store.Usage{}
	for author := range changed {
		if l, ok := x.limits.stock.Get(string(author)); ok {
			all[author] = store.Usage{Entries: l.Entries, Bytes: l.Bytes, WorkBits: l.WorkBits, Since: l.Since.UTC(), Used: l.Used.UTC(), Fetched: l.Fetched}
		}
	}
	if err := x.Store.SaveUsage(all); err != nil {
		x.log.Warn("usage is not kept", "err", err)
	}
}

// makeRoom gives up logs for more of an author's, where all of them together are
// at their bound.
func (x *Exchange) makeRoom(ctx context.Context, a quota.Author, cost quota.Cost) error {
	giveUp, d := x.limits.stock.Admit(a, x.limits.isAsked(ledger.AuthorID(a.ID)), cost, x.regards,
		func(author string) bool { return x.isFrozen(ledger.AuthorID(author)) })
	if !d.OK {
		x.limits.Refuse(d)
		return refusal(d)
	}
	for _, author := range giveUp {
		if err := x.giveUp(ctx, ledger.AuthorID(author)); err != nil {
			return fmt.Errorf("giving up the log of %s: %w", author, err)
		}
	}
	return nil
}

// regards tells what this node thinks of an author. That an image is held says
// nothing of whoever released it: anybody can release what others have made.
func (x *Exchange) regards(author string) quota.Regard {
	id := ledger.AuthorID(author)
	r := quota.Regard{Asked: x.limits.isAsked(id)}
	trusted, err := x.trusts(id)
	r.Kept = err != nil || trusted
	if r.Vouches, err = x.vouchesFor(id); err != nil {
		r.Kept = true
	}
	return r
}

// giveUp forgets an author's log, unless it is being caught up with. What is left
// after a crash in it, the next start puts right: the ledger goes last.
func (x *Exchange) giveUp(ctx context.Context, author ledger.AuthorID) error {
	unlock, ok := x.logLock.tryLock(string(author))
	if !ok {
		return nil
	}
	defer unlock()
	ctx = context.WithoutCancel(ctx)
	if err := x.Index.Forget(author); err != nil {
		return err
	}
	if err := x.Ledger.EntriesOf(ctx, author, 0, func(e *ledger.Entry) error { return x.Store.ForgetReleases(e) }); err != nil && !notFound(err) {
		return err
	}
	if err := x.Ledger.Forget(ctx, author); err != nil {
		return err
	}
	x.heads.Remove(author)
	x.limits.stock.Remove(string(author))
	x.limits.givenUp.Add(1)
	x.log.Debug("log given up for want of room", "author", author)
	return nil
}
