package policy_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	fwitness "github.com/transparency-dev/formats/witness"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/ledgertest"
	"github.com/dockchains/dockchain/ledger/note"
	"github.com/dockchains/dockchain/ledger/policy"
)

const origin = "example.com/log"

// witnessKey is the n-th witness.
func witnessKey(n int) note.Key {
	return note.Key{Name: fmt.Sprintf("w%d.example", n), Alg: note.CosignatureV1, Public: ledgertest.Key(uint64(100 + n)).Public()}
}

func logKey() note.Key {
	return note.Key{Name: origin, Alg: note.Ed25519, Public: ledgertest.Key(1).Public()}
}

func parse(t testing.TB, text string) *policy.Policy {
	t.Helper()
	p, err := policy.Parse([]byte(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return p
}

// kOfN is a policy of n witnesses of which k must have seen.
func kOfN(k, n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "log %s\n", logKey())
	group := fmt.Sprintf("group all-of-them %d", k)
	for i := range n {
		fmt.Fprintf(&b, "witness w%d %s\n", i, witnessKey(i))
		group += fmt.Sprintf(" w%d", i)
	}
	return b.String() + group + "\nquorum all-of-them\n"
}

// stamp is a cosignature to make: by whom, when.
type stamp struct {
	witness int
	at      int64
}

func checkpoint(t testing.TB, size uint64, stamps ...stamp) []byte {
	t.Helper()
	signed, err := ledger.SignCheckpoint(ledger.Checkpoint{Origin: origin, Size: size}, ledgertest.Key(1))
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Parse(signed)
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

func TestParse(t *testing.T) {
	t.Parallel()
	w := func(n int) string { return witnessKey(n).String() }
	text := "# a policy\n\n \t\n  # indented\nlog " + logKey().String() + " https://example.com/log/\n" +
		"witness\ta \t" + w(0) + "\t\n" +
		"  witness #b " + w(1) + " https://w1.example/#x\n" +
		"witness all " + w(2) + "\nwitness \xff\xe2 " + w(3) + "\n" +
		"group two 2 a #b all\ngroup any any two\ngroup g all any \xff\xe2\n# and\nquorum g\n# end\n"
	got := parse(t, text)
	want := &policy.Policy{
		Logs: []policy.Log{{Key: logKey(), URL: "https://example.com/log/"}},
		Witnesses: []policy.Witness{
			{Name: "a", Key: witnessKey(0)}, {Name: "#b", Key: witnessKey(1), URL: "https://w1.example/#x"},
			{Name: "all", Key: witnessKey(2)}, {Name: "\xff\xe2", Key: witnessKey(3)},
		},
		Groups: []policy.Group{
			{Name: "two", Threshold: 2, Members: []string{"a", "#b", "all"}},
			{Name: "any", Threshold: 1, Members: []string{"two"}},
			{Name: "g", Threshold: 2, Members: []string{"any", "\xff\xe2"}},
		},
		Quorum: "g",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want, parse(t, string(got.Encode()))); diff != "" {
		t.Errorf("re-encoded: %s", diff)
	}
	if p := parse(t, "quorum none\n"); p.Quorum != "none" || string(p.Encode()) != "quorum none\n" {
		t.Errorf("%+v", p)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	a, b := witnessKey(0).String(), witnessKey(1).String()
	log := logKey().String()
	renamed := note.Key{Name: "other", Alg: note.CosignatureV1, Public: witnessKey(0).Public}
	otherOrigin := note.Key{Name: "other", Alg: note.Ed25519, Public: logKey().Public}
	plain := note.Key{Name: "w", Alg: note.Ed25519, Public: witnessKey(0).Public}
	small := note.Key{Name: "w", Alg: note.CosignatureV1}
	two := "witness a " + a + "\nwitness b " + b + "\n"
	for name, in := range map[string]string{
		"empty":                      "",
		"open":                       "quorum none",
		"no quorum":                  two,
		"two quorums":                "quorum none\nquorum none\n",
		"unknown quorum":             two + "quorum c\n",
		"quorum of two":              two + "quorum a b\n",
		"quorum of none":             two + "quorum\n",
		"quorum before":              "quorum a\n" + two,
		"unknown word":               "witnesses a\nquorum none\n",
		"upper case":                 "Quorum none\n",
		"crlf":                       "quorum none\r\n",
		"zero byte":                  "# \x00\nquorum none\n",
		"delete":                     "# \x7f\nquorum none\n",
		"form feed":                  "quorum\fnone\n",
		"trailing comment":           "quorum none # really\n",
		"witness none":               "witness none " + a + "\nquorum none\n",
		"group none":                 two + "group none any a\nquorum none\n",
		"name taken":                 "witness a " + a + "\nwitness a " + b + "\nquorum a\n",
		"group takes name":           two + "group a any b\nquorum a\n",
		"one key counted twice":      "witness a " + a + "\nwitness b " + a + "\nquorum a\n",
		"one key under two names":    "witness a " + a + "\nwitness b " + renamed.String() + "\nquorum a\n",
		"log twice":                  "log " + log + "\nlog " + log + "\nquorum none\n",
		"log key under two names":    "log " + log + "\nlog " + otherOrigin.String() + "\nquorum none\n",
		"log without key":            "log\nquorum none\n",
		"log with more":              "log " + log + " url more\nquorum none\n",
		"witness without key":        "witness a\nquorum none\n",
		"witness with more":          "witness a " + a + " url more\nquorum none\n",
		"witness with a key of logs": "witness a " + plain.String() + "\nquorum a\n",
		"key of small order":         "witness a " + small.String() + "\nquorum a\n",
		"key with another id":        "witness a " + strings.Replace(a, "+", "+0", 1) + "\nquorum a\n",
		"no post-quantum key":        "witness a w+00000000+BgAB\nquorum a\n",
		"key of another type":        "witness a w+00000000+BwAB\nquorum a\n",
		"group without members":      two + "group g any\nquorum g\n",
		"unknown member":             two + "group g any c\nquorum g\n",
		"itself":                     two + "group g any g\nquorum g\n",
		"later group":                two + "group g any h\ngroup h any a\nquorum g\n",
		"member twice":               two + "group g 2 a a\nquorum g\n",
		"member of two groups":       two + "group g any a\ngroup h all a b\nquorum h\n",
		"member none":                two + "group g any none\nquorum g\n",
		"0 of":                       two + "group g 0 a b\nquorum g\n",
		"3 of 2":                     two + "group g 3 a b\nquorum g\n",
		"-1 of":                      two + "group g -1 a b\nquorum g\n",
		"+1 of":                      two + "group g +1 a b\nquorum g\n",
		"01 of":                      two + "group g 01 a b\nquorum g\n",
		"some of":                    two + "group g some a b\nquorum g\n",
		"2^64+1 of":                  two + "group g 18446744073709551617 a b\nquorum g\n",
		"large":                      strings.Repeat("#\n", policy.MaxSize) + "quorum none\n",
	} {
		if p, err := policy.Parse([]byte(in)); !errors.Is(err, policy.ErrMalformed) {
			t.Errorf("%s: %+v, %v, want ErrMalformed", name, p, err)
		}
	}
	if _, err := policy.Parse([]byte("witness a w+00000000+BwAB\nquorum a\n")); !errors.Is(err, note.ErrUnsupported) {
		t.Errorf("key of another type: %v, want ErrUnsupported", err)
	}
}

// randomPolicy makes a policy of n witnesses in a tree of groups.
func randomPolicy(r *rand.Rand, n int) *policy.Policy {
	p := &policy.Policy{}
	var loose []string
	for i := range n {
		w := policy.Witness{Name: fmt.Sprint("w", i), Key: witnessKey(i), URL: "https://w.example/"}
		p.Witnesses = append(p.Witnesses, w)
		loose = append(loose, w.Name)
	}
	for i := 0; len(loose) > 1; i++ {
		r.Shuffle(len(loose), func(i, j int) { loose[i], loose[j] = loose[j], loose[i] })
		k := 1 + r.IntN(len(loose))
		g := policy.Group{Name: fmt.Sprint("g", i), Members: slices.Clone(loose[:k]), Threshold: 1 + r.IntN(k)}
		p.Groups = append(p.Groups, g)
		loose = append(loose[k:], g.Name)
		if k == 1 && r.IntN(4) == 0 {
			break
		}
	}
	p.Quorum = loose[r.IntN(len(loose))]
	return p
}

// TestOracle: transparency-dev reads the same policies and finds the same
// quorums.
func TestOracle(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	yes, no := 0, 0
	for range 60 {
		n := 1 + r.IntN(9)
		made := randomPolicy(r, n)
		ours := parse(t, string(made.Encode()))
		if diff := cmp.Diff(made, ours); diff != "" {
			t.Fatal(diff)
		}
		theirs, err := fwitness.ParsePolicy(made.Encode())
		if err != nil {
			t.Fatalf("transparency-dev: %v in\n%s", err, made.Encode())
		}
		for range 8 {
			var stamps []stamp
			for i := range n {
				if r.IntN(2) == 0 {
					stamps = append(stamps, stamp{i, 7})
				}
			}
			signed := checkpoint(t, 7, stamps...)
			got, err := ours.Evaluate(signed)
			if err != nil {
				t.Fatal(err)
			}
			if want := theirs.Satisfied(signed); got.Quorum != want {
				t.Errorf("%v by %v, transparency-dev says %v of\n%s", got.Quorum, stamps, want, made.Encode())
			}
			if got.Quorum {
				yes++
			} else {
				no++
			}
		}
	}
	if yes == 0 || no == 0 {
		t.Errorf("%d quorums and %d that are none: both must occur", yes, no)
	}
}

// FuzzParse: what is accepted has one canonical spelling that says the same.
func FuzzParse(f *testing.F) {
	f.Add([]byte(kOfN(2, 3)))
	f.Add([]byte("# x\n\twitness a " + witnessKey(0).String() + " https://w/\ngroup g all a\nquorum g\n"))
	f.Add([]byte("quorum none\n"))
	signed := checkpoint(f, 7, stamp{0, 7}, stamp{1, 8})
	f.Fuzz(func(t *testing.T, in []byte) {
		p, err := policy.Parse(in)
		if err != nil {
			return
		}
		again, err := policy.Parse(p.Encode())
		if err != nil {
			t.Fatalf("%q re-encodes to %q: %v", in, p.Encode(), err)
		}
		if diff := cmp.Diff(p, again); diff != "" {
			t.Errorf("%q re-encodes to %q: %s", in, p.Encode(), diff)
		}
		if !bytes.Equal(p.Encode(), again.Encode()) {
			t.Errorf("%q then %q", p.Encode(), again.Encode())
		}
		if _, err := p.Evaluate(signed); err != nil && !errors.Is(err, note.ErrBadSignature) {
			t.Error(err)
		}
	})
}
