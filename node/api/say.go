package api

import (
	"context"
	"net/http"
)

func (s *server) endorse(w http.ResponseWriter, r *http.Request)  { change(w, r, s.backend.Endorse) }
func (s *server) attest(w http.ResponseWriter, r *http.Request)   { change(w, r, s.backend.Attest) }
func (s *server) vouch(w http.ResponseWriter, r *http.Request)    { change(w, r, s.backend.Vouch) }
func (s *server) transfer(w http.ResponseWriter, r *http.Request) { change(w, r, s.backend.Transfer) }
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

func (c *Client) say(ctx context.Context, route string, req any) (Said, error) {
	var res Said
	err := c.call(ctx, http.MethodPost, route, req, &res)
	return res, err
}
