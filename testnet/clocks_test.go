package main_test

import (
	"math"
	"testing"
	"time"

	"github.com/dockchains/dockchain/node"
	testnet "github.com/dockchains/dockchain/testnet/harness"
)

// TestClocksOfPeers: a node whose clock is wrong learns so from its peers, and one
// wrong peer moves nobody's.
func TestClocksOfPeers(t *testing.T) {
	t.Parallel()
	const wrong = 3 * time.Hour
	net := testnet.New(t, 4).Configure(func(i int, cfg *node.Config) {
		if i == 0 {
			cfg.Now = func() time.Time { return time.Now().Add(wrong) }
		}
	}).Start().Connect().AwaitPeers(3)
	for i, nd := range net.Nodes() {
		s, err := nd.Exchange().Clock(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := 0.0
		if i == 0 {
			want = wrong.Seconds()
		}
		if s.Peers != 3 || math.Abs(s.Ahead-want) > 60 || math.Abs(s.Stepped) > 60 {
			t.Errorf("node %d: %+v, want %v s ahead of 3 peers", i, s, want)
		}
	}
}
