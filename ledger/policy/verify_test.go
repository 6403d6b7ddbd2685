package policy_test

import (
	"bytes"
	"errors"
	"math"
	"math/bits"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/ledgertest"
	"github.com/dockchains/dockchain/ledger/note"
	"github.com/dockchains/dockchain/ledger/policy"
	"github.com/dockchains/dockchain/ledger/witness"
)

func TestVerify(t *testing.T) {
	t.Parallel()
	p := parse(t, kOfN(2, 3))
	good := checkpoint(t, 7, stamp{0, 7}, stamp{2, 9})
	others, err := ledger.SignCheckpoint(ledger.Checkpoint{Origin: origin, Size: 7}, ledgertest.Key(2))
	if err != nil {
		t.Fatal(err)
	}
	byOther, err := note.Parse(others)
	if err != nil {
		t.Fatal(err)
	}
	cosigs, err := note.Parse(good)
	if err != nil {
		t.Fatal(err)
	}
	byOther.Sigs = append(byOther.Sigs, cosigs.Sigs[1:]...)
	for name, tc := range map[string]struct {
		in   []byte
		want error
	}{
		"good":           {good, nil},
		"all":            {checkpoint(t, 7, stamp{2, 7}, stamp{1, 8}, stamp{0, 9}), nil},
		"one":            {checkpoint(t, 7, stamp{0, 7}), policy.ErrNoQuorum},
		"none":           {checkpoint(t, 7), policy.ErrNoQuorum},
		"not the log":    {byOther.Encode(), policy.ErrNotLogged},
		"changed":        {bytes.Replace(good, []byte("\n7\n"), []byte("\n8\n"), 1), note.ErrBadSignature},
		"no note":        {[]byte("x"), note.ErrMalformed},
		"no checkpoint":  {[]byte("x\n\n— a AAAAAAEC\n"), ledger.ErrBadCheckpoint},
		"too large":      {make([]byte, note.MaxSize+1), note.ErrTooLarge},
		"another origin": {bytes.Replace(good, []byte(origin), []byte("example.com/l0g"), 1), note.ErrBadSignature},
	} {
		r, err := p.Verify(tc.in)
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
		if err == nil && (!r.Quorum || len(r.Logs) != 1 || r.Checkpoint.Size != 7) {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if r, err := parse(t, "quorum none\n").Verify(good); err != nil || !r.Quorum {
		t.Errorf("quorum none: %+v, %v", r, err)
	}
}

// TestEveryBit: no bit of a checkpoint can be flipped without being noticed.
func TestEveryBit(t *testing.T) {
	t.Parallel()
	p := parse(t, kOfN(2, 2))
	good := checkpoint(t, 7, stamp{0, 7}, stamp{1, 9})
	step := 1
	if testing.Short() {
		step = 7
	}
	for i := 0; i < len(good)*8; i += step {
		bad := bytes.Clone(good)
		bad[i/8] ^= 1 << (i % 8)
		if _, err := p.Verify(bad); err == nil {
			t.Errorf("bit %d of %q", i%8, good[i/8])
		}
	}
}

// TestThreatOneKeyCountedKTimes: many cosignatures of one witness are one, and
// no policy lists one key under two names.
func TestThreatOneKeyCountedKTimes(t *testing.T) {
	t.Parallel()
	renamed := witnessKey(0)
	renamed.Name = "another.example"
	if _, err := policy.Parse([]byte("witness a " + witnessKey(0).String() + "\nwitness b " + renamed.String() + "\ngroup g all a b\nquorum g\n")); !errors.Is(err, policy.ErrMalformed) {
		t.Errorf("one key under two names: %v, want ErrMalformed", err)
	}
	p := parse(t, kOfN(2, 3))
	n, err := note.Parse(checkpoint(t, 7, stamp{0, 7}))
	if err != nil {
		t.Fatal(err)
	}
	again, err := note.Cosign(renamed, n.Text, 7, ledgertest.Key(100).Sign)
	if err != nil {
		t.Fatal(err)
	}
	n.Sigs = append(n.Sigs, again)
	if r, err := p.Evaluate(n.Encode()); err != nil || r.Quorum || len(r.Witnesses) != 1 {
		t.Errorf("one key that signs under two names: %+v, %v", r, err)
	}
	if _, err := p.Verify(checkpoint(t, 7, stamp{0, 7}, stamp{0, 7}, stamp{0, 8}, stamp{0, 9})); !errors.Is(err, policy.ErrNoQuorum) {
		t.Errorf("%v, want ErrNoQuorum", err)
	}
}

// TestThreatSybilWitnesses: cosigners that nobody named count for nothing.
func TestThreatSybilWitnesses(t *testing.T) {
	t.Parallel()
	p := parse(t, kOfN(2, 3))
	for seen := range 2 {
		stamps := []stamp{{0, 7}}[:seen]
		for i := range 60 {
			stamps = append(stamps, stamp{1000 + i, 7})
		}
		r, err := p.Evaluate(checkpoint(t, 7, stamps...))
		if err != nil || r.Quorum || len(r.Witnesses) != seen {
			t.Errorf("%d named ones among them: %+v, %v", seen, r, err)
		}
	}
	crowd := make([]stamp, 1000)
	for i := range crowd {
		crowd[i] = stamp{1000 + i, 7}
	}
	if _, err := p.Verify(checkpoint(t, 7, crowd...)); err == nil {
		t.Error("a thousand of them: no error")
	}
}

// TestThreatBackdating: what a minority of witnesses says about the time changes
// nothing.
func TestThreatBackdating(t *testing.T) {
	t.Parallel()
	p := parse(t, kOfN(3, 5))
	for name, tc := range map[string]struct {
		times []int64
		want  int64
	}{
		"agree":             {[]int64{100, 100, 100}, 100},
		"one backdates":     {[]int64{0, 100, 101}, 100},
		"one is ahead":      {[]int64{100, 101, math.MaxInt64}, 101},
		"two of five lie":   {[]int64{0, 100, 101, 102, math.MaxInt64}, 101},
		"two backdate":      {[]int64{0, 0, 100, 101, 102}, 100},
		"even: the earlier": {[]int64{100, 200, 300, 400}, 200},
	} {
		var stamps []stamp
		for i, at := range tc.times {
			stamps = append(stamps, stamp{i, at})
		}
		r, err := p.Verify(checkpoint(t, 7, stamps...))
		if err != nil {
			t.Fatal(err)
		}
		if at, ok := r.Time(); !ok || at.Unix() != tc.want {
			t.Errorf("%s: %v, %v, want %d", name, at, ok, tc.want)
		}
	}
}

// TestTimeOfQuorum: witnesses that the quorum does not ask for say nothing
// about the time.
func TestTimeOfQuorum(t *testing.T) {
	t.Parallel()
	text := ""
	for i := range 4 {
		text += "witness w" + string(rune('0'+i)) + " " + witnessKey(i).String() + "\n"
	}
	p := parse(t, text+"group inner all w0 w1\ngroup g any inner\nquorum g\n")
	r, err := p.Verify(checkpoint(t, 7, stamp{0, 100}, stamp{1, 100}, stamp{2, 5}, stamp{3, 5}))
	if err != nil {
		t.Fatal(err)
	}
	if at, ok := r.Time(); !ok || at.Unix() != 100 || len(r.Witnesses) != 4 {
		t.Errorf("%v, %v, %d witnesses", at, ok, len(r.Witnesses))
	}
}

// TestThreatRollbackFreeze: an old checkpoint, or one that is served for ever, is
// refused, whatever the clock here shows.
func TestThreatRollbackFreeze(t *testing.T) {
	t.Parallel()
	p := parse(t, kOfN(2, 3))
	at := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	const day = 24 * time.Hour
	signed := checkpoint(t, 7, stamp{0, at.Unix()}, stamp{1, at.Unix()})
	for name, tc := range map[string]struct {
		now  time.Time
		want error
	}{
		"now":             {at, nil},
		"in time":         {at.Add(day), nil},
		"a bit behind":    {at.Add(-policy.MaxAhead), nil},
		"old":             {at.Add(day + time.Second), policy.ErrStale},
		"years":           {at.AddDate(10, 0, 0), policy.ErrStale},
		"ten years back":  {at.AddDate(-10, 0, 0), policy.ErrFuture},
		"two hours back":  {at.Add(-2 * time.Hour), policy.ErrFuture},
		"a clock of zero": {time.Time{}, policy.ErrFuture},
	} {
		if _, err := p.VerifyFresh(signed, tc.now, day); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
	if _, err := parse(t, "quorum none\n").VerifyFresh(signed, at, day); !errors.Is(err, policy.ErrStale) {
		t.Errorf("no witness asked: %v, want ErrStale", err)
	}
	if _, err := p.VerifyFresh(checkpoint(t, 7, stamp{0, at.Unix()}), at, day); !errors.Is(err, policy.ErrNoQuorum) {
		t.Errorf("one witness: %v, want ErrNoQuorum", err)
	}
	ends := checkpoint(t, 7, stamp{0, math.MaxInt64}, stamp{1, math.MaxInt64})
	if _, err := p.VerifyFresh(ends, at, day); !errors.Is(err, policy.ErrFuture) {
		t.Errorf("the end of time: %v, want ErrFuture", err)
	}
}

// TestThreatSplitView shows two forks to witnesses in every way there is to divide
// them, with faulty ones that cosign both: as long as 2k > n+f, at most one
// fork gets its quorum.
func TestThreatSplitView(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ k, n, f int }{{3, 5, 0}, {4, 5, 2}, {3, 4, 1}, {4, 6, 1}} {
		if 2*tc.k <= tc.n+tc.f {
			t.Fatalf("%+v promises nothing", tc)
		}
		if testing.Short() && tc.n > 4 {
			continue
		}
		p := parse(t, kOfN(tc.k, tc.n))
		for left := range 1 << tc.n {
			a, b := splitView(t, p, tc.n, tc.f, left)
			if a && b {
				t.Errorf("%+v: both forks have a quorum when %0*b saw the one first", tc, tc.n, left)
			}
			if honest := bits.OnesCount(uint(left)); honest == tc.n && !a {
				t.Errorf("%+v: all saw one, and it has no quorum", tc)
			}
		}
	}
}

// splitView reports which of two forks reach the quorum when the witnesses in
// left are asked about the first one first.
func splitView(t *testing.T, p *policy.Policy, n, f, left int) (a, b bool) {
	t.Helper()
	forks := [2][]byte{}
	for i := range forks {
		signed, err := ledger.SignCheckpoint(ledger.Checkpoint{Origin: origin, Size: 7, Root: tlog.RecordHash([]byte{byte(i)})}, ledgertest.Key(1))
		if err != nil {
			t.Fatal(err)
		}
		forks[i] = signed
	}
	notes := [2]note.Note{}
	for i := range notes {
		notes[i], _ = note.Parse(forks[i])
	}
	for i := range n {
		order := []int{0, 1}
		if left>>i&1 == 0 {
			order = []int{1, 0}
		}
		store := witness.NewMem()
		for _, fork := range order {
			if i < f {
				store = witness.NewMem() // a faulty one forgets
			}
			logs, err := witness.NewKeys(logKey())
			if err != nil {
				t.Fatal(err)
			}
			w, err := witness.New(witness.Config{Name: witnessKey(i).Name, Key: ledgertest.Key(uint64(100 + i)), Logs: logs, Store: store})
			if err != nil {
				t.Fatal(err)
			}
			old := uint64(0)
			if r, err := store.Record(t.Context(), origin); err == nil {
				old = r.Size
			}
			sig, err := w.AddCheckpoint(t.Context(), witness.Request{Old: old, Checkpoint: forks[fork]})
			if err == nil {
				notes[fork].Sigs = append(notes[fork].Sigs, sig)
			}
		}
	}
	verdicts := [2]bool{}
	for i, n := range notes {
		r, err := p.Evaluate(n.Encode())
		if err != nil {
			t.Fatal(err)
		}
		verdicts[i] = r.Quorum
	}
	return verdicts[0], verdicts[1]
}
