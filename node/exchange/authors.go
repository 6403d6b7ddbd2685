package exchange

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/dockchains/dockchain/ledger"
)

// AuthorFiles keeps the keys of this node's author. Each key is on the disk
// before anything is signed that names it, so that a crash at any point leaves
// what Settle needs.
type AuthorFiles interface {
	// Next is the key that the last key event committed to.
	Next() (ledger.Key, error)
	// Upcoming is the key after that; the same one until Settle puts it in the
	// place of Next.
	Upcoming() (ledger.Key, error)
	// Settle makes the files those of the keys that speak for the author, and
	// gives the one that signs.
	Settle(ledger.KeyState) (ledger.Key, error)
}

// AuthorStatus is who speaks for an author, as far as this node knows its log.
type AuthorStatus struct {
	Author        string   `json:"author"`
	Keys          []string `json:"keys"` // fingerprints
	Threshold     int      `json:"threshold"`
	Next          []string `json:"next"` // fingerprints; none: the keys can never change
	NextThreshold int      `json:"next_threshold"`
	Size          uint64   `json:"size"` // entries of the log
	// Work is what its inception is worth, and Vouches how many trusted authors
	// speak for it. Room and Used are bytes: what it may keep here, 0 for an author
	// without limits, and what it does.
	Work    int    `json:"work"`
	Vouches int    `json:"vouches"`
	Room    int64  `json:"room"`
	Used    int64  `json:"used"`
	Retired bool   `json:"retired"`
	Frozen  string `json:"frozen,omitempty"`
	CanSign bool   `json:"can_sign"` // the key is here

	RevokedKeys []RevokedKey `json:"revoked_keys,omitempty"`
	Vouchers    []Voucher    `json:"vouchers,omitempty"`    // who speaks for the author
	VouchesFor  []Voucher    `json:"vouches_for,omitempty"` // for whom the author speaks
}

// RevokedKey is a key whose signatures count for nothing after an entry.
type RevokedKey struct {
	Key       string `json:"key"`        // fingerprint
	Entry     uint64 `json:"entry"`      // that says so
	LastValid uint64 `json:"last_valid"` // entry
}

// Keys of a log's state (package ledger) that say so.
const (
	stateRetired    = "retired"
	stateRevokedKey = "revoked/key/" // + fingerprint
)

// Author tells who speaks for an author.
func (x *Exchange) Author(ctx context.Context, name string) (AuthorStatus, error) {
	author, head, err := x.logOf(name)
	if err != nil {
		return AuthorStatus{}, err
	}
	keys, err := x.Ledger.Keys(author)
	if err != nil {
		return AuthorStatus{}, err
	}
	s := AuthorStatus{
		Author: string(author), Keys: []string{}, Threshold: keys.Threshold,
		Next: append([]string{}, keys.Next...), NextThreshold: keys.NextThreshold, Size: head.Size,
	}
	for _, k := range keys.Keys {
		s.Keys = append(s.Keys, k.Fingerprint())
	}
	if err := x.describeRoom(ctx, author, &s); err != nil {
		return AuthorStatus{}, err
	}
	if s.Retired, err = x.isRetired(author); err != nil {
		return AuthorStatus{}, err
	}
	if s.Frozen, err = x.frozen(author); err != nil {
		return AuthorStatus{}, err
	}
	if err := x.regard(ctx, author, &s); err != nil {
		return AuthorStatus{}, err
	}
	if author == x.Me.ID {
		x.publish.Lock()
		s.CanSign = keys.Has(x.Me.Key.Public()) && !s.Retired && s.Frozen == ""
		x.publish.Unlock()
	}
	return s, nil
}

// regard adds the keys that the author revoked, and who speaks for whom.
func (x *Exchange) regard(ctx context.Context, author ledger.AuthorID, s *AuthorStatus) (err error) {
	items, err := x.Ledger.States(author)
	if err != nil {
		return err
	}
	for _, it := range items {
		key, ok := strings.CutPrefix(it.Key, stateRevokedKey)
		if !ok {
			continue
		}
		var v struct{ Index, LastValid uint64 }
		if err := json.Unmarshal(it.Value, &v); err != nil {
			return fmt.Errorf("reading the state of the log: %w", err)
		}
		s.RevokedKeys = append(s.RevokedKeys, RevokedKey{key, v.Index, v.LastValid})
	}
	if s.Vouchers, err = x.vouchersFor(author); err != nil {
		return err
	}
	s.VouchesFor, err = x.vouchesBy(ctx, author)
	return err
}

