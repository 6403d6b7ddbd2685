package exchange

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/dockchains/dockchain/ledger"
)

// Whose vouches count: those of this node's own author and of the authors that its
// user gave a name, and nobody else's. Authors cost nothing but work, so that a
// thousand of them that vouch for one another are as good as none.

// trusts tells whether an author is this node's own, or its user gave it a name.
func (x *Exchange) trusts(author ledger.AuthorID) (bool, error) {
	if author == x.Me.ID {
		return true, nil
	}
	x.limits.mu.Lock()
	defer x.limits.mu.Unlock()
	return x.limits.trusted[author], nil
}

// learnNames reads whom this node's user gave a name.
func (x *Exchange) learnNames() error {
	aliases, err := x.Store.Aliases()
	if err != nil {
		return err
	}
	x.limits.mu.Lock()
	defer x.limits.mu.Unlock()
	clear(x.limits.trusted)
	for _, a := range aliases {
		x.limits.trusted[a.Author] = true
	}
	return nil
}

// vouchesFor counts the trusted authors that vouch for one now.
func (x *Exchange) vouchesFor(author ledger.AuthorID) (n int, err error) {
	x.limits.mu.Lock()
	vouches := maps.Clone(x.limits.vouches[author])
	x.limits.mu.Unlock()
	for by, expires := range vouches {
		trusted, err := x.trusts(by) // a name may have been taken back since
		if err != nil {
			return n, err
		}
		if trusted && expires.After(x.now()) {
			n++
		}
	}
	return n, nil
}

// noteVouches remembers for whom trusted authors vouch.
func (x *Exchange) noteVouches(entries []*ledger.Entry) error {
	for _, e := range entries {
		v, ok := e.Statement.(*ledger.Vouch)
		if !ok {
			continue
		}
		trusted, err := x.trusts(e.Author)
		if err != nil {
			return err
		}
		if trusted {
			x.limits.vouch(e.Author, v)
			x.wantAgain(v.For)
		}
	}
	return nil
}

func (l *limits) vouch(by ledger.AuthorID, v *ledger.Vouch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.vouches[v.For] == nil {
		l.vouches[v.For] = map[ledger.AuthorID]time.Time{}
	}
	l.vouches[v.For][by] = v.Expires
}

// learnVouches reads for whom the trusted authors vouch: all of them, or the one
// given.
func (x *Exchange) learnVouches(ctx context.Context, only ledger.AuthorID) error {
	authors := []ledger.AuthorID{only}
	if only == "" {
		aliases, err := x.Store.Aliases()
		if err != nil {
			return err
		}
		authors[0] = x.Me.ID
		for _, a := range aliases {
			authors = append(authors, a.Author)
		}
	}
	for _, by := range authors {
		err := x.Ledger.EntriesOf(ctx, by, 0, func(e *ledger.Entry) error {
			if v, ok := e.Statement.(*ledger.Vouch); ok {
				x.limits.vouch(by, v)
				x.wantAgain(v.For)
			}
			return nil
		})
		if err != nil && !notFound(err) {
			return fmt.Errorf("reading for whom %s vouches: %w", by, err)
		}
	}
	return nil
}
