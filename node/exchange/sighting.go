package exchange

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/policy"
)

// Sighted is what the witnesses of this node's policy have seen of an image's
// release, or of an author's log.
type Sighted struct {
	Author    string            `json:"author"`
	Entry     *uint64           `json:"entry,omitempty"` // the release; absent: the log was asked for
	LogSize   uint64            `json:"log_size"`        // entries here
	Size      uint64            `json:"size"`            // of what they cosigned; 0: nothing
	Time      *time.Time        `json:"time,omitempty"`  // the median
	Policy    bool              `json:"policy"`          // this node has one
	Required  bool              `json:"required"`        // and insists on it
	Asked     int               `json:"asked"`           // how many of the quorum have seen it,
	Of        int               `json:"of"`              // and how many it has
	Unknown   int               `json:"unknown"`         // cosignatures by others, which count for nothing
	Quorum    bool              `json:"quorum"`          // enough of them, and lately enough
	Why       string            `json:"why"`             // in a sentence
	Witnesses []SightingWitness `json:"witnesses"`       // all of the policy, in its order
}

// SightingWitness is a witness of the policy.
type SightingWitness struct {
	Name string     `json:"name"`           // in the policy
	Key  string     `json:"key"`            // C2SP vkey
	Time *time.Time `json:"time,omitempty"` // when it cosigned; absent: it has not
}

// Sighting tells what witnesses have seen of a release or, where the target is
// the name or the id of an author, of a log. Where that is not enough they are
// asked now, as for a fetch.
func (x *Exchange) Sighting(ctx context.Context, text string) (Sighted, error) {
	author, entry, err := x.sightingOf(ctx, text)
	if err != nil {
		return Sighted{}, err
	}
	head, err := x.Ledger.Head(author)
	if errors.Is(err, ledger.ErrUnknownAuthor) {
		err = fmt.Errorf("%w: the log of %s is not here", ErrNotFound, text)
	}
	if err != nil {
		return Sighted{}, err
	}
	need := uint64(1)
	if entry != nil {
		need = *entry + 1
	}
	s, err := x.sighting(author, need)
	if err == nil && (s.Wrong != nil || !s.Quorum) && len(x.witnesses.clients) > 0 {
		s, err = x.askedSighting(ctx, author, need, head.Size-1)
	}
	if err != nil {
		return Sighted{}, err
	}
	if head, err = x.Ledger.Head(author); err != nil { // asking may have brought more of it
		return Sighted{}, err
	}
	out := x.sighted(s)
	out.Author, out.Entry, out.LogSize = string(author), entry, head.Size
	return out, nil
}

// sightingOf is the author, and the entry of the release, that a text means.
func (x *Exchange) sightingOf(ctx context.Context, text string) (ledger.AuthorID, *uint64, error) {
	if !strings.ContainsAny(text, "/:") {
		author, err := x.resolveAuthor(text)
		return author, nil, err
	}
	t, err := x.movedTarget(text)
	if err != nil {
		return "", nil, err
	}
	records, err := x.recordsHere(ctx, t)
	if err != nil {
		return "", nil, err
	}
	if len(records) == 0 {
		return "", nil, fmt.Errorf("%w: nobody is known here to have released %s", ErrNotFound, text)
	}
	return records[0].Author, &records[0].Index, nil
}

// askedSighting is a sighting after the witnesses were asked.
func (x *Exchange) askedSighting(ctx context.Context, author ledger.AuthorID, need, last uint64) (policy.Sighting, error) {
	unlock, err := x.sought.lock(ctx, string(author))
	if err != nil {
		return policy.Sighting{}, err
	}
	defer unlock()
	p, err := x.Ledger.Prove(ctx, author, last)
	if err != nil {
		return policy.Sighting{}, err
	}
	if _, err := x.seekCosignatures(ctx, p); err != nil {
		x.log.Debug("not all witnesses cosigned", "author", author, "err", err)
	}
	return x.sighting(author, need)
}

func (x *Exchange) sighted(s policy.Sighting) Sighted {
	_, _, why := x.Rule.Witnessed(s.Signed)
	out := Sighted{
		Policy: x.Rule.Policy != nil, Required: x.Rule.Required, Asked: s.Asked, Of: s.Of, Unknown: s.Unknown,
		Quorum: x.Rule.Policy != nil && s.Quorum && s.Wrong == nil, Why: why, Witnesses: []SightingWitness{},
	}
	if len(s.Seen) > 0 {
		out.Size = s.Checkpoint.Size
	}
	if !s.Time.IsZero() {
		out.Time = &s.Time
	}
	if !out.Policy {
		return out
	}
	for _, w := range x.Rule.Policy.Witnesses {
		sw := SightingWitness{Name: w.Name, Key: w.Key.String()}
		for _, c := range s.Seen {
			if c.Witness.Name == w.Name {
				sw.Time = &c.Time
			}
		}
		out.Witnesses = append(out.Witnesses, sw)
	}
	return out
}
