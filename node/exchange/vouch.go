package exchange

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/dockchains/dockchain/ledger"
)

// VouchRequest asks to speak for another author.
type VouchRequest struct {
	Author string    `json:"author"` // petname or author id
	Until  time.Time `json:"until"`  // a time that has passed ends a vouch
	Way
}

// Vouch speaks for another author until a time, as the last word on it.
func (x *Exchange) Vouch(ctx context.Context, req VouchRequest) (Said, error) {
	author, err := x.resolveAuthor(req.Author)
	if err != nil {
		return Said{}, err
	}
	if author == x.Me.ID {
		return Said{}, fmt.Errorf("%w: nobody vouches for themselves", ErrBadRequest)
	}
	st := &ledger.Vouch{For: author, Expires: req.Until.UTC().Truncate(time.Second)}
	return x.say(ctx, st, req.Way, func() (uint64, bool, error) {
		vouches, err := x.vouchesBy(ctx, x.Me.ID)
		if err != nil {
			return 0, false, err
		}
		for _, v := range vouches {
			if v.Author == string(author) && v.Until.Equal(st.Expires) {
				return v.Entry, true, nil
			}
		}
		return 0, false, nil
	})
}

// vouchesBy are for whom an author's log speaks now.
func (x *Exchange) vouchesBy(ctx context.Context, by ledger.AuthorID) ([]Voucher, error) {
	names, err := x.namedAuthors()
	if err != nil {
		return nil, err
	}
	latest := map[ledger.AuthorID]Voucher{}
	err = x.Ledger.EntriesOf(ctx, by, 0, func(e *ledger.Entry) error {
		s, ok := e.Statement.(*ledger.Vouch)
		if !ok {
			return nil
		}
		why, err := x.Ledger.Stands(e)
		if err != nil || why != "" {
			return err
		}
		name, trusted := nameIn(names, s.For)
		latest[s.For] = Voucher{string(s.For), name, trusted, e.Index, s.Expires}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading for whom %s vouches: %w", by, err)
	}
	var out []Voucher
	for _, v := range latest {
		if v.Until.After(x.now()) {
			out = append(out, v)
		}
	}
	slices.SortFunc(out, func(a, b Voucher) int { return cmp.Compare(a.Author, b.Author) })
	return out[:min(len(out), maxOpinions)], nil
}