func (x *Exchange) isRetired(author ledger.AuthorID) (bool, error) {
	_, err := x.Store.Ledgers().State(author, stateRetired)
	if errors.Is(err, ledger.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// RotateKeys makes the next key the one that signs, and commits to a new next
// one.
func (x *Exchange) RotateKeys(ctx context.Context) (AuthorStatus, error) {
	return x.changeKeys(ctx, true, func(next ledger.Key, to ledger.KeySet) (*ledger.Proved, error) {
		return x.Ledger.Rotate(ctx, x.Me.ID, []ledger.Key{next}, to)
	})
}

// RetireAuthor ends this author's log, for good.
func (x *Exchange) RetireAuthor(ctx context.Context) (AuthorStatus, error) {
	return x.changeKeys(ctx, false, func(next ledger.Key, _ ledger.KeySet) (*ledger.Proved, error) {
		return x.Ledger.Retire(ctx, x.Me.ID, []ledger.Key{next})
	})
}

// changeKeys writes a key event that the next key signs. What happens after it
// is in the log, a crash included, the files follow at the next start.
func (x *Exchange) changeKeys(ctx context.Context, successor bool, write func(next ledger.Key, to ledger.KeySet) (*ledger.Proved, error)) (AuthorStatus, error) {
	p, err := x.changeKeysLocked(ctx, successor, write)
	if p != nil {
		x.gossip(ctx, p)
	}
	if err != nil {
		return AuthorStatus{}, spaceError(badEntry(err))
	}
	return x.Author(ctx, SelfAuthor)
}

// changeKeysLocked gives the key event as soon as it is in the log, even beside
// an error.
func (x *Exchange) changeKeysLocked(ctx context.Context, successor bool, write func(next ledger.Key, to ledger.KeySet) (*ledger.Proved, error)) (*ledger.Proved, error) {
	x.publish.Lock()
	defer x.publish.Unlock()
	if err := x.assure(ctx); err != nil {
		return nil, err
	}
	switch retired, err := x.isRetired(x.Me.ID); {
	case err != nil:
		return nil, err
	case retired:
		return nil, ledger.ErrRetired
	}
	if err := x.mayAlone(true); err != nil {
		return nil, err
	}
	next, err := x.Me.Files.Next()
	if err != nil {
		return nil, fmt.Errorf("reading the next key: %w", err)
	}
	to := ledger.KeySet{Keys: []ledger.PublicKey{next.Public()}, Threshold: 1}
	if successor {
		upcoming, err := x.Me.Files.Upcoming()
		if err != nil {
			return nil, fmt.Errorf("making the key after the next: %w", err)
		}
		to.Next, to.NextThreshold = []string{upcoming.Public().Fingerprint()}, 1
	}
	frozen := x.isFrozen(x.Me.ID)
	p, err := write(next, to)
	if err != nil {
		return nil, err
	}
	x.Me.Key = next
	keys, err := x.Ledger.Keys(x.Me.ID)
	if err == nil {
		_, err = x.Me.Files.Settle(keys)
	}
	if frozen {
		return p, errors.Join(err, x.refold(ctx, x.Me.ID))
	}
	return p, errors.Join(err, x.indexOwn(ctx, p))
}

// indexOwn indexes a new entry of this author. The log has it, so that no end of
// ctx keeps the index from having it.
func (x *Exchange) indexOwn(ctx context.Context, p *ledger.Proved) error {
	_, err := x.indexLog(context.WithoutCancel(ctx), x.Me.ID, p.Index, p.Index+1)
	return err
}

// gossip tells of a new entry that is no release. Who does not hear of it learns
// it by comparing logs.
func (x *Exchange) gossip(ctx context.Context, p *ledger.Proved) {
	if x.Net == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), announceWait)
	defer cancel()
	if err := x.Net.Publish(ctx, p.Encode()); err != nil {
		x.log.Debug("not announced", "what", "entry", "index", p.Index, "err", err)
	}
}

// badEntry says of what the ledger does not take that the request was bad.
func badEntry(err error) error {
	if errors.Is(err, ledger.ErrBadEntry) {
		return fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	return err
}
