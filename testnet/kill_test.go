package main_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/note"
	"github.com/dockchains/dockchain/ledger/witness"
	"github.com/dockchains/dockchain/node"
	"github.com/dockchains/dockchain/node/api"
	"github.com/dockchains/dockchain/node/exchange"
	testnet "github.com/dockchains/dockchain/testnet/harness"
)

// killRounds is how often each of the tests below kills a node.
func killRounds() int {
	if testing.Short() {
		return 2
	}
	return 8
}

// TestKillWhilePublishingWithWitnesses kills an author at random moments while it
// publishes, gossips and has its checkpoints cosigned. What it acknowledged is in
// its log afterwards, and neither peers nor witnesses ever saw another history.
func TestKillWhilePublishingWithWitnesses(t *testing.T) {
	bin, home := builtProgram(t), testnet.Home(t)
	net := testnet.New(t, 3).Start().Connect().AwaitPeers(2)
	rules, _ := writePolicy(t, net.Nodes())
	run := func() *testnet.Process {
		args := []string{"--witness-policy", rules}
		for _, n := range net.Nodes() {
			args = append(args, "--bootstrap", n.Addr())
		}
		return testnet.Run(t, bin, home, args...)
	}
	layout := testnet.Image{Seed: 900, Layers: []int64{10 << 10}}.Lay(t)
	publish := func(ctx context.Context, p *testnet.Process, tag string) (exchange.Published, error) {
		return p.Publish(ctx, exchange.PublishRequest{Source: "oci:" + layout.Dir, As: "me/app:" + tag}, nil)
	}
	var pub exchange.Published
	published := func(p *testnet.Process, tag string) {
		t.Helper()
		testnet.AwaitNil(t, "witnesses to answer", func() (err error) {
			pub, err = publish(t.Context(), p, tag)
			if err != nil && !errors.Is(err, api.ErrUnwitnessed) {
				t.Fatal(err)
			}
			return err
		})
	}
	p := run()
	start := time.Now()
	published(p, "first")
	took := time.Since(start)
	rnd := rand.New(rand.NewPCG(5, 6))
	last := pub.Entry
	for round := range killRounds() {
		ended := make(chan uint64)
		go func() {
			told := last
			for i := 0; ; i++ {
				got, err := publish(t.Context(), p, fmt.Sprintf("%d-%d", round, i))
				if err != nil {
					ended <- told
					return
				}
				told = got.Entry
			}
		}()
		killAfter(p, time.Duration(rnd.Int64N(int64(took)*3)))
		last = <-ended
		if size := inspect(t, home); size <= last {
			t.Fatalf("kill %d: entry %d was acknowledged, and the log has %d", round, last, size)
		}
		p = run()
	}
	published(p, "last")
	for _, n := range net.Nodes() {
		oneHistory(t, n, ledger.AuthorID(pub.Author), pub.Entry+1)
	}
	p.Stop()
}

