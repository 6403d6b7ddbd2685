package api

import (
	"context"
	"net/http"
)

func (s *server) endorse(w http.ResponseWriter, r *http.Request)  { change(w, r, s.backend.Endorse) }
func (s *server) attest(w http.ResponseWriter, r *http.Request)   { change(w, r, s.backend.Attest) }
func (s *server) vouch(w http.ResponseWriter, r *http.Request)    { change(w, r, s.backend.Vouch) }
func (s *server) transfer(w http.ResponseWriter, r *http.Request) { change(w, r, s.backend.Transfer) }
func (s *server) proposeKeys(w http.ResponseWriter, r *http.Request) {
	change(w, r, s.backend.ProposeKeys)
}
func (s *server) appendProposal(w http.ResponseWriter, r *http.Request) {
	change(w, r, func(ctx context.Context, req appendRequest) (Said, error) {
		return s.backend.AppendProposal(ctx, req.Proposal)
	})
}
func (s *server) accept(w http.ResponseWriter, r *http.Request) {
	change(w, r, s.backend.AcceptRepository)
}

// Endorse stands by an image that another author released.
func (c *Client) Endorse(ctx context.Context, req EndorseRequest) (Said, error) {
	return c.say(ctx, "endorse", req)
}

// Attest says something about an image, as an in-toto predicate.
func (c *Client) Attest(ctx context.Context, req AttestRequest) (Said, error) {
	return c.say(ctx, "attest", req)
}

// Vouch speaks for another author.
func (c *Client) Vouch(ctx context.Context, req VouchRequest) (Said, error) {
	return c.say(ctx, "vouch", req)
}

// Transfer gives a repository to another author.
func (c *Client) Transfer(ctx context.Context, req TransferRequest) (Said, error) {
	return c.say(ctx, "transfer", req)
}

// AcceptRepository takes over what another author gives.
func (c *Client) AcceptRepository(ctx context.Context, req AcceptRequest) (Said, error) {
	return c.say(ctx, "accept", req)
}

// ProposeKeys proposes a change of the keys of the node's author.
func (c *Client) ProposeKeys(ctx context.Context, req KeyChange) (Said, error) {
	return c.say(ctx, "author/propose", req)
}

// AppendProposal adds what enough people signed to the log of the node's author.
func (c *Client) AppendProposal(ctx context.Context, proposal string) (Said, error) {
	return c.say(ctx, "ledger/append", appendRequest{proposal})
}

func (c *Client) say(ctx context.Context, route string, req any) (Said, error) {
	var res Said
	err := c.call(ctx, http.MethodPost, route, req, &res)
	return res, err
}
