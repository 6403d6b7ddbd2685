package exchange

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/dockchains/dockchain/ledger"
)

// Bounds of the list in WitnessStatus.
const (
	defaultCosigned = 100
	maxCosigned     = 1000
)

// CosignedRequest asks for a part of what this node cosigned.
type CosignedRequest struct {
	After string // origin; "": from the first
	Limit int    // default 100, at most 1,000
}

// WitnessStatus is this node as a witness, and the witnesses that it asks.
type WitnessStatus struct {
	Key      string     `json:"key"`              // as a policy has it (C2SP vkey)
	Address  string     `json:"address"`          // as a policy has it; empty without a network
	Policy   string     `json:"policy,omitempty"` // this node's own
	Cosigned []Cosigned `json:"cosigned"`         // by origin
}

// Cosigned is the newest checkpoint of a log that this node cosigned.
type Cosigned struct {
	Origin string    `json:"origin"`
	Author string    `json:"author,omitempty"` // whose log it is, as this user calls them
	Size   uint64    `json:"size"`
	Root   string    `json:"root"` // base64, as in checkpoints
	Time   time.Time `json:"time"`
}

// WitnessStatus tells what others need to make this node their witness, and what
// it cosigned.
func (x *Exchange) WitnessStatus(ctx context.Context, req CosignedRequest) (WitnessStatus, error) {
	s := WitnessStatus{Cosigned: []Cosigned{}}
	if x.Witness == nil {
		return s, fmt.Errorf("%w: this node is no witness", ErrNotFound)
	}
	limit := defaultCosigned
	if req.Limit > 0 {
		limit = min(req.Limit, maxCosigned)
	}
	s.Key = x.Witness.Key().String()
	if x.Net != nil {
		s.Address = PeerScheme + x.Net.ID().String()
	}
	if x.Rule.Policy != nil {
		s.Policy = string(x.Rule.Policy.Encode())
	}
	records, err := x.Store.Witness().Records(ctx, req.After, limit)
	for _, r := range records {
		s.Cosigned = append(s.Cosigned, Cosigned{
			Origin: r.Origin, Author: x.authorOf(r.Origin), Size: r.Record.Size, Root: base64.StdEncoding.EncodeToString(r.Record.Root[:]),
			Time: time.Unix(r.Record.Time, 0).UTC(),
		})
	}
	return s, err
}

// authorOf is the author of a log as this user calls them, "" where the origin
// names none.
func (x *Exchange) authorOf(origin string) string {
	_, name, _ := strings.Cut(origin, "/l/")
	author, err := ledger.ParseAuthorID(name)
	if err != nil {
		return ""
	}
	return x.nameOf(author)
}
