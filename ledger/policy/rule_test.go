package policy_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"filippo.io/mldsa"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/ledgertest"
	"github.com/dockchains/dockchain/ledger/note"
	"github.com/dockchains/dockchain/ledger/policy"
)

var now = time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)

const day = 24 * time.Hour

// authored is a ledger with the log of an author in it, and its reader's rule.
type authored struct {
	*ledger.Ledger
	author ledger.AuthorID
}

func newAuthored(t testing.TB, rule policy.Rule) *authored {
	t.Helper()
	l := ledger.New(ledger.NewMem(), "public")
	l.Require(rule)
	return &authored{l, ledgertest.Author(t, l, ledgertest.Key(1))}
}

// release releases app:tag for the n-th time.
func (a *authored) release(t testing.TB, tag string, n int) *ledger.Proved {
	t.Helper()
	return ledgertest.Append(t, a.Ledger, a.author, ledgertest.Key(1), "app", tag, n)
}

// cosigned adds cosignatures to a checkpoint.
func cosigned(t testing.TB, checkpoint []byte, stamps ...stamp) []byte {
	t.Helper()
	n, err := note.Parse(checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range stamps {
		sig, err := note.Cosign(witnessKey(s.witness), n.Text, s.at, ledgertest.Key(uint64(100+s.witness)).Sign)
		if err != nil {
			t.Fatal(err)
		}
		n.Sigs = append(n.Sigs, sig)
	}
	return n.Encode()
}

// copyOf is another node's ledger with the first size entries of a log, and the
// checkpoint over them.
func (a *authored) copyOf(t testing.TB, rule policy.Rule, size uint64, checkpoint []byte) *authored {
	t.Helper()
	l := ledger.New(ledger.NewMem(), "public")
	l.Require(rule)
	leaves, err := a.Leaves(a.author, 0, size)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Extend(t.Context(), a.author, 0, leaves, checkpoint); err != nil {
		t.Fatal(err)
	}
	return &authored{l, a.author}
}

// required is a rule of two out of three witnesses.
func required(t testing.TB, maxAge time.Duration) policy.Rule {
	t.Helper()
	text := kOfN(2, 3)
	_, text, _ = strings.Cut(text, "\n") // of any log
	return policy.Rule{Policy: parse(t, text), Required: true, MaxAge: maxAge, Now: func() time.Time { return now }}
}

// judge asks for a verdict, and wants these rules to fail, and the reason of
// one to say something.
func (a *authored) judge(t testing.TB, name string, c ledger.Claim, failed, rule, says string) {
	t.Helper()
	v := a.Verdict(t.Context(), c)
	var bad []string
	for _, r := range v.Reasons {
		if !r.OK {
			bad = append(bad, r.Rule)
		}
		if r.Rule == rule && !strings.Contains(r.Text, says) {
			t.Errorf("%s: %s says %q, want %q in it", name, rule, r.Text, says)
		}
	}
	if got := strings.Join(bad, " "); got != failed || v.Accepted != (failed == "") {
		t.Errorf("%s: accepted %v, failed %q, want %q: %+v", name, v.Accepted, got, failed, v.Reasons)
	}
}

// TestVerdictAsksForWitnesses: with a policy that is required, nothing is
// accepted before its quorum has seen the log, whoever else has.
func TestVerdictAsksForWitnesses(t *testing.T) {
	t.Parallel()
	rule := required(t, 0)
	a := newAuthored(t, rule)
	p := a.release(t, "1", 1)
	plain := p.Checkpoint
	with := func(checkpoint []byte) ledger.Claim {
		q := *p
		q.Checkpoint = checkpoint
		return ledger.Claim{Proved: &q}
	}
	at := now.Unix()
	enough := cosigned(t, plain, stamp{0, at}, stamp{2, at})
	forged := bytes.Replace(enough, []byte("\n— w2.example "), []byte("\n— w1.example "), 1)
	crowd := make([]stamp, 50)
	for i := range crowd {
		crowd[i] = stamp{1000 + i, at}
	}
	a.judge(t, "nobody", with(plain), "witnessed", "witnessed", "0 of 3 witnesses cosigned the log at size 2, which is not enough")
	a.judge(t, "one", with(cosigned(t, plain, stamp{0, at})), "witnessed", "witnessed", "1 of 3 witnesses")
	a.judge(t, "two", with(enough), "", "witnessed", "2 of 3 witnesses cosigned the log at size 2, at 2026-01-02T15:04:05Z (the median), which is enough.")
	a.judge(t, "strangers", with(cosigned(t, plain, append(crowd, stamp{1, at})...)), "witnessed", "witnessed", "1 of 3 witnesses cosigned the log at size 2, which is not enough for the policy. 50 cosignatures by others count for nothing.")
	a.judge(t, "under another name", with(forged), "witnessed", "witnessed", "1 of 3 witnesses")
	a.judge(t, "in two parts", ledger.Claim{Proved: with(cosigned(t, plain, stamp{0, at})).Proved, Cosigned: [][]byte{cosigned(t, plain, stamp{1, at})}}, "", "witnessed", "2 of 3")
	a.judge(t, "no release", ledger.Claim{}, "signed logged grown witnessed unrevoked content", "witnessed", "Not checked")
	if _, err := a.Cosigned(t.Context(), a.author, enough, rule.Policy.Witnesses[0].Key, rule.Policy.Witnesses[2].Key); err != nil {
		t.Fatal(err)
	}
	a.judge(t, "they came later", with(plain), "", "witnessed", "2 of 3")

	// The log grows, and its new head waits for its witnesses: what was witnessed stays.
	second := a.release(t, "2", 2)
	claim := with(plain)
	a.judge(t, "grown, nothing kept", claim, "witnessed", "witnessed", "0 of 3")
	claim.Cosigned = [][]byte{[]byte("x"), enough}
	a.judge(t, "grown", claim, "", "witnessed", "2 of 3 witnesses cosigned the log at size 2")
	a.judge(t, "the new one", ledger.Claim{Proved: second, Cosigned: [][]byte{enough}}, "witnessed", "witnessed", "0 of 3 witnesses cosigned the log at size 3")
}

// TestVerdictOfAnotherTree: cosignatures of a history that is not here count
// for nothing.
func TestVerdictOfAnotherTree(t *testing.T) {
	t.Parallel()
	a, b := newAuthored(t, required(t, 0)), newAuthored(t, required(t, 0))
	p, other := a.release(t, "1", 1), b.release(t, "1", 2)
	if a.author != b.author {
		t.Fatal("the forks are of two authors")
	}
	seen := cosigned(t, other.Checkpoint, stamp{0, 7}, stamp{1, 7})
	a.judge(t, "fork", ledger.Claim{Proved: p, Cosigned: [][]byte{seen}}, "witnessed", "witnessed", "0 of 3")
}

// TestRuleNotRequired: without a policy, or with one that is a note, what was
// seen is told and nothing is refused.
func TestRuleNotRequired(t *testing.T) {
	t.Parallel()
	rule := required(t, day)
	rule.Required = false
	a := newAuthored(t, rule)
	p := a.release(t, "1", 1)
	a.judge(t, "a note", ledger.Claim{Proved: p}, "", "witnessed", "0 of 3 witnesses cosigned the log at size 2, which is not enough for the policy. This node does not insist on it.")
	a.Require(policy.Rule{})
	a.judge(t, "no policy", ledger.Claim{Proved: p}, "", "witnessed", "No witness cosigned the log, and this node has no policy")
	q := *p
	q.Checkpoint = cosigned(t, p.Checkpoint, stamp{0, 7})
	a.judge(t, "no policy, one", ledger.Claim{Proved: &q}, "", "witnessed", "The log carries one cosignature of witnesses that this node does not know")
	a.Require(policy.Rule{Policy: parse(t, kOfN(1, 1)), Required: true})
	a.judge(t, "other logs", ledger.Claim{Proved: &q}, "witnessed", "witnessed", "which is none of the logs that the policy lists")
	a.Require(policy.Rule{Policy: parse(t, "quorum none\n"), Required: true})
	a.judge(t, "quorum none", ledger.Claim{Proved: p}, "", "witnessed", "the policy asks for none")
	a.Require(policy.Rule{Policy: parse(t, "quorum none\n"), Required: true, MaxAge: day})
	a.judge(t, "quorum none, fresh", ledger.Claim{Proved: p}, "witnessed", "witnessed", "nobody can say how old it is")
	a.Require(policy.Rule{Required: true})
	a.judge(t, "required without a policy", ledger.Claim{Proved: p}, "witnessed", "witnessed", "")
}

// TestThreatRollbackFreezeVerdict: an old checkpoint that is served for ever is
// refused once it is too old, to who has the log and to who has not, with a good
// clock and with a bad one.
func TestThreatRollbackFreezeVerdict(t *testing.T) {
	t.Parallel()
	rule := required(t, day)
	author := newAuthored(t, rule)
	p := author.release(t, "1", 1)
	p.Checkpoint = cosigned(t, p.Checkpoint, stamp{0, now.Unix()}, stamp{1, now.Unix()})
	claim := ledger.Claim{Proved: p, Tagged: true}
	for name, tc := range map[string]struct {
		clock  time.Time
		failed string
		says   string
	}{
		"now":            {now, "", "which is enough"},
		"in time":        {now.Add(day), "", "which is enough"},
		"frozen":         {now.Add(day + time.Second), "witnessed", "longer ago than the 24h0m0s allowed: what its author said since may be withheld"},
		"frozen a year":  {now.AddDate(1, 0, 0), "witnessed", "longer ago"},
		"a day ahead":    {now.Add(day + 2*time.Hour), "witnessed", "longer ago"},
		"ten years back": {now.AddDate(-10, 0, 0), "witnessed", "the clock here shows 2016-01-02T15:04:05Z: one of them is wrong"},
		"the year one":   {time.Time{}, "witnessed", "one of them is wrong"},
	} {
		rule.Now = func() time.Time { return tc.clock }
		stranger := ledger.New(ledger.NewMem(), "public")
		stranger.Require(rule)
		(&authored{stranger, author.author}).judge(t, name+", no log", claim, tc.failed, "witnessed", tc.says)
		author.copyOf(t, rule, 2, p.Checkpoint).judge(t, name, claim, tc.failed, "witnessed", tc.says)
	}
}

// TestThreatClockStepsBack: a reader whose clock goes back does not take an old
// log for the newest, for it has the longer one.
func TestThreatClockStepsBack(t *testing.T) {
	t.Parallel()
	rule := required(t, day)
	clock := now.Add(10 * day)
	rule.Now = func() time.Time { return clock }
	author := newAuthored(t, rule)
	old := author.release(t, "1", 1)
	old.Checkpoint = cosigned(t, old.Checkpoint, stamp{0, now.Unix()}, stamp{1, now.Unix()})
	fresh := author.release(t, "1", 2)
	fresh.Checkpoint = cosigned(t, fresh.Checkpoint, stamp{0, clock.Unix()}, stamp{1, clock.Unix()})
	reader := author.copyOf(t, rule, 3, fresh.Checkpoint)
	reader.judge(t, "the newest", ledger.Claim{Proved: fresh, Tagged: true}, "", "witnessed", "2 of 3")
	for _, back := range []time.Duration{0, 10 * day, 3650 * day} {
		clock = now.Add(10*day - back)
		v := reader.Verdict(t.Context(), ledger.Claim{Proved: old, Tagged: true})
		if v.Accepted {
			t.Errorf("%v back: the old release is accepted: %+v", back, v.Reasons)
		}
	}
}

// TestThreatTagRollbackCVE202423332: an older release of a tag, with a valid inclusion in
// the newest log, is not what the tag names.
func TestThreatTagRollbackCVE202423332(t *testing.T) {
	t.Parallel()
	rule := required(t, day)
	author := newAuthored(t, rule)
	author.release(t, "1", 1)
	author.release(t, "1", 2)
	head, err := author.Head(author.author)
	if err != nil {
		t.Fatal(err)
	}
	seen := cosigned(t, head.Checkpoint, stamp{0, now.Unix()}, stamp{1, now.Unix()})
	prove := func(index uint64) *ledger.Proved {
		p, err := author.Prove(t.Context(), author.author, index)
		if err != nil {
			t.Fatal(err)
		}
		p.Checkpoint = seen
		return p
	}
	first, second := ledgertest.Release("app", "1", 1), ledgertest.Release("app", "1", 2)
	here := &ledger.Content{Digest: first.Image.Digest, Infohash: first.Infohash}
	reader := author.copyOf(t, rule, 3, seen)
	reader.judge(t, "the tag, rolled back", ledger.Claim{Proved: prove(1), Tagged: true}, "latest", "latest", "released the tag again, in entry 2")
	reader.judge(t, "the old one by digest", ledger.Claim{Proved: prove(1), Digest: first.Image.Digest, Content: here}, "", "latest", "in entry 2")
	reader.judge(t, "the tag", ledger.Claim{Proved: prove(2), Tagged: true, Content: &ledger.Content{Digest: second.Image.Digest}}, "", "latest", "It is the latest release")

	// Who has less of the log than witnesses have seen cannot know.
	one, err := author.Leaves(author.author, 0, 2)
	if err != nil {
		t.Fatal(err)
	}
	short := ledger.New(ledger.NewMem(), "public")
	short.Require(rule)
	before, err := ledger.SignCheckpoint(checkpointOf(t, author, 2), ledgertest.Key(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := short.Extend(t.Context(), author.author, 0, one, before); err != nil {
		t.Fatal(err)
	}
	(&authored{short, author.author}).judge(t, "the log is cut short", ledger.Claim{Proved: prove(1), Tagged: true, Content: here},
		"latest", "latest", "Witnesses saw 3 entries of the author's log, more than are here")
	(&authored{short, author.author}).judge(t, "before the download", ledger.Claim{Proved: prove(1), Tagged: true}, "", "latest", "")
}

// checkpointOf is the checkpoint that a log had at a size.
func checkpointOf(t testing.TB, a *authored, size uint64) ledger.Checkpoint {
	t.Helper()
	l := ledger.New(ledger.NewMem(), "public")
	author := ledgertest.Author(t, l, ledgertest.Key(1))
	for n := 1; uint64(n) < size; n++ {
		ledgertest.Append(t, l, author, ledgertest.Key(1), "app", "1", n)
	}
	head, err := l.Head(author)
	if err != nil || author != a.author {
		t.Fatal(author, err)
	}
	return ledger.Checkpoint{Origin: ledger.Origin("public", author), Size: size, Root: head.Root}
}

// TestThreatBackdatingEntries: what an entry says of its time counts for
// nothing; the median of the cosignatures does.
func TestThreatBackdatingEntries(t *testing.T) {
	t.Parallel()
	rule := required(t, day)
	author := newAuthored(t, rule)
	for i, created := range []time.Time{now.AddDate(-50, 0, 0), now, now.AddDate(50, 0, 0)} {
		r := ledgertest.Release("app", fmt.Sprint(i), i)
		r.Created = created
		p, err := author.AppendRelease(t.Context(), author.author, ledgertest.Key(1), r)
		if err != nil {
			t.Fatal(err)
		}
		plain := p.Checkpoint
		p.Checkpoint = cosigned(t, plain, stamp{0, now.Unix()}, stamp{1, now.Unix()})
		author.judge(t, "seen now", ledger.Claim{Proved: p}, "", "witnessed", "at 2026-01-02T15:04:05Z (the median)")
		p.Checkpoint = cosigned(t, plain, stamp{0, now.AddDate(-1, 0, 0).Unix()}, stamp{1, now.AddDate(-1, 0, 0).Unix()}, stamp{2, now.Unix()})
		author.judge(t, "seen a year ago", ledger.Claim{Proved: p}, "witnessed", "witnessed", "at 2025-01-02T15:04:05Z (the median)")
	}
}

// TestThreatPostQuantum: a policy names witnesses of both kinds, and both kinds
// of cosignatures count.
func TestThreatPostQuantum(t *testing.T) {
	t.Parallel()
	private, err := mldsa.NewPrivateKey(mldsa.MLDSA44(), bytes.Repeat([]byte{7}, mldsa.PrivateKeySize))
	if err != nil {
		t.Fatal(err)
	}
	quantum := note.Key{Name: "q.example", Alg: note.MLDSA44, MLDSA: string(private.PublicKey().Bytes())}
	text := "witness classic " + witnessKey(0).String() + "\nwitness quantum " + quantum.String() + "\ngroup both all classic quantum\nquorum both\n"
	rule := policy.Rule{Policy: parse(t, text), Required: true, MaxAge: day, Now: func() time.Time { return now }}
	a := newAuthored(t, rule)
	p := a.release(t, "1", 1)
	p.Checkpoint = cosigned(t, p.Checkpoint, stamp{0, now.Unix()})
	a.judge(t, "the classic one alone", ledger.Claim{Proved: p}, "witnessed", "witnessed", "1 of 2")
	n, err := note.Parse(p.Checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := note.Cosign(quantum, n.Text, now.Unix(), func(msg []byte) []byte {
		sig, err := private.SignDeterministic(msg, nil)
		if err != nil {
			t.Error(err)
		}
		return sig
	})
	if err != nil {
		t.Fatal(err)
	}
	n.Sigs = append(n.Sigs, sig)
	p.Checkpoint = n.Encode()
	a.judge(t, "both", ledger.Claim{Proved: p}, "", "witnessed", "2 of 2 witnesses cosigned the log at size 2, at 2026-01-02T15:04:05Z")
	n.Sigs[len(n.Sigs)-1].Raw = bytes.Clone(sig.Raw)
	n.Sigs[len(n.Sigs)-1].Raw[100] ^= 1
	p.Checkpoint = n.Encode()
	a.judge(t, "one bit", ledger.Claim{Proved: p}, "witnessed", "witnessed", "1 of 2")
	again := quantum
	again.Name = "another.example"
	if _, err := policy.Parse([]byte("witness a " + quantum.String() + "\nwitness b " + again.String() + "\nquorum a\n")); err == nil {
		t.Error("one post-quantum key counts twice")
	}
}
