package api

import (
	"context"
	"net/http"
	"net/url"
)

func (s *server) author(w http.ResponseWriter, r *http.Request) {
	answer(w, r, func(ctx context.Context) (AuthorStatus, error) {
		return s.backend.Author(ctx, r.URL.Query().Get("author"))
	})
}

func (s *server) rotate(w http.ResponseWriter, r *http.Request) {
	change(w, r, func(ctx context.Context, _ emptyRequest) (AuthorStatus, error) { return s.backend.RotateKeys(ctx) })
}

func (s *server) recoverKeys(w http.ResponseWriter, r *http.Request) {
	change(w, r, func(ctx context.Context, req RecoverRequest) (Recovered, error) {
		return s.backend.RecoverKeys(ctx, req)
	})
}

func (s *server) retire(w http.ResponseWriter, r *http.Request) {
	change(w, r, func(ctx context.Context, _ emptyRequest) (AuthorStatus, error) { return s.backend.RetireAuthor(ctx) })
}

func (s *server) revoke(w http.ResponseWriter, r *http.Request) { change(w, r, s.backend.Revoke) }

// Author tells who speaks for an author.
func (c *Client) Author(ctx context.Context, name string) (AuthorStatus, error) {
	var res AuthorStatus
	err := c.call(ctx, http.MethodGet, "author?"+url.Values{"author": {name}}.Encode(), nil, &res)
	return res, err
}

// RotateKeys makes the next key of the node's author the one that signs.
func (c *Client) RotateKeys(ctx context.Context) (AuthorStatus, error) {
	var res AuthorStatus
	err := c.call(ctx, http.MethodPost, "author/rotate", emptyRequest{}, &res)
	return res, err
}

// RecoverKeys does that and takes entries back.
func (c *Client) RecoverKeys(ctx context.Context, req RecoverRequest) (Recovered, error) {
	var res Recovered
	err := c.call(ctx, http.MethodPost, "author/recover", req, &res)
	return res, err
}

// RetireAuthor ends the log of the node's author, for good.
func (c *Client) RetireAuthor(ctx context.Context) (AuthorStatus, error) {
	var res AuthorStatus
	err := c.call(ctx, http.MethodPost, "author/retire", emptyRequest{}, &res)
	return res, err
}

// Revoke takes back what the node's author released.
func (c *Client) Revoke(ctx context.Context, req RevokeRequest) (Revoked, error) {
	var res Revoked
	err := c.call(ctx, http.MethodPost, "revoke", req, &res)
	return res, err
}
