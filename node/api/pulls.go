package api

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/dockchains/dockchain/node/exchange"
)

// The list of pulls, as the exchange keeps it.
type (
	PullRecord   = exchange.PullRecord
	PullsRequest = exchange.PullsRequest
)

// States of a PullRecord.
const (
	PullRunning = exchange.PullRunning
	PullDone    = exchange.PullDone
	PullFailed  = exchange.PullFailed
)

type pullsAnswer struct {
	Pulls []PullRecord `json:"pulls"`
}

func (s *server) pulls(w http.ResponseWriter, r *http.Request) {
	answer(w, r, func(ctx context.Context) (pullsAnswer, error) {
		req, err := pullsRequest(r.URL.Query())
		if err != nil {
			return pullsAnswer{}, err
		}
		list, err := s.backend.Pulls(ctx, req)
		return pullsAnswer{Pulls: orEmpty(list)}, err
	})
}

func pullsRequest(q url.Values) (req PullsRequest, err error) {
	if q.Has("after") {
		if req.After, err = indexOf(q, "after"); err != nil {
			return req, err
		}
	}
	req.Limit, err = limitOf(q)
	return req, err
}

// Pulls lists what clients pulled through the node's registry, the newest first.
func (c *Client) Pulls(ctx context.Context, req PullsRequest) ([]PullRecord, error) {
	q := url.Values{}
	if req.Limit != 0 {
		q.Set("limit", strconv.Itoa(req.Limit))
	}
	if req.After != 0 {
		q.Set("after", strconv.FormatUint(req.After, 10))
	}
	var res pullsAnswer
	err := c.call(ctx, http.MethodGet, "pulls?"+q.Encode(), nil, &res)
	return res.Pulls, err
}
