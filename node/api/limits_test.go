package api

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dockchains/dockchain/node/bandwidth"
	"github.com/dockchains/dockchain/p2p/swarm"
)

// fakeLimits remembers what was asked of it.
type fakeLimits struct{ asked LimitsRequest }

func (f *fakeLimits) LimitsStatus(context.Context) (LimitsStatus, error) {
	return LimitsStatus{
		Rates: swarm.Rates{Upload: 5}, LimitLAN: true, Paused: true, PausedBy: bandwidth.ByCommand, PausedUntil: statsTime,
		Classes: []LimitsClass{{Name: "lan", Rates: swarm.Rates{Download: 7}, Connections: 2}}, Budget: LimitsBudget{Peers: 3}, Active: 1,
	}, nil
}

func (f *fakeLimits) SetLimits(ctx context.Context, r LimitsRequest) (LimitsStatus, error) {
	if err := r.Validate(); err != nil {
		return LimitsStatus{}, err
	}
	f.asked = r
	return f.LimitsStatus(ctx)
}

func (f *fakeLimits) Activity(ctx context.Context) (Activity, error) {
	s, err := f.LimitsStatus(ctx)
	return Activity{Time: statsTime, Peers: 4, Limits: s}, err
}

func TestLimits(t *testing.T) {
	t.Parallel()
	f := &fakeLimits{}
	c := NewLocalClient(Handler(&fake{}, Options{Limits: f}))
	want, _ := f.LimitsStatus(t.Context())
	got, err := c.LimitsStatus(t.Context())
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v, status (-want +got):\n%s", err, diff)
	}
	rate, lan := int64(1<<20), false
	req := LimitsRequest{
		Change: LimitsChange{Upload: &rate, LimitLAN: &lan, Classes: map[string]swarm.Rates{"client": {Upload: 1 << 20}}},
		Pause:  true, For: time.Hour, Reset: true,
	}
	if got, err = c.SetLimits(t.Context(), req); err != nil || !cmp.Equal(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	if diff := cmp.Diff(req, f.asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	rate = 1
	if _, err := c.SetLimits(t.Context(), req); !errors.Is(err, ErrBadLimit) {
		t.Errorf("one byte a second: %v", err)
	}
	a, err := c.Activity(t.Context())
	if err != nil || a.Peers != 4 || a.Transfers == nil || !a.Limits.Paused || !a.Time.Equal(statsTime) {
		t.Errorf("%+v, %v", a, err)
	}
}

// Nothing passes at a data directory that no node runs.
func TestLimitsOffline(t *testing.T) {
	t.Parallel()
	c := NewLocalClient(Handler(&fake{}, Options{}))
	_, err := c.LimitsStatus(t.Context())
	_, err2 := c.SetLimits(t.Context(), LimitsRequest{})
	_, err3 := c.Activity(t.Context())
	for _, err := range []error{err, err2, err3} {
		if !errors.Is(err, ErrOffline) {
			t.Errorf("got %v", err)
		}
	}
}
