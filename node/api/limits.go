package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/dockchains/dockchain/node/bandwidth"
)

// Wire types of the limits of traffic with peers.
type (
	LimitsStatus  = bandwidth.Status
	LimitsClass   = bandwidth.Class
	LimitsRequest = bandwidth.Request
	LimitsChange  = bandwidth.Change
	LimitsBudget  = bandwidth.Budget
)

// ErrBadLimit: a limit that cannot be held.
var ErrBadLimit = bandwidth.ErrBadLimit

// Activity is what a node does at a moment.
type Activity struct {
	Time      time.Time    `json:"time"`
	Peers     int          `json:"peers"` // connected over libp2p
	Transfers []Transfer   `json:"transfers"`
	Limits    LimitsStatus `json:"limits"`
}

// Limits are those of traffic with peers. A [Client] is one.
type Limits interface {
	LimitsStatus(context.Context) (LimitsStatus, error)
	SetLimits(context.Context, LimitsRequest) (LimitsStatus, error)
	Activity(context.Context) (Activity, error)
}

// limits adds the routes of the limits.
func (s *server) limits(mux *http.ServeMux) {
	if s.Limits == nil {
		offline := func(w http.ResponseWriter, _ *http.Request) {
			writeError(w, fmt.Errorf("%w: nothing passes between it and its peers", ErrOffline))
		}
		mux.HandleFunc("GET /api/v1/limits", offline)
		mux.HandleFunc("POST /api/v1/limits", offline)
		mux.HandleFunc("GET /api/v1/activity", offline)
		return
	}
	mux.HandleFunc("GET /api/v1/limits", func(w http.ResponseWriter, r *http.Request) { answer(w, r, s.Limits.LimitsStatus) })
	mux.HandleFunc("POST /api/v1/limits", func(w http.ResponseWriter, r *http.Request) { change(w, r, s.Limits.SetLimits) })
	mux.HandleFunc("GET /api/v1/activity", func(w http.ResponseWriter, r *http.Request) {
		answer(w, r, func(ctx context.Context) (Activity, error) {
			a, err := s.Limits.Activity(ctx)
			a.Transfers = orEmpty(a.Transfers)
			return a, err
		})
	})
}

var _ Limits = (*Client)(nil)

// LimitsStatus is which limits hold, and what passes.
func (c *Client) LimitsStatus(ctx context.Context) (LimitsStatus, error) {
	var res LimitsStatus
	err := c.call(ctx, http.MethodGet, "limits", nil, &res)
	return res, err
}

// SetLimits changes the limits until the node ends, or pauses and resumes traffic.
func (c *Client) SetLimits(ctx context.Context, req LimitsRequest) (LimitsStatus, error) {
	var res LimitsStatus
	err := c.call(ctx, http.MethodPost, "limits", req, &res)
	return res, err
}

// Activity is what the node does now.
func (c *Client) Activity(ctx context.Context) (Activity, error) {
	var res Activity
	err := c.call(ctx, http.MethodGet, "activity", nil, &res)
	return res, err
}
