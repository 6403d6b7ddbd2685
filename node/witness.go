package node

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/note"
	"github.com/dockchains/dockchain/ledger/policy"
	"github.com/dockchains/dockchain/ledger/witness"
	"github.com/dockchains/dockchain/node/exchange"
)

// openWitness makes this node a witness of the logs that it has, with a key that
// is made at the first call and signs nothing else.
func (n *Node) openWitness(late *atomic.Pointer[exchange.Exchange]) (err error) {
	key, err := loadOrCreateKey(n.cfg.witnessKey())
	if err != nil {
		return err
	}
	n.witness, err = witness.New(witness.Config{
		Name: n.cfg.Network + "/w/" + key.Public().Fingerprint()[:16],
		Key:  key, Logs: witness.Authors(n.ledger), Store: n.store.Witness(), Now: n.cfg.Now,
		Fork: func(origin string, _, theirs []byte) {
			if x := late.Load(); x != nil {
				x.Contradicted(context.Background(), origin, theirs)
			}
		},
		GivenUp: n.gaveUp,
	})
	return err
}

// gaveUp tells whether the author of what was cosigned has decided for another
// history, which is here.
func (n *Node) gaveUp(ctx context.Context, origin string, r witness.Record) bool {
	_, name, _ := strings.Cut(origin, "/l/")
	author, err := ledger.ParseAuthorID(name)
	if err != nil {
		return false
	}
	p, err := n.ledger.Prove(ctx, author, 0)
	if err != nil {
		return false
	}
	_, c, err := p.Verify()
	if err != nil {
		return false
	}
	keys, err := p.KeysAt(c.Size)
	if err != nil {
		return false
	}
	if root, err := n.ledger.RootAt(author, r.Size); err == nil && root == r.Root {
		return false // it is of the log here
	}
	var signers ledger.KeyState
	if _, err := ledger.ParseCheckpoint(r.Checkpoint, origin, keys); err == nil {
		signers = keys
	}
	given, err := n.ledger.GivenUp(author, r.Size, signers)
	return err == nil && given
}

// WitnessKey is what a policy names this node by as a witness.
func (n *Node) WitnessKey() note.Key { return n.witness.Key() }

// witnessRule reads the policy of witnesses, if there is one.
func (c Config) witnessRule() (policy.Rule, error) {
	r := policy.Rule{Required: c.RequireWitnesses, MaxAge: c.WitnessMaxAge, Now: c.Now}
	if c.Policy == "" {
		return r, nil
	}
	b, err := os.ReadFile(c.Policy)
	if err != nil {
		return r, err
	}
	r.Policy, err = policy.Parse(b)
	if err != nil {
		return r, fmt.Errorf("reading %s: %w", c.Policy, err)
	}
	return r, nil
}
