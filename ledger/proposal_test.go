package ledger_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/ledgertest"
)

// team are three keys, two of which must sign, with their next keys.
func team(n uint64) (keys, next []ledger.Key, set ledger.KeySet) {
	set = ledger.KeySet{Threshold: 2, NextThreshold: 2}
	for i := range uint64(3) {
		keys, next = append(keys, ledgertest.Key(n+i)), append(next, ledgertest.Key(n+10+i))
		set.Keys = append(set.Keys, keys[i].Public())
		set.Next = append(set.Next, next[i].Public().Fingerprint())
	}
	return keys, next, set
}

// passOn is what the next holder of a key gets to see.
func passOn(t testing.TB, p *ledger.Proposal) *ledger.Proposal {
	t.Helper()
	back, err := ledger.DecodeProposal(p.Encode())
	if err != nil || !bytes.Equal(back.Encode(), p.Encode()) {
		t.Fatalf("the proposal does not come back: %v", err)
	}
	return back
}

func mustSignProposal(t testing.TB, p *ledger.Proposal, key ledger.Key) *ledger.Proposal {
	t.Helper()
	p = passOn(t, p)
	if changed, err := p.Sign(key); err != nil || !changed {
		t.Fatalf("signing: %v, %v", changed, err)
	}
	return p
}

func mustAppendProposal(t testing.TB, l *ledger.Ledger, p *ledger.Proposal) *ledger.Proved {
	t.Helper()
	proved, err := l.AppendProposal(t.Context(), passOn(t, p))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := proved.Verify(); err != nil {
		t.Fatal(err)
	}
	return proved
}

// newTeam begins the log of a team: one proposes, another signs, and the one
// appends.
func newTeam(t testing.TB) (*ledger.Ledger, ledger.AuthorID, []ledger.Key, []ledger.Key) {
	t.Helper()
	keys, next, set := team(1)
	in := ledger.Inception{Network: "public", Keys: set.Keys, Threshold: 2, Next: set.Next, NextThreshold: 2}
	p, err := ledger.ProposeInception(in, keys[0])
	if err != nil {
		t.Fatal(err)
	}
	l := ledger.New(ledger.NewMem(), "public")
	if _, err := l.AppendProposal(t.Context(), p); !errors.Is(err, ledger.ErrUnsigned) {
		t.Errorf("with one of two signatures: %v, want ErrUnsigned", err)
	}
	p = mustSignProposal(t, p, keys[2]) // and the checkpoint
	if _, err := l.AppendProposal(t.Context(), p); !errors.Is(err, ledger.ErrUnsigned) {
		t.Errorf("with one of two signatures of the checkpoint: %v, want ErrUnsigned", err)
	}
	p = mustSignProposal(t, p, keys[0])
	return l, mustAppendProposal(t, l, p).Author(), keys, next
}

