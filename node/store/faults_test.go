package store

import (
	"fmt"
	"slices"
	"testing"

	"github.com/dockchains/dockchain/ledger"
)

func TestFrozen(t *testing.T) {
	t.Parallel()
	s := open(t)
	var want []ledger.AuthorID
	for i := range 5 {
		id := ledger.AuthorIDOf(fmt.Append(nil, i))
		want = append(want, id)
		if err := s.Ledgers().SetFault(t.Context(), id, ledger.Fault{Kind: "test", Evidence: []byte("proof")}); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(want)
	var got []ledger.AuthorID
	for after := ledger.AuthorID(""); ; after = got[len(got)-1] {
		page, err := s.Frozen(after, 2)
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, page...); len(page) < 2 {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
