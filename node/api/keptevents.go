package api

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/dockchains/dockchain/node/exchange"
)

// Wire types of the events that are kept.
type (
	KeptEventsRequest = exchange.KeptEventsRequest
	KeptEvent         = exchange.KeptEvent
	KeptEventsPage    = exchange.KeptEventsPage
)

// Kinds of events that are kept.
const (
	OddEvents  = exchange.OddEvents
	DeadEvents = exchange.DeadEvents
)

// keptEvents answers GET /api/v1/events/{odd|dead}?after=ID&n=LIMIT.
func (s *server) keptEvents(w http.ResponseWriter, r *http.Request) {
	answer(w, r, func(ctx context.Context) (page KeptEventsPage, err error) {
		q := r.URL.Query()
		req := KeptEventsRequest{Kind: r.PathValue("kind"), After: q.Get("after")}
		if n := q.Get("n"); n != "" {
			if req.Limit, err = strconv.Atoi(n); err != nil || req.Limit < 1 {
				return page, fmt.Errorf("%w: n must be a number from 1: %q", ErrBadRequest, n)
			}
		}
		return s.Statistics.KeptEvents(ctx, req)
	})
}

// KeptEvents gives a page of the events that were put aside or given up.
func (c *Client) KeptEvents(ctx context.Context, req KeptEventsRequest) (KeptEventsPage, error) {
	q := url.Values{}
	if req.After != "" {
		q.Set("after", req.After)
	}
	if req.Limit > 0 {
		q.Set("n", strconv.Itoa(req.Limit))
	}
	var page KeptEventsPage
	err := c.call(ctx, http.MethodGet, "events/"+url.PathEscape(req.Kind)+"?"+q.Encode(), nil, &page)
	return page, err
}
