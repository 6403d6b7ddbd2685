package main_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/dockchains/dockchain/node/exchange"
	testnet "github.com/dockchains/dockchain/testnet/harness"
)

// TestKeysChangeWhilePublishing rotates an author's keys between and during its
// releases: all of them count, for everybody, under the id that the author had
// from the start, after a restart too.
func TestKeysChangeWhilePublishing(t *testing.T) {
	t.Parallel()
	net := testnet.New(t, 3).Start().Connect().AwaitPeers(2)
	author := net.Node(0)
	before, err := author.Exchange().Author(t.Context(), exchange.SelfAuthor)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 3 {
		layout := testnet.Image{Seed: uint64(700 + i), Layers: []int64{10 << 10}}.Lay(t)
		wg.Go(func() { author.PublishLayout(fmt.Sprintf("app:%d", i), layout) })
		wg.Go(func() {
			if _, err := author.Exchange().RotateKeys(t.Context()); err != nil {
				t.Errorf("rotating: %v", err)
			}
		})
	}
	wg.Wait()
	author.Restart()
	for _, other := range net.Nodes()[1:] {
		other.Connect(author)
	}
	author.Publish("app:after", testnet.Image{Seed: 710, Layers: []int64{10 << 10}})

	want, err := author.Exchange().Log(t.Context(), exchange.LogRequest{Author: exchange.SelfAuthor})
	if err != nil {
		t.Fatal(err)
	}
	if want.Size != 8 || want.Author != before.Author { // inception, 4 releases, 3 rotations
		t.Errorf("%d entries of %s, want 8 of %s", want.Size, want.Author, before.Author)
	}
	for _, nd := range net.Nodes() {
		testnet.AwaitNil(t, nd.String()+" to have the log", func() error {
			got, err := nd.Exchange().Log(t.Context(), exchange.LogRequest{Author: before.Author})
			if err == nil && got.Root != want.Root {
				err = fmt.Errorf("it has %d entries of %d", got.Size, want.Size)
			}
			return err
		})
		for _, tag := range []string{"0", "1", "2", "after"} {
			testnet.AwaitNil(t, nd.String()+" to accept app:"+tag, func() error {
				v, err := nd.Exchange().Verify(t.Context(), before.Author+"/app:"+tag, nil)
				if err == nil && !v.Verdict.Accepted {
					err = fmt.Errorf("%+v", v.Verdict)
				}
				return err
			})
		}
	}
	after, err := author.Exchange().Author(t.Context(), exchange.SelfAuthor)
	if err != nil || !after.CanSign || after.Keys[0] == before.Keys[0] {
		t.Errorf("after rotations: %+v, %v", after, err)
	}
}

// TestRevocationReachesEverybody takes back an image that every node has heard
// of: none of them accepts it any more, and none gives a new proof of it.
func TestRevocationReachesEverybody(t *testing.T) {
	t.Parallel()
	net := testnet.New(t, 4).Start().Connect().AwaitPeers(3)
	author := net.Node(0)
	pub := author.Publish("weather:1.0", testnet.Image{Seed: 720, Layers: []int64{10 << 10}, Title: "Weather station"})
	for _, nd := range net.Nodes()[1:] {
		nd.AwaitSearch("weather station", pub.Digest)
	}
	if _, err := author.Exchange().Revoke(t.Context(), exchange.RevokeRequest{Target: pub.Digest, Reason: "rain"}); err != nil {
		t.Fatal(err)
	}
	name := pub.Author + "/weather:1.0"
	for _, nd := range net.Nodes() {
		testnet.AwaitNil(t, nd.String()+" to refuse it", func() error {
			v, err := nd.Exchange().Verify(t.Context(), name, nil)
			if err == nil && v.Verdict.Accepted {
				err = errors.New("accepted")
			}
			return err
		})
		if p, err := nd.Exchange().ProveRelease(t.Context(), name); err == nil {
			t.Errorf("%s proves %+v", nd, p)
		}
		testnet.AwaitNil(t, nd.String()+" not to find it", func() error { return findsNone(t.Context(), nd, "weather station") })
	}
	author.Restart()
	if err := findsNone(t.Context(), author, "weather station"); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	if _, err := author.Exchange().RebuildIndex(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if err := findsNone(t.Context(), author, "weather station"); err != nil {
		t.Errorf("after a rebuild: %v", err)
	}
	for _, nd := range net.Nodes()[1:] {
		nd.Connect(author)
	}
	again := author.Publish("weather:1.0", testnet.Image{Seed: 721, Layers: []int64{10 << 10}, Title: "Weather station"})
	for _, nd := range net.Nodes() {
		nd.AwaitSearch("weather station", again.Digest)
	}
}

func findsNone(ctx context.Context, nd *testnet.Node, query string) error {
	found, total, err := nd.Exchange().Search(ctx, exchange.SearchRequest{Query: query})
	if err == nil && (len(found) > 0 || total > 0) {
		err = fmt.Errorf("%d found: %+v", total, found)
	}
	return err
}
