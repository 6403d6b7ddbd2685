package notify

import (
	"errors"
	"testing"

	"github.com/dockchains/dockchain/node/exchange"
	"github.com/dockchains/dockchain/node/kv"
)

// keptEvents lists all of a kind, page by page of two.
func keptEvents(t *testing.T, s *Service, kind string) (list []exchange.KeptEvent) {
	t.Helper()
	req := exchange.KeptEventsRequest{Kind: kind, Limit: 2}
	for {
		page, err := s.KeptEvents(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Events) > 2 {
			t.Fatalf("a page of %d", len(page.Events))
		}
		list = append(list, page.Events...)
		if page.Next == "" {
			return list
		}
		req.After = page.Next
	}
}

func TestKeptEvents(t *testing.T) {
	t.Parallel()
	s := open(t, &kv.Mem{}, Config{})
	err := s.bucket.Update(func(tx kv.Txn) error {
		return errors.Join(
			save(tx, deadPrefix+of("a", number(9)), letter{noon, "it answers 400", []byte(`{"id":"1"}`)}),
			save(tx, deadPrefix+of("b", number(3)), letter{noon, "too old", []byte(`"cut off"`)}),
			tx.Set(deadPrefix+of("b", number(4)), []byte("<damaged>")),
			save(tx, quarantinePrefix+number(1), oddRecord{noon, "no JSON", []byte("<xml>")}),
		)
	})
	if err != nil {
		t.Fatal(err)
	}
	dead := keptEvents(t, s, exchange.DeadEvents)
	if len(dead) != 3 || dead[0].Endpoint != "a" || string(dead[0].Event) != `{"id":"1"}` || dead[0].ID != of("a", number(9)) ||
		dead[1].Reason != "too old" || dead[2].Reason != "its record is damaged" || string(dead[2].Event) != "null" {
		t.Errorf("dead letters: %+v", dead)
	}
	odd := keptEvents(t, s, exchange.OddEvents)
	if len(odd) != 1 || string(odd[0].Event) != `"\u003cxml\u003e"` || !odd[0].At.Equal(noon) {
		t.Errorf("odd events: %+v", odd)
	}
	if _, err := s.KeptEvents(t.Context(), exchange.KeptEventsRequest{Kind: "loud"}); !errors.Is(err, exchange.ErrBadRequest) {
		t.Errorf("of another kind: %v", err)
	}
	page, err := s.KeptEvents(t.Context(), exchange.KeptEventsRequest{Kind: exchange.DeadEvents, After: dead[2].ID})
	if err != nil || len(page.Events) != 0 || page.Next != "" {
		t.Errorf("after the last: %+v, %v", page, err)
	}
}
