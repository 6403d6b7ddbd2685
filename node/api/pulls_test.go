package api

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPulls(t *testing.T) {
	t.Parallel()
	list := []PullRecord{{ID: 7, Started: day, Name: "quay.io/org/app:1", State: PullDone, FromPeers: 1, FromUpstream: 2, FromDisk: 3, Seconds: 1.5, Why: "why"}}
	b := &fake{pulls: func(_ context.Context, r PullsRequest) ([]PullRecord, error) {
		if r != (PullsRequest{Limit: 5, After: 1 << 60}) {
			return nil, errors.New("another question")
		}
		return list, nil
	}}
	for name, c := range roads(t, b) {
		got, err := c.Pulls(t.Context(), PullsRequest{Limit: 5, After: 1 << 60})
		if diff := cmp.Diff(list, got); err != nil || diff != "" {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
}
