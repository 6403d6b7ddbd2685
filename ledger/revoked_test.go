package ledger_test

import (
	"errors"
	"testing"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/ledgertest"
)

// TestRevoked: by digest, by tag and by key, each from an index on.
func TestRevoked(t *testing.T) {
	t.Parallel()
	first := ledgertest.Release("app", "1", 0)
	for name, tc := range map[string]struct {
		s    ledger.Statement
		hit  [3]bool // of the releases of entries 1 (app:1), 2 (app:1, other image), 3 (app:2)
		says string
	}{
		"the digest":             {&ledger.Revoke{Digest: first.Image.Digest}, [3]bool{true, false, false}, "takes the image back"},
		"the digest after 1":     {&ledger.Revoke{Digest: first.Image.Digest, LastValid: 1}, [3]bool{}, ""},
		"the tag":                {&ledger.Revoke{Repo: "app", Tag: "1"}, [3]bool{true, true, false}, "takes app:1 back"},
		"the tag after 1":        {&ledger.Revoke{Repo: "app", Tag: "1", LastValid: 1}, [3]bool{false, true, false}, "takes app:1 back"},
		"the key":                {&ledger.Revoke{Key: ledgertest.Key(1).Public().Fingerprint()}, [3]bool{true, true, true}, "what its key signed"},
		"the key after 2":        {&ledger.Revoke{Key: ledgertest.Key(1).Public().Fingerprint(), LastValid: 2}, [3]bool{false, false, true}, "what its key signed"},
		"another key":            {&ledger.Revoke{Key: ledgertest.Key(9).Public().Fingerprint()}, [3]bool{}, ""},
		"another tag":            {&ledger.Revoke{Repo: "app", Tag: "3"}, [3]bool{}, ""},
		"another repository":     {&ledger.Revoke{Repo: "appp", Tag: "1"}, [3]bool{}, ""},
		"nothing, but an endors": {&ledger.Endorse{Author: ledger.AuthorIDOf(nil), Repo: "app", Digest: first.Image.Digest}, [3]bool{}, ""},
	} {
		l := ledger.New(ledger.NewMem(), "public")
		author := rotating(t, l)
		ledgertest.Append(t, l, author, ledgertest.Key(1), "app", "1", 0)
		ledgertest.Append(t, l, author, ledgertest.Key(1), "app", "1", 1)
		ledgertest.Append(t, l, author, ledgertest.Key(1), "app", "2", 0)
		mustRotate(t, l, author, set(ledgertest.Key(3), ledgertest.Key(2)), ledgertest.Key(2))
		mustAppend(t, l, author, ledgertest.Key(2), tc.s)
		for i, hit := range tc.hit {
			says := ""
			if hit {
				says = tc.says
			}
			wantRule(t, l, prove(t, l, author, uint64(i)+1), ledger.RuleUnrevoked, !hit, says)
		}
		for tag, i := range map[string]int{"1": 1, "2": 2} {
			_, err := l.ProveLatest(t.Context(), author, "app", tag)
			if errors.Is(err, ledger.ErrRevoked) != tc.hit[i] || !tc.hit[i] && err != nil {
				t.Errorf("%s: the latest of %s: %v, want revoked %v", name, tag, err, tc.hit[i])
			}
		}
		mustBeSound(t, l, author)
	}
}

