package evidence_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/evidence"
	"github.com/dockchains/dockchain/ledger/ledgertest"
)

// convicts wants a proof to survive its encoding and to convict the author of
// histories that differ from at most diverged entries on.
func convicts(t *testing.T, what string, p *evidence.Proof, author ledger.AuthorID, common int) {
	t.Helper()
	b, err := p.Encode()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	got, err := evidence.Decode(b)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if diff := cmp.Diff(p, got, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("%s: %s", what, diff)
	}
	fork, err := got.Verify()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if len(fork.Older.Keys.Keys) == 0 || len(fork.Newer.Keys.Keys) == 0 {
		t.Errorf("%s: nobody signed %+v", what, fork)
	}
	if fork.Author != author || fork.Older.Size > fork.Newer.Size || fork.Diverged <= uint64(common) {
		t.Errorf("%s: %+v, they have %d entries in common", what, fork, common)
	}
}

// TestEveryFork: of two histories, every two checkpoints that cannot both be
// true are proven, and no others.
func TestEveryFork(t *testing.T) {
	t.Parallel()
	size := 9
	if testing.Short() {
		size = 5
	}
	for common := 1; common < size; common++ {
		a, b := newHistory(t, 1, "a", common, size), newHistory(t, 1, "b", common, size)
		for m := 1; m <= size; m++ {
			ours := a.at(t, m)
			for n := 1; n <= size; n++ {
				what := fmt.Sprintf("%d common, %d here, %d there", common, m, n)
				theirs := b.checkpoints[n-1]
				p, err := evidence.FromCheckpoint(t.Context(), ours, a.author, theirs)
				if n > m {
					p, err = evidence.FromRange(t.Context(), ours, a.author, uint64(min(common, m)), b.leaves[min(common, m):n], theirs)
				}
				if min(m, n) > common {
					if err != nil {
						t.Fatalf("%s: %v", what, err)
					}
					convicts(t, what, p, a.author, common)
				} else if !errors.Is(err, evidence.ErrNoFork) {
					t.Errorf("%s: %v, want ErrNoFork", what, err)
				}
			}
		}
	}
}

