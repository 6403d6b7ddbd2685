package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/dockchains/dockchain/node/exchange"
	"github.com/dockchains/dockchain/node/kv"
)

// maxKeptPage bounds a page of events; each of them has up to 32 KiB.
const maxKeptPage = 100

// KeptEvents gives a page of the events that were put aside or given up, the oldest
// first; those given up by endpoint.
func (s *Service) KeptEvents(_ context.Context, req exchange.KeptEventsRequest) (exchange.KeptEventsPage, error) {
	page := exchange.KeptEventsPage{Events: []exchange.KeptEvent{}}
	prefix, read := quarantinePrefix, readOdd
	switch req.Kind {
	case exchange.OddEvents:
	case exchange.DeadEvents:
		prefix, read = deadPrefix, readDead
	default:
		return page, fmt.Errorf("%w: events are %s or %s, not %q", exchange.ErrBadRequest, exchange.OddEvents, exchange.DeadEvents, text(req.Kind, 64))
	}
	limit := req.Limit
	if limit <= 0 || limit > maxKeptPage {
		limit = maxKeptPage
	}
	err := s.bucket.View(func(tx kv.Txn) error {
		for key, value := range tx.Each(prefix, req.After) {
			if key == req.After {
				continue
			}
			if len(page.Events) == limit {
				page.Next = page.Events[limit-1].ID
				break
			}
			e := read(key, value)
			e.ID = key
			page.Events = append(page.Events, e)
		}
		return tx.Err()
	})
	if err != nil {
		err = fmt.Errorf("reading what is kept of events: %w", err)
	}
	return page, err
}

// readOdd and readDead read records; a damaged one has no more than its key.

func readOdd(_ string, value []byte) exchange.KeptEvent {
	var r oddRecord
	if err := json.Unmarshal(value, &r); err != nil {
		return damaged
	}
	raw := json.RawMessage(r.Raw)
	if !json.Valid(raw) { // or cut off
		raw, _ = json.Marshal(string(r.Raw))
	}
	return exchange.KeptEvent{At: r.Received, Reason: r.Reason, Event: raw}
}

func readDead(key string, value []byte) exchange.KeptEvent {
	var l letter
	if err := json.Unmarshal(value, &l); err != nil {
		return damaged
	}
	endpoint, _, _ := strings.Cut(key, " ")
	return exchange.KeptEvent{At: l.Given, Endpoint: endpoint, Reason: l.Reason, Event: l.Event}
}

var damaged = exchange.KeptEvent{Reason: "its record is damaged", Event: json.RawMessage("null")}
