package witness_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/ledgertest"
	"github.com/dockchains/dockchain/ledger/note"
	"github.com/dockchains/dockchain/ledger/witness"
)

// foreignLog is a log of another program: an origin, one key, hashes.
type foreignLog struct {
	origin string
	key    ledger.Key
	hashes []tlog.Hash
	size   int64
}

func newLog(t testing.TB, origin, flavour string, size int64) *foreignLog {
	t.Helper()
	l := &foreignLog{origin: origin, key: ledgertest.Key(1)}
	for range size {
		l.add(t, flavour)
	}
	return l
}

func (l *foreignLog) add(t testing.TB, flavour string) {
	t.Helper()
	stored, err := tlog.StoredHashes(l.size, fmt.Appendf(nil, "%s %d", flavour, l.size), l)
	if err != nil {
		t.Fatal(err)
	}
	l.hashes = append(l.hashes, stored...)
	l.size++
}

// ReadHashes implements tlog.HashReader.
func (l *foreignLog) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var out []tlog.Hash
	for _, i := range indexes {
		out = append(out, l.hashes[i])
	}
	return out, nil
}

func (l *foreignLog) vkey() note.Key {
	return note.Key{Name: l.origin, Alg: note.Ed25519, Public: l.key.Public()}
}

func (l *foreignLog) checkpoint(t testing.TB, size int64) []byte {
	t.Helper()
	root, err := tlog.TreeHash(size, l)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := ledger.SignCheckpoint(ledger.Checkpoint{Origin: l.origin, Size: uint64(size), Root: root}, l.key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func (l *foreignLog) prove(_ context.Context, older, newer uint64) ([]tlog.Hash, error) {
	return tlog.ProveTree(int64(newer), int64(older), l)
}

// request asks to cosign size after old.
func (l *foreignLog) request(t testing.TB, old, size int64) witness.Request {
	t.Helper()
	r := witness.Request{Old: uint64(old), Checkpoint: l.checkpoint(t, size)}
	if old > 0 && old < size {
		proof, err := l.prove(t.Context(), uint64(old), uint64(size))
		if err != nil {
			t.Fatal(err)
		}
		r.Proof = proof
	}
	return r
}

// start is what the clocks of the tests show first.
var start = time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)

func newWitness(t testing.TB, s witness.Store, now func() time.Time, logs ...*foreignLog) *witness.Witness {
	t.Helper()
	return newWitnessWith(t, witness.Config{Store: s, Now: now}, logs...)
}

func newWitnessWith(t testing.TB, cfg witness.Config, logs ...*foreignLog) *witness.Witness {
	t.Helper()
	var keys []note.Key
	for _, l := range logs {
		keys = append(keys, l.vkey())
	}
	known, err := witness.NewKeys(keys...)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Name, cfg.Key = "witness.example/w", ledgertest.Key(100)
	if cfg.Logs == nil {
		cfg.Logs = known
	}
	if cfg.Now == nil {
		cfg.Now = func() time.Time { return start }
	}
	w, err := witness.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// mustCosign wants the request to be cosigned, and returns when.
func mustCosign(t testing.TB, w *witness.Witness, r witness.Request) int64 {
	t.Helper()
	sig, err := w.AddCheckpoint(t.Context(), r)
	if err != nil {
		t.Fatalf("old %d: %v", r.Old, err)
	}
	n, err := note.Parse(r.Checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	if !w.Key().Verify(n.Text, sig) {
		t.Fatal("the cosignature does not verify")
	}
	at, ok := note.Time(sig)
	if !ok {
		t.Fatal("the cosignature has no time")
	}
	return at
}
