package exchange

import (
	"crypto/rand"
	"errors"
	"log/slog"
	"testing"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/evidence"
	"github.com/dockchains/dockchain/reputation"
)

// rotated is an author who rotated once: the log goes on under other keys.
type rotated struct {
	t         *testing.T
	inception ledger.Inception
	old, next ledger.Key
	id        ledger.AuthorID
}

func newRotated(t *testing.T) *rotated {
	t.Helper()
	r := &rotated{t: t}
	for _, k := range []*ledger.Key{&r.old, &r.next} {
		var err error
		if *k, err = ledger.GenerateKey(rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	r.inception = ledger.Inception{
		Network: "public", Keys: []ledger.PublicKey{r.old.Public()}, Threshold: 1,
		Next: []string{r.next.Public().Fingerprint()}, NextThreshold: 1,
	}
	return r
}

// history begins a log of the author with releases of these tags; "rotate" is
// the rotation.
func (r *rotated) history(tags ...string) *author {
	r.t.Helper()
	a := &author{ledger: ledger.New(ledger.NewMem(), "public"), key: r.old}
	var err error
	if a.id, err = a.ledger.Incept(r.t.Context(), r.inception, r.old); err != nil {
		r.t.Fatal(err)
	}
	r.id = a.id
	for _, tag := range tags {
		if tag != "rotate" {
			a.release(r.t, tag, anInfohash)
			continue
		}
		to := ledger.KeySet{Keys: []ledger.PublicKey{r.next.Public()}, Threshold: 1}
		if _, err := a.ledger.Rotate(r.t.Context(), a.id, []ledger.Key{r.next}, to); err != nil {
			r.t.Fatal(err)
		}
		a.key = r.next
	}
	return a
}

// against makes evidence of the last entry of one history against another.
func against(t *testing.T, ours, theirs *author) []byte {
	t.Helper()
	head, err := theirs.ledger.Head(theirs.id)
	if err != nil {
		t.Fatal(err)
	}
	p, err := theirs.ledger.Prove(t.Context(), theirs.id, head.Size-1)
	if err != nil {
		t.Fatal(err)
	}
	proof, err := evidence.FromProved(t.Context(), ours.ledger, p)
	if err != nil {
		t.Fatal(err)
	}
	b, err := proof.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Whoever stole keys that were replaced since cannot have the log frozen that
// goes on under the new ones; who has the keys in use can.
func TestReplacedKeysConvictNobody(t *testing.T) {
	t.Parallel()
	r := newRotated(t)
	ours := r.history("1", "rotate", "2")
	x := newListener(t)
	x.Ledger = ours.ledger
	stolen := against(t, ours, r.history("stolen"))
	if got := x.JudgeEvidence(t.Context(), "thief", stolen); got != Ignore || x.isFrozen(r.id) {
		t.Errorf("a history under stolen keys that were replaced: judged %v, frozen %v", got, x.isFrozen(r.id))
	}
	forked := against(t, ours, r.history("1", "rotate", "other"))
	if got := x.JudgeEvidence(t.Context(), "peer", forked); got != Accept || !x.isFrozen(r.id) {
		t.Errorf("two histories under the keys in use: judged %v, frozen %v", got, x.isFrozen(r.id))
	}
	if got := x.JudgeEvidence(t.Context(), "peer", forked); got != Ignore {
		t.Errorf("the same again: judged %v", got)
	}
	if _, err := ours.ledger.Append(t.Context(), r.id, []ledger.Key{r.next}, &ledger.Revoke{Repo: "app", Tag: "1"}); !errors.Is(err, ledger.ErrFrozen) {
		t.Errorf("signing in a frozen log: %v", err)
	}
}

// Evidence about an author of whom nothing is here is kept by nobody.
func TestEvidenceAboutStrangers(t *testing.T) {
	t.Parallel()
	r := newRotated(t)
	proof := against(t, r.history("1"), r.history("2"))
	x := &Exchange{
		Config: Config{Ledger: ledger.New(ledger.NewMem(), "public"), Reputation: reputation.New(reputation.Config{})},
		log:    slog.New(slog.DiscardHandler), holdings: newHoldings(), limits: defaultLimits(t),
	}
	if got := x.JudgeEvidence(t.Context(), "peer", proof); got != Ignore || x.isFrozen(r.id) {
		t.Errorf("judged %v, frozen %v", got, x.isFrozen(r.id))
	}
	x.Ledger = ledger.New(ledger.NewMem(), "other")
	if got := x.JudgeEvidence(t.Context(), "peer", proof); got != Reject {
		t.Errorf("of another network: judged %v", got)
	}
}
