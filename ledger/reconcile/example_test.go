package reconcile_test

import (
	"fmt"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/reconcile"
)

// Somebody who was away learns from a peer which logs went on. Respond stands for
// the way over the network.
func ExampleSession() {
	mine, peer := reconcile.NewIndex(), reconcile.NewIndex()
	for i := range 1000 {
		h := reconcile.Head{Author: ledger.AuthorIDOf(fmt.Append(nil, i)), Size: 3}
		if err := mine.Set(h); err != nil {
			fmt.Println(err)
		}
		if i == 42 {
			h.Size = 5
		}
		if err := peer.Set(h); err != nil {
			fmt.Println(err)
		}
	}
	s := reconcile.New(mine)
	for req, done := s.First(), false; !done; {
		answer, err := peer.Respond(req)
		if err != nil {
			fmt.Println(err)
			return
		}
		var theirs []reconcile.Head
		if req, theirs, done, err = s.Next(answer); err != nil {
			fmt.Println(err)
			return
		}
		for _, h := range theirs {
			have, _ := mine.Get(h.Author)
			fmt.Printf("%s has %d entries, %d are here\n", h.Author, h.Size, have.Size)
		}
	}
	// Output:
	// bafkreidti5olicswr2g2ricfz3irae36cwpyscwe3kedw2yx3rsrwouaje has 5 entries, 3 are here
}
