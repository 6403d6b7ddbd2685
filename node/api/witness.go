package api

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/dockchains/dockchain/node/exchange"
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

func (s *server) sighting(w http.ResponseWriter, r *http.Request) {
	answer(w, r, func(ctx context.Context) (Sighted, error) {
		return s.backend.Sighting(ctx, r.URL.Query().Get("target"))
	})
}

func (s *server) explainPolicy(w http.ResponseWriter, r *http.Request) {
	change(w, r, s.backend.ExplainPolicy)
}

// What a witness of a PolicyStatus did.
const (
	AnswerCosigned = exchange.AnswerCosigned
	AnswerRefused  = exchange.AnswerRefused
	AnswerNone     = exchange.AnswerNone
)

// Sighting tells what witnesses have seen of an image's release, or of an
// author's log.
func (c *Client) Sighting(ctx context.Context, target string) (Sighted, error) {
	var res Sighted
	err := c.call(ctx, http.MethodGet, "witness/sighting?"+url.Values{"target": {target}}.Encode(), nil, &res)
	return res, err
}

// ExplainPolicy reads a policy of witnesses, and may ask them.
func (c *Client) ExplainPolicy(ctx context.Context, req PolicyRequest) (PolicyStatus, error) {
	var res PolicyStatus
	err := c.call(ctx, http.MethodPost, "witness/policy", req, &res)
	return res, err
}
