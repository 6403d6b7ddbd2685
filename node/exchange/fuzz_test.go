package exchange

import (
	"io"
	"log/slog"
	"testing"

	"github.com/dockchains/dockchain/index"
	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/ledgertest"
	"github.com/dockchains/dockchain/ledger/quota"
	"github.com/dockchains/dockchain/ledger/reconcile"
	"github.com/dockchains/dockchain/ledger/witness"
	"github.com/dockchains/dockchain/node/store"
	"github.com/dockchains/dockchain/p2p/swarm"
	"github.com/dockchains/dockchain/reputation"
)

// steadyAuthor is the same one in every process that a fuzz target runs in.
func steadyAuthor(t testing.TB) *author {
	t.Helper()
	a := &author{ledger: ledger.New(ledger.NewMem(), "public"), key: ledgertest.Key(1)}
	a.id = ledgertest.Author(t, a.ledger, a.key)
	return a
}

// newListener is as much of an exchange as hears and answers peers, over a store
// of its own.
func newListener(f testing.TB) *Exchange {
	f.Helper()
	log := slog.New(slog.DiscardHandler)
	s, err := store.Open(f.TempDir(), log)
	if err != nil {
		f.Fatal(err)
	}
	i, err := index.Create(f.TempDir(), log)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		for _, c := range []io.Closer{i, s} {
			if err := c.Close(); err != nil {
				f.Error(err)
			}
		}
	})
	l := ledger.New(s.Ledgers(), "public")
	key := newAuthor(f)
	w, err := witness.New(witness.Config{Name: "w", Key: key.key, Logs: witness.Authors(l), Store: s.Witness()})
	if err != nil {
		f.Fatal(err)
	}
	x := &Exchange{
		Config:   Config{Me: Author{ID: key.id}, Store: s, Index: i, Ledger: l, Reputation: reputation.New(reputation.Config{}), Witness: w},
		log:      log,
		storage:  newStorage(StorageConfig{}),
		holdings: newHoldings(), heads: reconcile.NewIndex(), catchUps: newTurns(1, 1, 1),
	}
	if x.limits, err = newLimits(quota.Config{}); err != nil {
		f.Fatal(err)
	}
	if x.witnesses, err = newWitnesses(nil, nil); err != nil {
		f.Fatal(err)
	}
	return x
}

// What is gossiped freezes no log of an honest author, and an entry of nobody's
// log is not passed on.
func FuzzGossip(f *testing.F) {
	x := newListener(f)
	honest := steadyAuthor(f)
	older, last := honest.release(f, "1", anInfohash), honest.release(f, "2", anInfohash)
	head, err := honest.ledger.Head(honest.id)
	if err != nil {
		f.Fatal(err)
	}
	leaves, err := honest.ledger.Leaves(honest.id, 0, head.Size)
	if err != nil {
		f.Fatal(err)
	}
	if _, err := x.Ledger.Extend(f.Context(), honest.id, 0, leaves, head.Checkpoint); err != nil {
		f.Fatal(err)
	}
	f.Add(older.Encode())
	f.Add(last.Encode())
	f.Add([]byte(`{"fork":`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if x.Judge(t.Context(), "peer", b) == Accept {
			p, err := ledger.DecodeProved(b)
			if err != nil {
				t.Fatalf("accepted %q: %v", b, err)
			}
			if _, _, err := p.Verify(); err != nil {
				t.Errorf("accepted %q: %v", b, err)
			}
			x.Receive(t.Context(), "peer", b)
		}
		if x.JudgeEvidence(t.Context(), "peer", b) == Accept || x.isFrozen(honest.id) {
			t.Errorf("%q convicts somebody", b)
		}
	})
}

// A record of the DHT is taken only under the key that its author may write.
func FuzzRecord(f *testing.F) {
	a := steadyAuthor(f)
	p := a.release(f, "1", anInfohash)
	ih, err := swarm.ParseInfohash(anInfohash)
	if err != nil {
		f.Fatal(err)
	}
	key := recordKey(ih, a.id)
	f.Add(key, p.Encode())
	f.Add("/release/"+anInfohash+"/", p.Encode())
	f.Add("/release//"+string(a.id), []byte("{}"))
	f.Fuzz(func(t *testing.T, k string, value []byte) {
		if (Records{}).Validate(k, value) != nil {
			return
		}
		if got, err := ledger.DecodeProved(value); err != nil || k != key || string(got.Entry) != string(p.Entry) {
			t.Errorf("%q takes %q", k, value)
		}
	})
}

// Nothing is here, so no question is answered, and none harms.
func FuzzQuestions(f *testing.F) {
	x := newListener(f)
	f.Add([]byte(`{"infohash":"` + anInfohash + `"}`))
	f.Add([]byte(`{"author":"` + string(x.Me.ID) + `","repo":"app","tag":"1"}`))
	f.Add([]byte(`{"author":"","repo":"","tag":""}`))
	f.Add([]byte(`{"after":"` + string(x.Me.ID) + `"}`))
	f.Add([]byte("old 0\n\npublic/l/" + string(x.Me.ID) + "\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n— a AAAAAAEC\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := x.answerReleases(t.Context(), "peer", b); err == nil {
			t.Errorf("releases given: %q", got)
		}
		if got, err := x.answerRelease(t.Context(), "peer", b); err == nil {
			t.Errorf("release given: %q", got)
		}
		if got, err := x.answerLayer(t.Context(), "peer", b); err == nil {
			t.Errorf("torrent given: %q", got)
		}
		if got, err := x.answerKeep(t.Context(), "peer", b); err == nil {
			t.Errorf("%q is answered with %q, and nothing is lent", b, got)
		}
		if got, err := x.answerFrozen(t.Context(), "peer", b); err == nil && string(got) != string(encode(frozenAnswer{Authors: []string{}})) {
			t.Errorf("frozen logs given: %q", got)
		}
		got, err := x.answerCosign(t.Context(), "peer", b)
		if err != nil {
			t.Fatal(err)
		}
		if a, err := witness.ParseAnswer(got); err != nil || a.Status == 200 {
			t.Errorf("cosigned: %q, %v", got, err)
		}
	})
}
