package index

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What is forgotten can be neither found nor looked up, the rest can, and it may
// come again.
func TestForget(t *testing.T) {
	both(t, func(t *testing.T, x *Index) {
		gone, stays := newWriter(t), newWriter(t)
		for _, w := range []*writer{gone, stays} {
			for _, tag := range []string{"1", "2", "3"} {
				w.release(tag, "content "+tag)
			}
			applyFrom(t, x, w.ledger, w.entries...)
		}
		of := func(w *writer) []Record {
			t.Helper()
			records, err := x.Tags(w.id, "app")
			if err != nil {
				t.Fatal(err)
			}
			return records
		}
		before := of(gone)
		if len(before) != 3 {
			t.Fatalf("%d releases", len(before))
		}
		for range 2 {
			if err := x.Forget(gone.id); err != nil {
				t.Fatal(err)
			}
		}
		if left := of(gone); len(left) > 0 {
			t.Errorf("%d releases are left", len(left))
		}
		if n := x.Applied()[gone.id]; n != 0 {
			t.Errorf("%d entries count as applied", n)
		}
		if n := len(of(stays)); n != 3 || x.Applied()[stays.id] != 4 {
			t.Errorf("%d releases of the other author are left", n)
		}
		applyFrom(t, x, gone.ledger, gone.entries...)
		if d := cmp.Diff(before, of(gone)); d != "" {
			t.Errorf("applied again, -want +got\n%s", d)
		}
	})
}