// oneHistory waits until a node has an author's log up to a size, and wants that
// it was shown no other, and that what it cosigned is of this one.
func oneHistory(t *testing.T, n *testnet.Node, author ledger.AuthorID, size uint64) {
	t.Helper()
	x := n.Exchange()
	var head ledger.Head
	testnet.AwaitNil(t, n.String()+" to have the log", func() (err error) {
		if head, err = x.Ledger.Head(author); err == nil && head.Size < size {
			err = fmt.Errorf("%d entries of %d", head.Size, size)
		}
		return err
	})
	if f, err := x.Ledger.Fault(author); err == nil {
		t.Errorf("%s has seen %s", n, f.Kind)
	}
	status, err := x.WitnessStatus(t.Context(), exchange.CosignedRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range status.Cosigned {
		if c.Origin != ledger.Origin(testnet.Network, author) {
			continue
		}
		raw, err := base64.StdEncoding.DecodeString(c.Root)
		if err != nil || len(raw) != tlog.HashSize {
			t.Fatalf("%s: root %q: %v", n, c.Root, err)
		}
		proof, err := x.Ledger.ProveConsistency(t.Context(), author, c.Size, head.Size)
		if err == nil {
			err = ledger.CheckConsistency(proof, ledger.Checkpoint{Size: c.Size, Root: tlog.Hash(raw)}, ledger.Checkpoint{Size: head.Size, Root: head.Root})
		}
		if err != nil {
			t.Errorf("%s cosigned %d entries of another history than the log of %d: %v", n, c.Size, head.Size, err)
		}
	}
}

// overHost asks a witness from any host of the network.
type overHost struct {
	ask     *testnet.Hostile
	witness peer.ID
}

// AddCheckpoint implements witness.Transport.
func (o overHost) AddCheckpoint(ctx context.Context, body []byte) (witness.Answer, error) {
	b, err := o.ask.Host.Request(ctx, o.witness, exchange.OpCosign, body)
	if err != nil {
		return witness.Answer{}, err
	}
	return witness.ParseAnswer(b)
}

// TestKillWhileWitnessing kills a witness at random moments while it cosigns. It
// cosigns neither less afterwards nor another history, and it goes on.
func TestKillWhileWitnessing(t *testing.T) {
	bin, home := builtProgram(t), testnet.Home(t)
	net := testnet.New(t, 0)
	rnd := rand.New(rand.NewPCG(7, 8))
	const entries = 60
	for round := range killRounds() {
		p := testnet.Run(t, bin, home)
		author := testnet.NewAuthor(t)
		log, other := author.History(), author.History()
		signed, forged := [][]byte{nil}, [][]byte{nil}
		for i := range entries {
			signed = append(signed, log.Release(testnet.Invent("app", fmt.Sprint(i))).Checkpoint)
			forged = append(forged, other.Release(testnet.Invent("other", fmt.Sprint(i))).Checkpoint)
		}
		prove := func(ctx context.Context, older, newer uint64) ([]tlog.Hash, error) {
			return log.ProveConsistency(ctx, author.ID, older, newer)
		}
		asker := net.Hostile()
		log.Serve(asker)
		client := meet(t, p, asker, author.ID)
		enough := 1 + rnd.IntN(entries*2/3)
		reached, told := make(chan struct{}), make(chan int)
		go func() {
			for i := 1; ; i++ { // signed[i] is over i+1 entries
				if _, err := client.Cosign(t.Context(), signed[min(i, entries)], prove); err != nil {
					told <- min(i-1, entries)
					return
				}
				if i == enough {
					close(reached)
				}
			}
		}()
		last := -1
		select {
		case <-reached: // and it goes on asking
		case last = <-told:
			t.Fatalf("kill %d: the witness stopped after %d cosignatures", round, last)
		}
		p.Kill()
		last = <-told

		p = testnet.Run(t, bin, home)
		client = meet(t, p, asker, author.ID)
		ask := func(old uint64, checkpoint []byte) int {
			a, err := overHost{asker, client.witness}.AddCheckpoint(t.Context(), witness.Request{Old: old, Checkpoint: checkpoint}.Encode())
			if err != nil {
				t.Fatal(err)
			}
			return a.Status
		}
		if last > 1 {
			if got := ask(uint64(last), signed[last-1]); got != http.StatusConflict {
				t.Errorf("kill %d: %d entries were cosigned, and less is answered with %d", round, last+1, got)
			}
		}
		if _, err := client.Cosign(t.Context(), signed[entries], prove); err != nil {
			t.Errorf("kill %d: the witness does not go on: %v", round, err)
		}
		if got := ask(uint64(entries)+1, forged[entries]); got != http.StatusConflict {
			t.Errorf("kill %d: another history is answered with %d", round, got)
		}
		p.Stop()
	}
}

// peerClient asks one witness.
type peerClient struct {
	*witness.Client
	witness peer.ID
}

// meet connects a peer that has a log to a node, and waits until the node has
// the log.
func meet(t *testing.T, p *testnet.Process, asker *testnet.Hostile, author ledger.AuthorID) peerClient {
	t.Helper()
	status, err := p.WitnessStatus(t.Context(), exchange.CosignedRequest{})
	if err != nil {
		t.Fatal(err)
	}
	key, err := note.ParseKey(status.Key)
	if err != nil {
		t.Fatal(err)
	}
	id, err := peer.Decode(status.Address[len(exchange.PeerScheme):])
	if err != nil {
		t.Fatal(err)
	}
	testnet.AwaitNil(t, "the witness to be reached", func() error {
		return asker.Host.Connect(t.Context(), p.Addresses.Peer[0])
	})
	awaitAuthor(t, p, author)
	return peerClient{witness.NewClient(key, overHost{asker, id}), id}
}

// awaitAuthor waits until a node has something of an author's log.
func awaitAuthor(t *testing.T, p *testnet.Process, author ledger.AuthorID) {
	t.Helper()
	testnet.AwaitNil(t, "a node to have a log", func() error {
		_, err := p.Author(t.Context(), string(author))
		return err
	})
}

// TestKillWhileCatchingUp kills a node at random moments while it reads the logs
// of many authors from a peer. Each log here is a part of the peer's, entry by
// entry, and the node reads on from there.
func TestKillWhileCatchingUp(t *testing.T) {
	bin := builtProgram(t)
	net := testnet.New(t, 1).Start()
	source := net.Node(0)
	var authors []ledger.AuthorID
	for range 12 {
		authors = append(authors, give(t, source, 40))
	}
	source.Restart() // which tells others of the logs that were put there
	rnd := rand.New(rand.NewPCG(9, 10))
	var took time.Duration
	partly := 0
	for round := range killRounds() + 1 {
		home := testnet.Home(t)
		p := testnet.Run(t, bin, home, "--bootstrap", source.Addr())
		start := time.Now()
		if round > 0 {
			if round%2 == 0 {
				killAfter(p, time.Duration(rnd.Int64N(int64(took)*5/4)))
			} else {
				awaitAuthor(t, p, authors[rnd.IntN(len(authors))])
				p.Kill()
			}
			if n := prefixes(t, home, source, authors); n > 0 && n < len(authors) {
				partly++
			}
			inspect(t, home)
			p = testnet.Run(t, bin, home, "--bootstrap", source.Addr())
		}
		for _, a := range authors {
			want, err := source.Exchange().Ledger.Head(a)
			if err != nil {
				t.Fatal(err)
			}
			testnet.AwaitNil(t, "the logs to be caught up with", func() error {
				got, err := p.Client.Log(t.Context(), exchange.LogRequest{Author: string(a)})
				if err == nil && got.Root != want.Root.String() {
					err = fmt.Errorf("%d entries of %d", got.Size, want.Size)
				}
				return err
			})
		}
		took = max(took, time.Since(start))
		p.Stop()
		if n := prefixes(t, home, source, authors); n != len(authors) {
			t.Errorf("kill %d: %d logs of %d are there in the end", round, n, len(authors))
		}
	}
	t.Logf("%d of %d kills left some of the logs", partly, killRounds())
}

// give puts the log of a new author into a node's ledger.
func give(t *testing.T, n *testnet.Node, entries int) ledger.AuthorID {
	t.Helper()
	author := testnet.NewAuthor(t)
	log := author.History()
	for i := range entries {
		log.Release(testnet.Invent("app", fmt.Sprint(i)))
	}
	head, err := log.Head(author.ID)
	if err != nil {
		t.Fatal(err)
	}
	leaves, err := log.Leaves(author.ID, 0, head.Size)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Exchange().Ledger.Extend(t.Context(), author.ID, 0, leaves, head.Checkpoint); err != nil {
		t.Fatal(err)
	}
	return author.ID
}

// prefixes counts the logs that a data directory has anything of, each of which
// must be what the source has, as far as it goes.
func prefixes(t *testing.T, home string, source *testnet.Node, authors []ledger.AuthorID) (n int) {
	t.Helper()
	nd, err := node.OpenOffline(node.Loopback(home), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("opening the data after a kill: %v", err)
	}
	defer func() {
		if err := nd.Close(); err != nil {
			t.Errorf("closing the data: %v", err)
		}
	}()
	for _, a := range authors {
		head, err := nd.Exchange().Ledger.Head(a)
		if err != nil {
			continue
		}
		n++
		whole, err := source.Exchange().Ledger.Head(a)
		if err != nil {
			t.Fatal(err)
		}
		proof, err := source.Exchange().Ledger.ProveConsistency(t.Context(), a, head.Size, whole.Size)
		if err == nil {
			err = ledger.CheckConsistency(proof, ledger.Checkpoint{Size: head.Size, Root: head.Root}, ledger.Checkpoint{Size: whole.Size, Root: whole.Root})
		}
		if err != nil {
			t.Errorf("%d entries of %s are not those that the source has: %v", head.Size, a, err)
		}
	}
	return n
}
