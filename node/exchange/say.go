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
}

// say appends a statement to this author's log and gossips it, unless the log
// says the same: said tells where, if it does.
func (x *Exchange) say(ctx context.Context, st ledger.Statement, said func() (uint64, bool, error)) (Said, error) {
	out, p, err := x.sayLocked(ctx, st, said)
	if p != nil {
		x.gossip(ctx, p)
	}
	return out, err
}

// sayLocked gives the entry as soon as it is in the log, even beside an error.
func (x *Exchange) sayLocked(ctx context.Context, st ledger.Statement, said func() (uint64, bool, error)) (Said, *ledger.Proved, error) {
	x.publish.Lock()
	defer x.publish.Unlock()
	out := Said{Type: st.Type(), What: says(st), Author: string(x.Me.ID)}
	var err error
	if out.Entry, out.Existed, err = said(); err != nil || out.Existed {
		return out, nil, err
	}
	p, err := x.Ledger.Append(ctx, x.Me.ID, []ledger.Key{x.Me.Key}, st)
	if err != nil {
		return out, nil, spaceError(badEntry(err))
	}
	out.Entry = p.Index
	return out, p, x.indexOwn(ctx, p)
}

// unsaid is for what may be said again.
func unsaid() (uint64, bool, error) { return 0, false, nil }