// TestForkOfEntries: a proved entry that is another one than that here.
func TestForkOfEntries(t *testing.T) {
	t.Parallel()
	a, b := newHistory(t, 1, "a", 4, 8), newHistory(t, 1, "b", 4, 12)
	for index := range 12 {
		p, err := evidence.FromProved(t.Context(), a, b.prove(t, index))
		if index < 4 || index >= 8 {
			// The same entry, or one beyond what is here, under a longer
			// checkpoint: to show more takes its growth.
			if !errors.Is(err, evidence.ErrNoFork) {
				t.Errorf("entry %d: %v, want ErrNoFork", index, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("entry %d: %v", index, err)
		}
		convicts(t, fmt.Sprintf("entry %d", index), p, a.author, 4)
		if fork, err := p.Verify(); err != nil || fork.Diverged != uint64(index)+1 {
			t.Errorf("entry %d: %+v, %v", index, fork, err)
		}
	}
	// Under a shorter checkpoint any entry will do.
	for index := range 8 {
		p, err := evidence.FromProved(t.Context(), b, a.prove(t, index))
		if err != nil {
			t.Fatalf("entry %d: %v", index, err)
		}
		convicts(t, fmt.Sprintf("entry %d", index), p, a.author, 4)
	}
}

// TestThreatFalseForkProof puts proofs together from all that honest authors have
// signed, and from invented hashes: none convicts.
func TestThreatFalseForkProof(t *testing.T) {
	t.Parallel()
	const size = 8
	honest, other := newHistory(t, 1, "a", size, size), newHistory(t, 2, "a", size, size)
	var sides []*ledger.Proved
	for n := 1; n <= size; n++ {
		at := honest.at(t, n)
		for i := range n {
			sides = append(sides, at.prove(t, i))
		}
	}
	sides = append(sides, other.prove(t, 0), other.prove(t, size-1))
	var growths [][]tlog.Hash
	hashes, err := honest.Hashes(honest.author, []int64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14})
	if err != nil {
		t.Fatal(err)
	}
	for n := uint64(2); n <= size; n++ {
		for m := uint64(1); m < n; m++ {
			g, err := honest.ProveConsistency(t.Context(), honest.author, m, n)
			if err != nil {
				t.Fatal(err)
			}
			growths = append(growths, g)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	rounds := 3000
	if testing.Short() {
		rounds = 300
	}
	for range rounds {
		p := &evidence.Proof{Proved: sides[r.IntN(len(sides))]}
		if r.IntN(2) == 0 {
			p.Other = sides[r.IntN(len(sides))]
		} else {
			p.Checkpoint = honest.checkpoints[r.IntN(size)]
		}
		switch r.IntN(3) {
		case 0:
			p.Growth = growths[r.IntN(len(growths))]
		case 1:
			for range 1 + r.IntN(4) {
				p.Growth = append(p.Growth, hashes[r.IntN(len(hashes))])
			}
		}
		p.Prefix = hashes[r.IntN(len(hashes))]
		if fork, err := p.Verify(); err == nil {
			b, _ := p.Encode()
			t.Fatalf("convicted %s: %+v\n%s", fork.Author, fork, b)
		}
	}
}

// TestMadeUp: sides that the author did not sign.
func TestMadeUp(t *testing.T) {
	t.Parallel()
	honest, thief := newHistory(t, 1, "a", 4, 8), newHistory(t, 2, "b", 4, 8)
	origin := ledger.Origin("public", honest.author)
	forged, err := ledger.SignCheckpoint(ledger.Checkpoint{Origin: origin, Size: 8}, ledgertest.Key(2))
	if err != nil {
		t.Fatal(err)
	}
	mixed := *thief.prove(t, 5)
	mixed.Inception = honest.leaves[0]
	otherNetwork, err := ledger.SignCheckpoint(ledger.Checkpoint{Origin: ledger.Origin("test", honest.author), Size: 8}, ledgertest.Key(1))
	if err != nil {
		t.Fatal(err)
	}
	ours := honest.prove(t, 5)
	for name, tc := range map[string]struct {
		proof evidence.Proof
		want  error
	}{
		"by another key":     {evidence.Proof{Proved: ours, Checkpoint: forged}, ledger.ErrBadSignature},
		"of another network": {evidence.Proof{Proved: ours, Checkpoint: otherNetwork}, ledger.ErrBadCheckpoint},
		"another author":     {evidence.Proof{Proved: ours, Other: thief.prove(t, 5)}, evidence.ErrNoFork},
		"mixed":              {evidence.Proof{Proved: ours, Other: &mixed}, ledger.ErrWrongAuthor},
		"one side":           {evidence.Proof{Proved: ours}, evidence.ErrMalformed},
		"no proved side":     {evidence.Proof{Other: ours}, evidence.ErrMalformed},
		"three sides":        {evidence.Proof{Proved: ours, Other: ours, Checkpoint: forged}, evidence.ErrMalformed},
		"itself":             {evidence.Proof{Proved: ours, Other: ours}, evidence.ErrNoFork},
		"its checkpoint":     {evidence.Proof{Proved: ours, Checkpoint: honest.checkpoints[7]}, evidence.ErrNoFork},
	} {
		if fork, err := tc.proof.Verify(); !errors.Is(err, tc.want) {
			t.Errorf("%s: %+v, %v, want %v", name, fork, err, tc.want)
		}
	}
	if _, err := evidence.FromCheckpoint(t.Context(), honest, honest.author, forged); !errors.Is(err, ledger.ErrBadSignature) {
		t.Errorf("making one of a forged checkpoint: %v", err)
	}
	if _, err := evidence.FromCheckpoint(t.Context(), honest, ledger.AuthorIDOf([]byte("x")), forged); !errors.Is(err, ledger.ErrUnknownAuthor) {
		t.Errorf("making one of an unknown log: %v", err)
	}
	if _, err := evidence.FromRange(t.Context(), honest.at(t, 4), honest.author, 4, honest.leaves[4:7], honest.checkpoints[7]); !errors.Is(err, ledger.ErrBadRange) {
		t.Errorf("making one of a range that is too short: %v", err)
	}
}

// TestFromForkError: what a ledger finds becomes a proof.
func TestFromForkError(t *testing.T) {
	t.Parallel()
	a, b := newHistory(t, 1, "a", 4, 8), newHistory(t, 1, "b", 4, 8)
	var found *ledger.ForkError
	_, err := a.Extend(t.Context(), a.author, 4, b.leaves[4:6], b.checkpoints[5])
	if !errors.As(err, &found) {
		t.Fatalf("shorter: %v", err)
	}
	p, err := evidence.FromCheckpoint(t.Context(), a, found.Author, found.Theirs)
	if err != nil {
		t.Fatal(err)
	}
	convicts(t, "shorter", p, a.author, 4)
	if _, err = a.at(t, 6).Extend(t.Context(), a.author, 4, b.leaves[4:8], b.checkpoints[7]); !errors.As(err, &found) {
		t.Fatalf("longer: %v", err)
	}
	if p, err = evidence.FromRange(t.Context(), a.at(t, 6), found.Author, 4, b.leaves[4:8], found.Theirs); err != nil {
		t.Fatal(err)
	}
	convicts(t, "longer", p, a.author, 4)
	if _, err = a.Check(b.prove(t, 6)); !errors.As(err, &found) {
		t.Fatalf("proved: %v", err)
	}
	if p, err = evidence.FromProved(t.Context(), a, b.prove(t, 6)); err != nil {
		t.Fatal(err)
	}
	convicts(t, "proved", p, a.author, 4)
}

func encoded(t testing.TB) (author ledger.AuthorID, proofs [][]byte) {
	t.Helper()
	a, b := newHistory(t, 1, "a", 2, 5), newHistory(t, 1, "b", 2, 4)
	grown, err := evidence.FromCheckpoint(t.Context(), a, a.author, b.checkpoints[3])
	if err != nil {
		t.Fatal(err)
	}
	same, err := evidence.FromCheckpoint(t.Context(), a.at(t, 4), a.author, b.checkpoints[3])
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []*evidence.Proof{grown, same, {Proved: a.prove(t, 2), Other: b.prove(t, 2)}} {
		raw, err := p.Encode()
		if err != nil {
			t.Fatal(err)
		}
		proofs = append(proofs, raw)
	}
	return a.author, proofs
}

// TestDecodeStrictness: no bit can be flipped, and nothing added, without the
// proof being refused.
func TestDecodeStrictness(t *testing.T) {
	t.Parallel()
	_, proofs := encoded(t)
	for i, good := range proofs {
		if _, err := evidence.Decode(good); err != nil {
			t.Fatal(err)
		}
		flips := 1500
		if testing.Short() {
			flips = 200
		}
		step := 8 * len(good) / flips
		for bit := i; bit < len(good)*8; bit += step {
			bad := bytes.Clone(good)
			bad[bit/8] ^= 1 << (bit % 8)
			p, err := evidence.Decode(bad)
			if err == nil {
				_, err = p.Verify()
			}
			if err == nil {
				t.Errorf("proof %d: bit %d of byte %d", i, bit%8, bit/8)
			}
		}
	}
	s := string(proofs[0])
	for name, in := range map[string]string{
		"empty":         "",
		"null":          "null",
		"list":          "[]",
		"trailing":      s + "\n",
		"leading":       " " + s,
		"two":           s + s,
		"unknown":       strings.Replace(s, `{"proved"`, `{"x":1,"proved"`, 1),
		"repeated":      strings.Replace(s, `"growth":`, `"growth":[],"growth":`, 1),
		"other case":    strings.Replace(s, `"growth":`, `"Growth":`, 1),
		"space":         strings.Replace(s, `"growth":`, `"growth": `, 1),
		"no growth":     s[:strings.Index(s, `,"growth"`)] + "}",
		"no prefix":     s[:strings.Index(s, `,"prefix"`)] + s[strings.Index(s, `,"growth"`):],
		"no other":      s[:strings.Index(s, `,"other"`)] + "}",
		"escape":        strings.Replace(s, "— ", `\u2014 `, 1),
		"short hash":    strings.Replace(s, `"growth":["`, `"growth":["YWFh","`, 1),
		"many hashes":   strings.Replace(s, `"growth":[`, `"growth":[`+strings.Repeat(`"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",`, 64), 1),
		"empty hash":    strings.Replace(s, `"growth":["`, `"growth":["","`, 1),
		"very large":    strings.Repeat(" ", evidence.MaxSize) + s,
		"nested":        strings.Repeat("[", 100_000),
		"proved string": `{"proved":"x","other":{"checkpoint":"x"}}`,
	} {
		if _, err := evidence.Decode([]byte(in)); !errors.Is(err, evidence.ErrMalformed) {
			t.Errorf("%s: %v, want ErrMalformed", name, err)
		}
	}
	if _, err := (&evidence.Proof{}).Encode(); !errors.Is(err, evidence.ErrMalformed) {
		t.Errorf("encoding nothing: %v", err)
	}
}

// FuzzDecode: what is accepted re-encodes to the same bytes, and whatever
// verifies convicts the author who did sign two histories.
func FuzzDecode(f *testing.F) {
	guilty, proofs := encoded(f)
	for _, p := range proofs {
		f.Add(p)
	}
	honest := newHistory(f, 3, "a", 5, 5)
	innocent := evidence.Proof{Proved: honest.prove(f, 2), Checkpoint: honest.checkpoints[3]}
	raw, err := innocent.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Fuzz(func(t *testing.T, in []byte) {
		p, err := evidence.Decode(in)
		if err != nil {
			return
		}
		again, err := p.Encode()
		if err != nil || !bytes.Equal(again, in) {
			t.Fatalf("%q re-encodes to %q, %v", in, again, err)
		}
		if fork, err := p.Verify(); err == nil && fork.Author != guilty {
			t.Errorf("%q convicts %s", in, fork.Author)
		}
	})
}
