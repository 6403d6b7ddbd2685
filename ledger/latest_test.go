package ledger_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/ledgertest"
	"github.com/dockchains/dockchain/ledger/statemap"
)

func latest(t testing.TB, l *ledger.Ledger, author ledger.AuthorID, tag string) *ledger.Latest {
	t.Helper()
	p, err := l.ProveLatest(t.Context(), author, "app", tag)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// history is a log with releases, a rotation and revocations that hit nothing
// of app:1 but do of others.
func latestHistory(t testing.TB) (*ledger.Ledger, ledger.AuthorID) {
	t.Helper()
	l := ledger.New(ledger.NewMem(), "public")
	author := rotating(t, l)
	ledgertest.Append(t, l, author, ledgertest.Key(1), "app", "1", 0)
	ledgertest.Append(t, l, author, ledgertest.Key(1), "app", "1", 1) // entry 2
	ledgertest.Append(t, l, author, ledgertest.Key(1), "app", "2", 0)
	mustRotate(t, l, author, set(ledgertest.Key(3), ledgertest.Key(2)), ledgertest.Key(2))
	mustAppend(t, l, author, ledgertest.Key(2), &ledger.Revoke{Repo: "app", Tag: "2", Reason: "it was bad"})
	mustAppend(t, l, author, ledgertest.Key(2), &ledger.Revoke{Key: ledgertest.Key(1).Public().Fingerprint(), LastValid: 2})
	return l, author
}

func TestProveLatest(t *testing.T) {
	t.Parallel()
	l, author := latestHistory(t)
	for _, step := range []func(){
		func() {},
		func() { ledgertest.Append(t, l, author, ledgertest.Key(2), "other", "1", 0) },
		func() { mustRotate(t, l, author, set(ledgertest.Key(4), ledgertest.Key(3)), ledgertest.Key(3)) },
		func() { ledgertest.Append(t, l, author, ledgertest.Key(3), "app", "2", 5) },
	} {
		step()
		good := latest(t, l, author, "1")
		back, err := ledger.DecodeLatest(good.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(good.Encode(), back.Encode()); diff != "" || !json.Valid(good.Encode()) {
			t.Errorf("re-encodes otherwise: %s", diff)
		}
		e, c, err := back.Verify()
		if err != nil || e.Index != 2 || e.Release.Tag != "1" || e.Author != author || c.Size != size(t, l, author) {
			t.Errorf("%+v under %+v, %v", e, c, err)
		}
	}
	if e, _, err := latest(t, l, author, "2").Verify(); err != nil || e.Index != size(t, l, author)-1 {
		t.Errorf("what was released again after a revocation: %+v, %v", e, err)
	}
	for tag, want := range map[string]error{"1": nil, "nowhere": ledger.ErrNotFound} {
		if _, err := l.ProveLatest(t.Context(), author, "app", tag); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", tag, err, want)
		}
	}
	if _, err := l.ProveLatest(t.Context(), ledger.AuthorIDOf(nil), "app", "1"); !errors.Is(err, ledger.ErrUnknownAuthor) {
		t.Errorf("an unknown author: %v", err)
	}
}

// TestTagRollback: an old release is in the log for ever, and still is not the
// latest. (Threat table.)
func TestTagRollback(t *testing.T) {
	t.Parallel()
	l, author := latestHistory(t)
	old := prove(t, l, author, 1)
	wantRule(t, l, old, ledger.RuleLatest, true, "in entry 2")
	wantRule(t, l, prove(t, l, author, 2), ledger.RuleLatest, true, "It is the latest")
	p := latest(t, l, author, "1")
	p.Release = ledger.KeyEvent{Index: 1, Entry: old.Entry, Proof: old.Proof}
	if _, _, err := p.Verify(); !errors.Is(err, ledger.ErrBadProof) {
		t.Errorf("the old release for the latest: %v, want ErrBadProof", err)
	}
	// With a tag item of its own making, it does not fit the root.
	e, _, err := old.Verify()
	if err != nil {
		t.Fatal(err)
	}
	forged, err := json.Marshal(map[string]any{"digest": e.Release.Image.Digest, "infohash": e.Release.Infohash, "index": 1})
	if err != nil {
		t.Fatal(err)
	}
	p.Tag.Value = forged
	if _, _, err := p.Verify(); !errors.Is(err, ledger.ErrBadProof) {
		t.Errorf("with a tag item of its own: %v, want ErrBadProof", err)
	}
	// An older proof says as of when, and is contradicted by no one else's word.
	older := latest(t, l, author, "1")
	ledgertest.Append(t, l, author, ledgertest.Key(2), "app", "1", 9)
	if _, c, err := older.Verify(); err != nil || c.Size != 7 {
		t.Errorf("as of %d entries, %v", c.Size, err)
	}
	mixed := *latest(t, l, author, "1")
	mixed.Last = older.Last
	if _, _, err := mixed.Verify(); err == nil {
		t.Error("parts of two proofs were accepted as one")
	}
}

// TestRollback: what was the latest once is served again. (Threat table.)
func TestRollback(t *testing.T) {
	t.Parallel()
	l, author := latestHistory(t)
	old := latest(t, l, author, "1")
	if e, err := l.CheckLatest(old); err != nil || e.Index != 2 {
		t.Errorf("%+v, %v", e, err)
	}
	stranger := ledger.New(ledger.NewMem(), "public")
	var behind *ledger.Behind
	if e, err := stranger.CheckLatest(old); !errors.As(err, &behind) || e == nil {
		t.Errorf("on a node that knows nothing: %+v, %v", e, err)
	}
	catchUp(t, l, stranger, author)
	before, err := l.Head(author)
	if err != nil {
		t.Fatal(err)
	}
	ledgertest.Append(t, l, author, ledgertest.Key(2), "other", "1", 0)
	if _, err := l.CheckLatest(old); err != nil {
		t.Errorf("it still is, in a longer log: %v", err)
	}
	ledgertest.Append(t, l, author, ledgertest.Key(2), "app", "1", 9)
	if _, err := l.CheckLatest(old); !errors.Is(err, ledger.ErrShrunk) {
		t.Errorf("what was superseded: %v, want ErrShrunk", err)
	}
	if e, err := stranger.CheckLatest(latest(t, l, author, "1")); !errors.As(err, &behind) || e.Index != 8 {
		t.Errorf("on a node that is behind: %+v, %v", e, err)
	}
	catchUp(t, l, stranger, author)
	for _, node := range []*ledger.Ledger{l, stranger} {
		if _, err := node.CheckLatest(old); !errors.Is(err, ledger.ErrShrunk) {
			t.Errorf("what was superseded: %v, want ErrShrunk", err)
		}
		if _, err := node.Extend(t.Context(), author, before.Size, nil, before.Checkpoint); !errors.Is(err, ledger.ErrShrunk) {
			t.Errorf("an old checkpoint: %v, want ErrShrunk", err)
		}
	}
	mustAppend(t, l, author, ledgertest.Key(2), &ledger.Revoke{Repo: "app", Tag: "1"})
	if _, err := l.CheckLatest(old); !errors.Is(err, ledger.ErrShrunk) {
		t.Errorf("what was revoked: %v, want ErrShrunk", err)
	}
	if _, err := ledger.New(ledger.NewMem(), "test").CheckLatest(old); !errors.Is(err, ledger.ErrWrongNetwork) {
		t.Errorf("in another network: %v", err)
	}
}

// TestAccuse: the evidence of a wrong state convinces whoever has the log, and
// nothing else does.
func TestAccuse(t *testing.T) {
	t.Parallel()
	base := rotatingForgery(t).release(t, "1").release(t, "2")
	lie := base.here()
	lie.State = statemap.Hash{1, 2, 3}
	bad := base.say(t, lie, release("3"), base.key).release(t, "4")
	l := known(t, base)
	var behind *ledger.Behind
	for name, p := range map[string]*ledger.Proved{
		"an honest entry":    base.release(t, "3").prove(t, 3),
		"one that is here":   base.prove(t, 2),
		"one after the lie":  bad.prove(t, 4),
		"signed by another":  base.say(t, lie, release("3"), ledgertest.Key(66)).prove(t, 3),
		"without its entry":  {},
		"of a log elsewhere": newForgery(t, "public", ledgertest.Key(9)).release(t, "1").prove(t, 1),
	} {
		if err := l.Accuse(t.Context(), p); err == nil {
			t.Errorf("%s: the log is frozen", name)
		}
	}
	if err := l.Accuse(t.Context(), bad.prove(t, 4)); !errors.As(err, &behind) {
		t.Errorf("entries before it are missing: %v", err)
	}
	if _, err := l.Fault(base.author); !errors.Is(err, ledger.ErrNotFound) {
		t.Fatal("an honest log is frozen")
	}
	if err := l.Accuse(t.Context(), bad.prove(t, 3)); err != nil {
		t.Fatal(err)
	}
	if f, err := l.Fault(base.author); err != nil || f.Kind != ledger.FaultState {
		t.Errorf("%+v, %v", f, err)
	}
}

func TestTransfer(t *testing.T) {
	t.Parallel()
	l := ledger.New(ledger.NewMem(), "public")
	alice, k := rotating(t, l), ledgertest.Key(1)
	bob := ledgertest.Author(t, l, ledgertest.Key(7))
	before := ledgertest.Append(t, l, alice, k, "app", "1", 0)
	if _, err := l.Append(t.Context(), alice, []ledger.Key{k}, &ledger.Transfer{Repo: "none", To: bob}); !errors.Is(err, ledger.ErrTransferred) {
		t.Errorf("giving what is not there: %v", err)
	}
	mustAppend(t, l, alice, k, &ledger.Transfer{Repo: "app", To: bob})
	mustAppend(t, l, bob, ledgertest.Key(7), &ledger.Accept{Repo: "app", From: alice, Transfer: 2})
	for name, s := range map[string]ledger.Statement{"release": release("2"), "transfer": &ledger.Transfer{Repo: "app", To: alice}} {
		if _, err := l.Append(t.Context(), alice, []ledger.Key{k}, s); !errors.Is(err, ledger.ErrTransferred) {
			t.Errorf("%s of what was given away: %v, want ErrTransferred", name, err)
		}
	}
	if _, err := l.Append(t.Context(), bob, []ledger.Key{ledgertest.Key(7)}, &ledger.Accept{Repo: "app", From: alice, Transfer: 5}); !errors.Is(err, ledger.ErrTransferred) {
		t.Errorf("accepting twice: %v, want ErrTransferred", err)
	}
	if _, err := l.ProveLatest(t.Context(), alice, "app", "1"); !errors.Is(err, ledger.ErrTransferred) {
		t.Errorf("the latest of what was given away: %v, want ErrTransferred", err)
	}
	wantRule(t, l, before, ledger.RuleUnrevoked, true, "")
	ledgertest.Append(t, l, bob, ledgertest.Key(7), "app", "2", 0)
	if _, err := l.ProveLatest(t.Context(), bob, "app", "2"); err != nil {
		t.Error(err)
	}
	// A second transfer that somebody makes alice's key sign changes nothing.
	leaves := mustBeSound(t, l, alice)
	f := &forgery{network: "public", author: alice, key: k, leaves: leaves}
	f = f.say(t, f.here(), &ledger.Transfer{Repo: "app", To: ledger.AuthorIDOf(nil)}, k)
	f = f.say(t, f.here(), release("3"), k)
	if _, err := l.Extend(t.Context(), alice, 3, f.leaves[3:], f.checkpoint(t)); err != nil {
		t.Fatal(err)
	}
	wantRule(t, l, prove(t, l, alice, 4), ledger.RuleUnrevoked, false, string(bob))
	mustAppend(t, l, alice, k, &ledger.Accept{Repo: "app", From: bob, Transfer: 9})
	ledgertest.Append(t, l, alice, k, "app", "4", 0)
	if _, err := l.ProveLatest(t.Context(), alice, "app", "4"); err != nil {
		t.Errorf("after it came back: %v", err)
	}
	mustBeSound(t, l, alice)
	mustBeSound(t, l, bob)
}

// TestWrongState: the author signs an entry that lies about what it makes. It is
// not taken, what proves the lie is kept, and the log grows no further.
func TestWrongState(t *testing.T) {
	t.Parallel()
	base := rotatingForgery(t).release(t, "1").release(t, "2")
	lie := base.here()
	lie.State = statemap.Hash{1, 2, 3}
	bad := base.say(t, lie, release("3"), base.key).release(t, "4")
	store := ledger.NewMem()
	l := ledger.New(store, "public")
	if _, err := l.Extend(t.Context(), base.author, 0, base.leaves, base.checkpoint(t)); err != nil {
		t.Fatal(err)
	}
	forged := base.say(t, lie, release("3"), ledgertest.Key(66))
	if _, err := l.Extend(t.Context(), base.author, 3, forged.leaves[3:], forged.checkpoint(t)); !errors.Is(err, ledger.ErrBadSignature) {
		t.Errorf("a lie that another signed: %v, want ErrBadSignature", err)
	}
	if _, err := l.Extend(t.Context(), base.author, 3, bad.leaves[3:], bad.checkpointBy(t, ledgertest.Key(66))); !errors.Is(err, ledger.ErrBadSignature) {
		t.Errorf("a lie under a checkpoint that another signed: %v, want ErrBadSignature", err)
	}
	if _, err := l.Fault(base.author); !errors.Is(err, ledger.ErrNotFound) {
		t.Fatalf("the log is frozen for what others did: %v", err)
	}
	if _, err := l.Extend(t.Context(), base.author, 3, bad.leaves[3:], bad.checkpoint(t)); !errors.Is(err, ledger.ErrWrongState) {
		t.Errorf("%v, want ErrWrongState", err)
	}
	f, err := l.Fault(base.author)
	if err != nil || f.Kind != ledger.FaultState {
		t.Fatalf("%+v, %v", f, err)
	}
	p, err := ledger.DecodeProved(f.Evidence)
	if err != nil {
		t.Fatal(err)
	}
	if e, _, err := p.Verify(); err != nil || e.Index != 3 || e.State != lie.State {
		t.Errorf("the evidence is %+v, %v", e, err)
	}
	good := base.release(t, "3")
	for _, l := range []*ledger.Ledger{l, ledger.New(store, "public")} {
		if _, err := l.Extend(t.Context(), base.author, 3, good.leaves[3:], good.checkpoint(t)); !errors.Is(err, ledger.ErrFrozen) {
			t.Errorf("extending a frozen log: %v, want ErrFrozen", err)
		}
		if _, err := l.AppendRelease(t.Context(), base.author, base.key, *release("3")); !errors.Is(err, ledger.ErrFrozen) {
			t.Errorf("signing in a frozen log: %v, want ErrFrozen", err)
		}
		if _, err := l.Extend(t.Context(), base.author, 0, base.leaves, base.checkpoint(t)); err != nil {
			t.Errorf("what is here already: %v", err)
		}
	}
	mustBeSound(t, l, base.author)
	// A log that begins with a lie is not taken either.
	fresh := ledger.New(ledger.NewMem(), "public")
	if _, err := fresh.Extend(t.Context(), base.author, 0, bad.leaves, bad.checkpoint(t)); !errors.Is(err, ledger.ErrWrongState) {
		t.Errorf("%v, want ErrWrongState", err)
	}
}

func TestFreeze(t *testing.T) {
	t.Parallel()
	l, author := newLog(t, ledgertest.Key(1), 1)
	stranger := ledger.AuthorIDOf(nil)
	for _, a := range []ledger.AuthorID{author, stranger} {
		if _, err := l.Freeze(t.Context(), a, ledger.Fault{Kind: "fork", Common: 2, Evidence: []byte("proof")}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Freeze(t.Context(), author, ledger.Fault{Kind: "other", Common: 1, Evidence: make([]byte, ledger.MaxEvidence+1)}); !errors.Is(err, ledger.ErrTooLarge) {
		t.Errorf("huge evidence: %v", err)
	}
	if _, err := l.AppendRelease(t.Context(), author, ledgertest.Key(1), *release("3")); !errors.Is(err, ledger.ErrFrozen) {
		t.Errorf("%v, want ErrFrozen", err)
	}
	if f, err := l.Fault(author); err != nil || f.Kind != "fork" {
		t.Errorf("%+v, %v", f, err)
	}
	mustBeSound(t, l, author)
}

// TestForgedRelease: whatever bit is changed, the proof is refused. (Threat
// table: forged release.)
func TestForgedRelease(t *testing.T) {
	t.Parallel()
	l, author := latestHistory(t)
	good := latest(t, l, author, "1").Encode()
	stride := 29
	if testing.Short() {
		stride = 101
	}
	proves := func(b []byte) bool {
		p, err := ledger.DecodeLatest(b)
		if err != nil {
			return false
		}
		_, _, err = p.Verify()
		return err == nil
	}
	if !proves(good) {
		t.Fatal("it is not proven to begin with")
	}
	for i := 0; i < len(good)*8; i += stride {
		bad := bytes.Clone(good)
		bad[i/8] ^= 1 << (i % 8)
		if proves(bad) {
			t.Errorf("bit %d of byte %d changed, near %q, and nobody noticed", i%8, i/8, bad[max(0, i/8-20):i/8+1])
		}
	}
	for i := 0; i < len(good); i += 13 {
		if proves(good[:i]) {
			t.Fatalf("cut at %d and nobody noticed", i)
		}
	}
	if _, err := ledger.DecodeLatest(append(good, ' ')); !errors.Is(err, ledger.ErrBadEntry) {
		t.Errorf("followed by a space: %v", err)
	}
	if _, err := ledger.DecodeLatest([]byte(strings.Repeat(" ", ledger.MaxLatest+1))); !errors.Is(err, ledger.ErrTooLarge) {
		t.Errorf("huge: %v", err)
	}
}

func FuzzDecodeLatest(f *testing.F) {
	l, author := latestHistory(f)
	f.Add(latest(f, l, author, "1").Encode())
	ledgertest.Append(f, l, author, ledgertest.Key(2), "app", "2", 5)
	f.Add(latest(f, l, author, "2").Encode())
	f.Add([]byte(`{"last":{`))
	f.Fuzz(func(t *testing.T, in []byte) {
		p, err := ledger.DecodeLatest(in)
		if err != nil {
			return
		}
		if !bytes.Equal(p.Encode(), in) {
			t.Errorf("%q re-encodes to %q", in, p.Encode())
		}
		if e, _, err := p.Verify(); err == nil && e.Author != author {
			t.Errorf("%q was forged", in)
		}
	})
}
