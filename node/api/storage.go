package api

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/dockchains/dockchain/node/exchange"
)

// What is kept on the disk and why, as the exchange has it.
type (
	PinRequest     = exchange.PinRequest
	Pin            = exchange.Pin
	Pins           = exchange.Pins
	Followed       = exchange.Followed
	CollectRequest = exchange.CollectRequest
	Collected      = exchange.Collected
	CollectedItem  = exchange.CollectedItem
	StorageStatus  = exchange.StorageStatus
)

// ErrStorageQuota: what is kept leaves no room for more.
var ErrStorageQuota = exchange.ErrStorageQuota

// keeper is the part of a Backend that keeps things.
type keeper interface {
	Pin(context.Context, PinRequest, func(Progress)) (Pin, error)
	Unpin(ctx context.Context, target string) error
	Pins(context.Context) (Pins, error)
	Collect(context.Context, CollectRequest, func(Progress)) (Collected, error)
}

func (s *server) storage(mux *http.ServeMux) {
	mux.HandleFunc("GET /api/v1/pins", func(w http.ResponseWriter, r *http.Request) { answer(w, r, s.backend.Pins) })
	mux.HandleFunc("POST /api/v1/pins", func(w http.ResponseWriter, r *http.Request) { stream(s, w, r, s.backend.Pin) })
	mux.HandleFunc("DELETE /api/v1/pins", func(w http.ResponseWriter, r *http.Request) {
		done(w, s.backend.Unpin(r.Context(), r.URL.Query().Get("target")))
	})
	mux.HandleFunc("POST /api/v1/gc", func(w http.ResponseWriter, r *http.Request) { stream(s, w, r, s.backend.Collect) })
}

// Pin keeps an image, which is fetched if it is not here.
func (c *Client) Pin(ctx context.Context, req PinRequest, progress func(Progress)) (Pin, error) {
	var res Pin
	err := c.stream(ctx, "pins", req, progress, &res)
	return res, err
}

// Unpin takes a pin back, or stops following a repository.
func (c *Client) Unpin(ctx context.Context, target string) error {
	if target == "" {
		return fmt.Errorf("%w: an empty name", ErrBadRequest)
	}
	return c.call(ctx, http.MethodDelete, "pins?"+url.Values{"target": {target}}.Encode(), nil, nil)
}

// Pins lists what is pinned and followed.
func (c *Client) Pins(ctx context.Context) (Pins, error) {
	var res Pins
	err := c.call(ctx, http.MethodGet, "pins", nil, &res)
	return res, err
}

// Collect removes what nobody needs.
func (c *Client) Collect(ctx context.Context, req CollectRequest, progress func(Progress)) (Collected, error) {
	var res Collected
	err := c.stream(ctx, "gc", req, progress, &res)
	return res, err
}
