package ledger

import (
	"fmt"
	"testing"
)

// TestStatesAreBounded: logs that nobody writes to any more are forgotten,
// those in use are not.
func TestStatesAreBounded(t *testing.T) {
	t.Parallel()
	l := New(NewMem(), "public")
	used := l.acquire("in use")
	for i := range 2 * maxIdleStates {
		l.release(l.acquire(AuthorID(fmt.Sprint(i))))
	}
	if len(l.states) > maxIdleStates {
		t.Errorf("%d states are kept, %d are allowed", len(l.states), maxIdleStates)
	}
	if again := l.acquire("in use"); again != used {
		t.Error("a state in use was forgotten")
	}
}

// TestIdleItemsAreBounded: so are those with large states.
func TestIdleItemsAreBounded(t *testing.T) {
	t.Parallel()
	f := newFacts()
	for i := range 1000 {
		f.set(fmt.Sprint(i), nil)
	}
	l := New(NewMem(), "public")
	used := l.acquire("in use")
	used.facts = f
	for i := range 3 * maxIdleItems / 1000 {
		s := l.acquire(AuthorID(fmt.Sprint(i)))
		s.facts = f.branch()
		l.release(s)
		if i%3 == 0 { // and used once more
			l.release(l.acquire(s.author))
		}
	}
	items := 0
	for _, s := range l.states {
		if s.users == 0 && s.facts != nil {
			items += s.facts.tree.Len()
		}
	}
	if items > maxIdleItems || items != l.items {
		t.Errorf("%d items are kept, counted as %d, %d are allowed", items, l.items, maxIdleItems)
	}
	if again := l.acquire("in use"); again != used {
		t.Error("a state in use was forgotten")
	}
}