func TestProposals(t *testing.T) {
	t.Parallel()
	l, author, keys, next := newTeam(t)
	r := ledgertest.Release("app", "1.0", 0)
	if _, err := l.AppendRelease(t.Context(), author, keys[0], r); !errors.Is(err, ledger.ErrBadSignature) {
		t.Errorf("a release by one of two: %v", err)
	}
	p, err := l.Propose(t.Context(), author, &r, keys[1])
	if err != nil {
		t.Fatal(err)
	}
	stale := passOn(t, p)
	p = mustSignProposal(t, p, keys[0])
	if said, err := p.Verify(); err != nil || !said.IsSigned() || said.IsComplete() || len(said.Signed) != 2 || len(said.Confirmed) != 1 || said.Entry.Release.Tag != "1.0" {
		t.Errorf("half way: %+v, %v", said, err)
	}
	if changed, err := p.Sign(keys[0]); err != nil || changed {
		t.Errorf("signing twice: %v, %v", changed, err)
	}
	p = mustSignProposal(t, p, keys[2]) // anybody may confirm
	mustAppendProposal(t, l, p)
	for _, k := range []ledger.Key{keys[0], keys[1]} {
		if _, err := stale.Sign(k); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := stale.Sign(keys[1]); err != nil {
		t.Fatal(err)
	}
	if _, err := l.AppendProposal(t.Context(), stale); !errors.Is(err, ledger.ErrConflict) {
		t.Errorf("a second entry 1: %v, want ErrConflict", err)
	}

	// A change of keys is signed by the next ones.
	newer := ledger.KeySet{Threshold: 2, NextThreshold: 1, Next: []string{ledgertest.Key(50).Public().Fingerprint()}}
	for _, k := range next {
		newer.Keys = append(newer.Keys, k.Public())
	}
	newer.Keys = append(newer.Keys, ledgertest.Key(40).Public())
	p, err = l.Propose(t.Context(), author, &ledger.Rotate{KeySet: newer}, next[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Sign(keys[0]); !errors.Is(err, ledger.ErrBadSignature) {
		t.Errorf("an old key signs a rotation: %v", err)
	}
	p = mustSignProposal(t, p, ledgertest.Key(40)) // who was not committed to
	if said, err := p.Verify(); err != nil || said.IsSigned() || said.Committed != 1 || said.MustChange != 2 {
		t.Errorf("a rotation by one of those committed to: %+v, %v", said, err)
	}
	p = mustSignProposal(t, p, next[1])
	p = mustSignProposal(t, p, next[0])
	mustAppendProposal(t, l, p)
	if now, err := l.Keys(author); err != nil || !slices.Equal(now.Keys, newer.Keys) {
		t.Errorf("after the rotation: %+v, %v", now, err)
	}
	mustBeSound(t, l, author)
}

// TestProposalsOfStrangers: what does not continue the author's log, or is signed
// by others, is refused by whoever is asked to sign it.
func TestProposalsOfStrangers(t *testing.T) {
	t.Parallel()
	l, author, keys, _ := newTeam(t)
	r := ledgertest.Release("app", "1.0", 0)
	good, err := l.Propose(t.Context(), author, &r, keys[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Propose(t.Context(), author, &r, ledgertest.Key(99)); !errors.Is(err, ledger.ErrBadSignature) {
		t.Errorf("proposed by a stranger: %v", err)
	}
	if _, err := l.Propose(t.Context(), ledger.AuthorIDOf(nil), &r, keys[0]); !errors.Is(err, ledger.ErrUnknownAuthor) {
		t.Errorf("proposed for nobody: %v", err)
	}
	other, theirs := newLog(t, ledgertest.Key(77), 2)
	for name, spoil := range map[string]func(p *ledger.Proposal){
		"another edge":      func(p *ledger.Proposal) { p.Edge[0][3]++ },
		"no edge":           func(p *ledger.Proposal) { p.Edge = nil },
		"another log":       func(p *ledger.Proposal) { p.Last = prove(t, other, theirs, 2) },
		"not the last":      func(p *ledger.Proposal) { p.Last = prove(t, other, theirs, 1) },
		"no log":            func(p *ledger.Proposal) { p.Last = nil },
		"inception again":   func(p *ledger.Proposal) { p.Entry = p.Last.Inception },
		"early checkpoint":  func(p *ledger.Proposal) { p.Checkpoint = p.Last.Checkpoint },
		"another signature": func(p *ledger.Proposal) { p.Entry = bytes.Replace(p.Entry, []byte(`"sig":"`), []byte(`"sig":"A`), 1) },
	} {
		p := passOn(t, good)
		spoil(p)
		before := p.Encode()
		if _, err := p.Sign(keys[1]); err == nil || !bytes.Equal(before, p.Encode()) {
			t.Errorf("%s: signed, %v", name, err)
		}
	}
	complete := mustSignProposal(t, mustSignProposal(t, good, keys[1]), keys[0])
	encoded := complete.Encode()
	for i := 0; i < len(encoded); i += 3 {
		bad := bytes.Clone(encoded)
		bad[i] ^= 1 << (i % 8)
		p, err := ledger.DecodeProposal(bad)
		if err != nil {
			continue
		}
		if said, err := p.Verify(); err == nil && said.IsComplete() {
			t.Errorf("byte %d changed, near %q, and nobody noticed", i, bad[max(0, i-20):i+1])
		}
	}
}

func FuzzDecodeProposal(f *testing.F) {
	l, author, keys, _ := newTeam(f)
	r := ledgertest.Release("app", "1.0", 0)
	p, err := l.Propose(f.Context(), author, &r, keys[0])
	if err != nil {
		f.Fatal(err)
	}
	f.Add(p.Encode())
	f.Add(mustSignProposal(f, p, keys[1]).Encode())
	f.Add([]byte(`{"entry":{}}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		p, err := ledger.DecodeProposal(in)
		if err != nil {
			return
		}
		if !bytes.Equal(p.Encode(), in) {
			t.Errorf("%q re-encodes to %q", in, p.Encode())
		}
		if said, err := p.Verify(); err == nil && said.IsComplete() {
			t.Errorf("%q is complete", in)
		}
	})
}
