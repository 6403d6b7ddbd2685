package exchange

import (
	"context"
	"errors"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/node/store"
)

// Owner says whose a name is, by its first component.
type Owner int

// Owners of names.
const (
	OwnerNone   Owner = iota // of no author
	OwnerMe                  // of this node's
	OwnerAuthor              // of another, by petname or id
)

// OwnerOf tells whose names are that begin with a component. A petname wins over
// whatever else the word may mean.
func (x *Exchange) OwnerOf(first string) (Owner, error) {
	if first == SelfAuthor {
		return OwnerMe, nil
	}
	id, err := ledger.ParseAuthorID(first)
	if err != nil {
		id, err = x.Store.Alias(first)
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		return OwnerNone, nil
	case err != nil:
		return OwnerNone, err
	case id == x.Me.ID:
		return OwnerMe, nil
	}
	return OwnerAuthor, nil
}

// Released tells whether the ledger here has a release of a reference, whatever
// the verdict on it; it asks nobody.
func (x *Exchange) Released(ctx context.Context, ref string) (bool, error) {
	t, err := x.parseTarget(ref)
	if err == nil {
		t, err = x.follow(t)
	}
	if err != nil {
		return false, err
	}
	records, err := x.recordsHere(ctx, t)
	return len(records) > 0, err
}