// TestRevokedForGood: a later, milder revocation takes nothing back, and what is
// revoked is not signed again.
func TestRevokedForGood(t *testing.T) {
	t.Parallel()
	l := ledger.New(ledger.NewMem(), "public")
	author := rotating(t, l)
	p := ledgertest.Append(t, l, author, ledgertest.Key(1), "app", "1", 0)
	d := ledgertest.Release("app", "1", 0).Image.Digest
	mustAppend(t, l, author, ledgertest.Key(1), &ledger.Revoke{Digest: d})
	mustAppend(t, l, author, ledgertest.Key(1), &ledger.Revoke{Digest: d, LastValid: 2})
	wantRule(t, l, p, ledger.RuleUnrevoked, false, "takes the image back")
	if _, err := l.AppendRelease(t.Context(), author, ledgertest.Key(1), *release("1")); !errors.Is(err, ledger.ErrRevoked) {
		t.Errorf("releasing it again: %v, want ErrRevoked", err)
	}
	for name, s := range map[string]ledger.Statement{
		"the only key": &ledger.Revoke{Key: ledgertest.Key(1).Public().Fingerprint()},
		"the future":   &ledger.Revoke{Digest: d, LastValid: 4},
	} {
		if _, err := l.Append(t.Context(), author, []ledger.Key{ledgertest.Key(1)}, s); !errors.Is(err, ledger.ErrBadEntry) && !errors.Is(err, ledger.ErrBadSignature) {
			t.Errorf("revoking %s: %v", name, err)
		}
	}
	mustBeSound(t, l, author)
}

// TestRevokedKeyStopsSigning: the key of two that is revoked signs no more.
func TestRevokedKeyStopsSigning(t *testing.T) {
	t.Parallel()
	a, b := ledgertest.Key(1), ledgertest.Key(2)
	in := ledger.Inception{Network: "public", Keys: []ledger.PublicKey{a.Public(), b.Public()}, Threshold: 1}
	l := ledger.New(ledger.NewMem(), "public")
	author, err := l.Incept(t.Context(), in, a)
	if err != nil {
		t.Fatal(err)
	}
	byA := ledgertest.Append(t, l, author, a, "app", "1", 0)
	revoke := &ledger.Revoke{Key: a.Public().Fingerprint()}
	if _, err := l.Append(t.Context(), author, []ledger.Key{a}, revoke); !errors.Is(err, ledger.ErrBadSignature) {
		t.Errorf("a key that revokes itself could not sign the checkpoint: %v", err)
	}
	mustAppend(t, l, author, b, revoke)
	if _, err := l.AppendRelease(t.Context(), author, a, *release("2")); !errors.Is(err, ledger.ErrBadSignature) {
		t.Errorf("releasing with it: %v, want ErrBadSignature", err)
	}
	wantRule(t, l, byA, ledger.RuleUnrevoked, false, "what its key signed")
	leaves := mustBeSound(t, l, author)
	f := &forgery{network: "public", author: author, key: a, leaves: leaves}
	bad := f.release(t, "evil")
	for _, k := range []ledger.Key{a, b} {
		if _, err := l.Extend(t.Context(), author, 3, bad.leaves[3:], bad.checkpointBy(t, k)); !errors.Is(err, ledger.ErrBadSignature) {
			t.Errorf("extending: %v, want ErrBadSignature", err)
		}
	}
}

// TestBackdating: times that whoever has a stolen key writes into a release
// mean nothing; the place in the log does. (Threat table.)
func TestBackdating(t *testing.T) {
	t.Parallel()
	l := ledger.New(ledger.NewMem(), "public")
	author := rotating(t, l)
	good := ledgertest.Append(t, l, author, ledgertest.Key(1), "app", "1", 0)
	backdated := release("2")
	backdated.Created = backdated.Created.AddDate(-10, 0, 0)
	evil := mustAppend(t, l, author, ledgertest.Key(1), backdated)
	mustRotate(t, l, author, set(ledgertest.Key(3), ledgertest.Key(2)), ledgertest.Key(2))
	mustAppend(t, l, author, ledgertest.Key(2), &ledger.Revoke{Key: ledgertest.Key(1).Public().Fingerprint(), LastValid: 1})
	wantRule(t, l, good, ledger.RuleUnrevoked, true, "")
	wantRule(t, l, evil, ledger.RuleUnrevoked, false, "")
	// Nor can it be slipped in before the revocation.
	leaves := mustBeSound(t, l, author)
	f := &forgery{network: "public", author: author, key: ledgertest.Key(1), leaves: leaves[:2]}
	if _, err := l.Check(f.release(t, "slipped-in").prove(t, 2)); !errors.Is(err, ledger.ErrFork) {
		t.Errorf("slipped in: %v, want ErrFork", err)
	}
}
