package index

import (
	"crypto/rand"
	mathrand "math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/ledger"
)

// writer is an author with a real log.
type writer struct {
	t         *testing.T
	ledger    *ledger.Ledger
	id        ledger.AuthorID
	key, next ledger.Key
	entries   []*ledger.Entry
}

func newWriter(t *testing.T) *writer {
	t.Helper()
	w := &writer{t: t, ledger: ledger.New(ledger.NewMem(), "test"), key: newKey(t), next: newKey(t)}
	in := ledger.Inception{
		Network: "test", Keys: []ledger.PublicKey{w.key.Public()}, Threshold: 1,
		Next: []string{w.next.Public().Fingerprint()}, NextThreshold: 1,
	}
	var err error
	if w.id, err = w.ledger.Incept(t.Context(), in, w.key); err != nil {
		t.Fatal(err)
	}
	w.read(0)
	return w
}

func newKey(t *testing.T) ledger.Key {
	t.Helper()
	key, err := ledger.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (w *writer) read(index uint64) {
	w.t.Helper()
	leaves, err := w.ledger.Leaves(w.id, index, index+1)
	if err != nil {
		w.t.Fatal(err)
	}
	e, err := ledger.DecodeEntry(w.id, index, leaves[0])
	if err != nil {
		w.t.Fatal(err)
	}
	w.entries = append(w.entries, e)
}

func (w *writer) say(s ledger.Statement) {
	w.t.Helper()
	p, err := w.ledger.Append(w.t.Context(), w.id, []ledger.Key{w.key}, s)
	if err != nil {
		w.t.Fatal(err)
	}
	w.read(p.Index)
}

func (w *writer) release(tag, content string) {
	w.t.Helper()
	r := *entry("", 0, "app", tag).Release
	r.Image.Digest, r.Infohash = digest.FromString(content), digest.FromString(content).Encoded()[:40]
	r.Torrents = ledger.Descriptor{MediaType: "application/vnd.dockchain.torrents.v1+json", Digest: digest.FromString("map"), Size: 100}
	fit := r.Fit()
	w.say(&fit)
}

func (w *writer) recover(voidFrom uint64) {
	w.t.Helper()
	after := newKey(w.t)
	p, err := w.ledger.Recover(w.t.Context(), w.id, []ledger.Key{w.next}, ledger.KeySet{
		Keys: []ledger.PublicKey{w.next.Public()}, Threshold: 1,
		Next: []string{after.Public().Fingerprint()}, NextThreshold: 1,
	}, voidFrom)
	if err != nil {
		w.t.Fatal(err)
	}
	w.key, w.next = w.next, after
	w.read(p.Index)
}

// at is what a tag stands for.
type at struct {
	Index   uint64
	Revoked bool
}

// TestTakenBackIsNotFound folds a log while it grows: what it takes back is not
// found from then on and resolves to a release that says so, and what counts
// again is found again. Any other order of entries gives the same.
func TestTakenBackIsNotFound(t *testing.T) {
	both(t, func(t *testing.T, x *Index) {
		w := newWriter(t)
		for _, step := range []struct {
			name  string
			do    func()
			found []string
			tags  map[string]at
		}{
			{"released", func() { w.release("a", "1"); w.release("b", "2"); w.release("c", "2") }, // 1, 2, 3
				[]string{"app:a", "app:b", "app:c"}, map[string]at{"a": {1, false}, "b": {2, false}, "c": {3, false}}},
			{"a tag", func() { w.say(&ledger.Revoke{Repo: "app", Tag: "a"}) }, // 4
				[]string{"app:b", "app:c"}, map[string]at{"a": {1, true}}},
			{"its next release", func() { w.release("a", "1") }, // 5
				[]string{"app:a", "app:b", "app:c"}, map[string]at{"a": {5, false}}},
			{"a digest", func() { w.say(&ledger.Revoke{Digest: digest.FromString("2")}) }, // 6
				[]string{"app:a"}, map[string]at{"b": {2, true}, "c": {3, true}}},
			{"another image", func() { w.release("b", "3") }, // 7
				[]string{"app:a", "app:b"}, map[string]at{"b": {7, false}, "c": {3, true}}},
			{"a thief's words", func() {
				w.release("a", "bad")                                          // 8
				w.release("new", "bad")                                        // 9
				w.say(&ledger.Revoke{Digest: digest.FromString("3")})          // 10
				w.say(&ledger.Revoke{Repo: "app", Tag: "c"})                   // 11
				w.say(&ledger.Revoke{Repo: "app", Tag: "a", LastValid: 8 - 1}) // 12
			}, []string{"app:new"}, map[string]at{"a": {8, true}, "b": {7, true}, "new": {9, false}}},
			{"recovered", func() { w.recover(8) }, // 13
				[]string{"app:a", "app:b"}, map[string]at{"a": {5, false}, "b": {7, false}, "c": {3, true}, "new": {9, true}}},
			{"released again", func() { w.release("new", "4") }, // 14
				[]string{"app:a", "app:b", "app:new"}, map[string]at{"new": {14, false}}},
		} {
			before := len(w.entries)
			if step.name == "released" {
				before = 0
			}
			step.do()
			applyFrom(t, x, w.ledger, w.entries[before:]...)
			wantStanding(t, step.name, x, w.id, step.found, step.tags)
		}
		want := dump(t, x, w.id)

		applyFrom(t, x, w.ledger, w.entries...)
		if diff := cmp.Diff(want, dump(t, x, w.id)); diff != "" {
			t.Errorf("applied twice:\n%s", diff)
		}
		for _, size := range []int{1, 3, len(w.entries)} {
			mathrand.Shuffle(len(w.entries), func(i, j int) { w.entries[i], w.entries[j] = w.entries[j], w.entries[i] })
			if err := x.Reset(); err != nil {
				t.Fatal(err)
			}
			for i := 0; i < len(w.entries); i += size {
				applyFrom(t, x, w.ledger, w.entries[i:min(i+size, len(w.entries))]...)
			}
			if diff := cmp.Diff(want, dump(t, x, w.id)); diff != "" {
				t.Errorf("in another order, %d at a time:\n%s", size, diff)
			}
		}
	})
}

func applyFrom(t *testing.T, x *Index, l Ledger, entries ...*ledger.Entry) {
	t.Helper()
	if err := x.Apply(l, entries...); err != nil {
		t.Fatal(err)
	}
}

func wantStanding(t *testing.T, after string, x *Index, id ledger.AuthorID, found []string, tags map[string]at) {
	t.Helper()
	hits, total := find(t, x, Query{Text: "app", Limit: 50})
	if diff := cmp.Diff(found, names(hits)); diff != "" || total != len(found) {
		t.Errorf("after %s: found %d:\n%s", after, total, diff)
	}
	if n, err := x.Len(); err != nil || n != len(found) {
		t.Errorf("after %s: %d releases, %v", after, n, err)
	}
	for tag, want := range tags {
		r, err := x.Resolve(id, "app", tag)
		if got := (at{r.Index, r.Revoked != ""}); err != nil || got != want {
			t.Errorf("after %s: app:%s is %+v (%s), want %+v; %v", after, tag, got, r.Revoked, want, err)
		}
	}
}

// dump is everything that is told of an author.
func dump(t *testing.T, x *Index, id ledger.AuthorID) map[string]Record {
	t.Helper()
	out := map[string]Record{}
	for _, tag := range []string{"a", "b", "c", "new"} {
		r, err := x.Resolve(id, "app", tag)
		if err != nil {
			t.Fatal(err)
		}
		out[tag] = r
	}
	found, err := x.Tags(id, "app")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range found {
		out["found "+r.Tag] = r
	}
	return out
}
