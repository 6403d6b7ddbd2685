package api

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
)

func (s *server) witness(w http.ResponseWriter, r *http.Request) {
	answer(w, r, func(ctx context.Context) (WitnessStatus, error) {
		q := r.URL.Query()
		limit, err := limitOf(q)
		if err != nil {
			return WitnessStatus{}, err
		}
		return s.backend.WitnessStatus(ctx, CosignedRequest{After: q.Get("after"), Limit: limit})
	})
}

// WitnessStatus tells of the node as a witness, and of its own witnesses.
func (c *Client) WitnessStatus(ctx context.Context, req CosignedRequest) (WitnessStatus, error) {
	q := url.Values{}
	if req.After != "" {
		q.Set("after", req.After)
	}
	if req.Limit != 0 {
		q.Set("limit", strconv.Itoa(req.Limit))
	}
	var res WitnessStatus
	err := c.call(ctx, http.MethodGet, "witness?"+q.Encode(), nil, &res)
	return res, err
}
