package exchange

import (
	"fmt"
	"testing"

	"github.com/dockchains/dockchain/ledger/quota"
)

func defaultLimits(t *testing.T) *limits {
	t.Helper()
	l, err := newLimits(quota.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// What proves nothing costs its sender, and soon is not looked at any more. What
// proves something costs nobody anything.
func TestUselessEvidenceCosts(t *testing.T) {
	t.Parallel()
	r := newRotated(t)
	x := newListener(t)
	x.Ledger = r.history("1").ledger
	var err error
	if x.limits, err = newLimits(quota.Config{PeerEvidence: quota.Rate{PerSecond: 1e-6, Burst: 2}}); err != nil {
		t.Fatal(err)
	}
	for i, want := range []Judgement{Reject, Reject, Ignore, Ignore} {
		if got := x.JudgeEvidence(t.Context(), "liar", fmt.Appendf(nil, "made up %d", i)); got != want {
			t.Errorf("made up %d: judged %v, want %v", i, got, want)
		}
	}
	if n := x.limits.Stats().Refused[quota.PeerEvidence]; n != 2 {
		t.Errorf("%d pieces were not looked at, want 2", n)
	}
	if x.PeerScore("liar") >= x.PeerScore("other") {
		t.Errorf("the liar's score is %v", x.PeerScore("liar"))
	}
	proof := against(t, r.history("1"), r.history("2"))
	if got := x.JudgeEvidence(t.Context(), "honest", proof); got != Accept {
		t.Fatalf("a proof is judged %v", got)
	}
	for range 5 { // known by now
		x.JudgeEvidence(t.Context(), "honest", proof)
	}
	if d := x.limits.Accuse("honest"); !d.OK {
		t.Errorf("good evidence was charged: %+v", d)
	}
}
