package p2p

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	ds "github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"
)

func put(t testing.TB, s *shelf, key string, size int) {
	t.Helper()
	if err := s.Put(t.Context(), ds.NewKey(key), make([]byte, size)); err != nil {
		t.Fatal(err)
	}
}

func keysUnder(t testing.TB, d ds.Datastore, prefix string) []string {
	t.Helper()
	res, err := d.Query(t.Context(), query.Query{Prefix: prefix})
	if err != nil {
		t.Fatal(err)
	}
	entries, err := res.Rest()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, fmt.Sprintf("%s=%x", e.Key, e.Value))
	}
	slices.Sort(out)
	return out
}

// TestShelfIsADatastore does the same at random to a shelf with room enough and
// to the datastore that kad-dht uses by itself.
func TestShelfIsADatastore(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ours, theirs := newShelf(1000, 1<<20, wholeShelf), ds.NewMapDatastore()
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 2000 {
		key := ds.NewKey(fmt.Sprintf("/providers/k%d/p%d", rng.IntN(8), rng.IntN(8)))
		if rng.IntN(4) == 0 {
			key = ds.NewKey(fmt.Sprintf("/values/v%d", rng.IntN(8)))
		}
		switch rng.IntN(4) {
		case 0:
			if err := ours.Delete(ctx, key); err != nil {
				t.Fatal(err)
			}
			theirs.Delete(ctx, key)
		default:
			if err := ours.Put(ctx, key, []byte{byte(i)}); err != nil {
				t.Fatal(err)
			}
			theirs.Put(ctx, key, []byte{byte(i)})
		}
		got, err := ours.Get(ctx, key)
		want, wantErr := theirs.Get(ctx, key)
		if diff := cmp.Diff(want, got); diff != "" || (err == nil) != (wantErr == nil) {
			t.Fatalf("step %d: Get(%s): %v, %v\n%s", i, key, err, wantErr, diff)
		}
		size, err := ours.GetSize(ctx, key)
		wantSize, wantErr := theirs.GetSize(ctx, key)
		has, _ := ours.Has(ctx, key)
		if size != wantSize || err != wantErr || has != (wantErr == nil) {
			t.Fatalf("step %d: GetSize(%s) = %d, %v; want %d, %v", i, key, size, err, wantSize, wantErr)
		}
		if i%50 != 0 {
			continue
		}
		for _, prefix := range []string{"", "/", "/providers", "/providers/", "/providers/k1", "/providers/k1/", "/prov", "/values", "/none"} {
			if diff := cmp.Diff(keysUnder(t, theirs, prefix), keysUnder(t, ours, prefix)); diff != "" {
				t.Fatalf("step %d: under %q (-want +got):\n%s", i, prefix, diff)
			}
		}
	}
	for _, k := range keysUnder(t, ours, "/") {
		key, _, _ := strings.Cut(k, "=")
		if err := ours.Delete(ctx, ds.NewKey(key)); err != nil {
			t.Fatal(err)
		}
	}
	if ours.bytes != 0 || ours.age.Len() != 0 || len(ours.dirs) != 0 || len(ours.owned) != 0 {
		t.Errorf("an emptied shelf keeps %d bytes, %d entries, %d keys, %d owners",
			ours.bytes, ours.age.Len(), len(ours.dirs), len(ours.owned))
	}
}

func TestShelfIsBounded(t *testing.T) {
	t.Parallel()
	s := newShelf(10, 1000, wholeShelf)
	for i := range 100 {
		put(t, s, fmt.Sprintf("/v/%03d", i), 1)
	}
	if got := keysUnder(t, s, "/v"); len(got) != 10 || got[0] != "/v/090=00" {
		t.Errorf("kept %q", got)
	}
	put(t, s, "/v/big", 900)
	if s.bytes > 1000 || s.find("/v/big") == nil {
		t.Errorf("%d bytes, big one there: %t", s.bytes, s.find("/v/big") != nil)
	}
	put(t, s, "/v/huge", 1001)
	if s.find("/v/huge") != nil || s.find("/v/big") == nil {
		t.Error("an entry that does not fit was kept or pushed others out")
	}
}

// TestOneOwnerCannotFillTheShelf writes many records of one peer, and sees the
// record of another stay.
func TestOneOwnerCannotFillTheShelf(t *testing.T) {
	t.Parallel()
	s := newShelf(80, 1<<20, providerOf)
	put(t, s, "/providers/k/honest", 8)
	for i := range 1000 {
		put(t, s, fmt.Sprintf("/providers/k%d/greedy", i), 8)
	}
	if s.find("/providers/k/honest") == nil {
		t.Error("the honest record is gone")
	}
	if got := s.owned["greedy"].Len(); got != 10 {
		t.Errorf("the greedy peer has %d records of 80, want an eighth", got)
	}
	if s.find("/providers/k999/greedy") == nil {
		t.Error("the newest record is not there")
	}
}
