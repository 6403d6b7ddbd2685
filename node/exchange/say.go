package exchange

import (
	"context"

	"github.com/dockchains/dockchain/ledger"
)

// Said is what it gives to say something in this author's log.
type Said struct {
	Type    string `json:"type"` // of the entry
	What    string `json:"what"` // what it says, in a line
	Author  string `json:"author"`
	Entry   uint64 `json:"entry"`
	Existed bool   `json:"existed,omitempty"` // the log said so already
	// Proposal, for others to sign, is what was made in the place of an entry.
	Proposal string `json:"proposal,omitempty"`
}

// Way is how something is said.
type Way struct {
	Propose bool `json:"propose,omitempty"` // make a proposal for others to sign, and append nothing
}

// say appends a statement to this author's log and gossips it, unless the log
// says the same: said tells where, if it does.
func (x *Exchange) say(ctx context.Context, st ledger.Statement, way Way, said func() (uint64, bool, error)) (Said, error) {
	out, p, err := x.sayLocked(ctx, st, way, said)
	if p != nil {
		x.gossip(ctx, p)
	}
	return out, err
}

// sayLocked gives the entry as soon as it is in the log, even beside an error.
func (x *Exchange) sayLocked(ctx context.Context, st ledger.Statement, way Way, said func() (uint64, bool, error)) (Said, *ledger.Proved, error) {
	x.publish.Lock()
	defer x.publish.Unlock()
	out := Said{Type: st.Type(), What: says(st), Author: string(x.Me.ID)}
	err := x.assure(ctx)
	if err != nil {
		return out, nil, err
	}
	if out.Entry, out.Existed, err = said(); err != nil || out.Existed {
		return out, nil, err
	}
	if way.Propose {
		out, err := x.propose(ctx, st, x.Me.Key)
		return out, nil, err
	}
	if err := x.mayAlone(false); err != nil {
		return out, nil, err
	}
	p, err := x.Ledger.Append(ctx, x.Me.ID, []ledger.Key{x.Me.Key}, st)
	if err != nil {
		return out, nil, spaceError(badEntry(err))
	}
	out.Entry = p.Index
	return out, p, x.indexOwn(ctx, p)
}
