package main_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/node"
	"github.com/dockchains/dockchain/node/exchange"
	testnet "github.com/dockchains/dockchain/testnet/harness"
)

// awaitSameLog waits until nodes have a log of so many entries, all the same, and
// none of them has frozen it.
func awaitSameLog(t *testing.T, author string, size uint64, nodes ...*testnet.Node) {
	t.Helper()
	root := ""
	for _, n := range nodes {
		testnet.AwaitNil(t, n.String()+" to have the log", func() error {
			got, err := n.Exchange().Log(t.Context(), exchange.LogRequest{Author: author})
			switch {
			case err != nil:
				return err
			case got.Size != size || got.Frozen != "":
				return fmt.Errorf("%d entries, want %d; frozen: %q", got.Size, size, got.Frozen)
			case root != "" && got.Root != root:
				return errors.New("another log of the same size")
			}
			root = got.Root
			return nil
		})
	}
}

func tinyImage(seed uint64) testnet.Image { return testnet.Image{Seed: seed, Layers: []int64{100}} }

// An author whose data directory is an old copy has what it signed since from its
// peers before it signs the next word: nothing forks.
func TestThreatRestoreFromBackupFork(t *testing.T) {
	t.Parallel()
	net := testnet.New(t, 3).Start().Connect().AwaitPeers(2)
	author := net.Node(0)
	first := author.Publish("app:1", tinyImage(900))
	awaitSameLog(t, first.Author, 2, net.Nodes()...)
	author.Stop()
	old := author.Backup()
	author.Start()
	for _, n := range net.Nodes()[1:] {
		author.Connect(n)
	}
	author.AwaitPeers(2)
	author.Publish("app:2", tinyImage(901))
	if _, err := author.Exchange().RotateKeys(t.Context()); err != nil {
		t.Fatal(err)
	}
	author.Publish("app:3", tinyImage(902))
	awaitSameLog(t, first.Author, 5, net.Nodes()...)

	author.Stop()
	author.Restore(old).Start()
	author.Connect(net.Node(1))
	author.AwaitPeers(1)
	if got := author.Publish("app:4", tinyImage(903)); got.Entry != 5 {
		t.Errorf("signed as entry %d, want 5", got.Entry)
	}
	awaitSameLog(t, first.Author, 6, net.Nodes()...)
}

// restored is an author whose data directory is an old copy, with one release; a
// witness saw another, and can be asked for cosignatures only.
func restored(t *testing.T, seed uint64) (net *testnet.Net, witness, author *testnet.Node, id, policy string) {
	t.Helper()
	net = testnet.New(t, 1).Configure(func(_ int, cfg *node.Config) { cfg.Policy = policy }).Start()
	witness = net.Node(0)
	text := fmt.Sprintf("witness w %s http://%s/witness/\nquorum w\n", witness.WitnessKey(), witness.Addresses().API)
	policy = filepath.Join(t.TempDir(), "policy")
	if err := os.WriteFile(policy, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	author = net.Add(witness)
	author.AwaitPeers(1)
	first := author.Publish("app:1", tinyImage(seed))
	awaitSameLog(t, first.Author, 2, net.Nodes()...)
	author.Stop()
	old := author.Backup()
	author.Start().Connect(witness)
	author.AwaitPeers(1)
	author.Publish("app:2", tinyImage(seed+1))
	awaitSameLog(t, first.Author, 3, net.Nodes()...)
	awaitCosigned(t, author, ledger.AuthorID(first.Author), readPolicy(t, policy), 3)

	peer := author.ID()
	author.Stop()
	net.CutPeer(witness, peer)
	author.Restore(old).Start()
	return net, witness, author, first.Author, policy
}

// Where no peer can give what is missing, the witness says over HTTP that there
// is more, and nothing is signed before it is here.
func TestWitnessStopsRestoredBackup(t *testing.T) {
	t.Parallel()
	net, witness, author, id, _ := restored(t, 910)
	layout := tinyImage(912).Lay(t)
	signs := map[string]func() error{
		"a release": func() error {
			_, err := author.Exchange().Publish(t.Context(), exchange.PublishRequest{Source: "oci:" + layout.Dir, As: "me/app:3"}, nil)
			return err
		},
		"a revocation": func() error {
			_, err := author.Exchange().Revoke(t.Context(), exchange.RevokeRequest{Target: "me/app:1"})
			return err
		},
		"a rotation": func() error {
			_, err := author.Exchange().RotateKeys(t.Context())
			return err
		},
		"a recovery": func() error {
			from := uint64(1)
			_, err := author.Exchange().RecoverKeys(t.Context(), exchange.RecoverRequest{VoidFrom: &from})
			return err
		},
		"the end": func() error {
			_, err := author.Exchange().RetireAuthor(t.Context())
			return err
		},
	}
	for what, sign := range signs {
		testnet.AwaitNil(t, what+" to be forbidden", func() error { // a slow witness has not answered
			err := sign()
			if errors.Is(err, exchange.ErrBehind) {
				return nil
			}
			if !errors.Is(err, exchange.ErrUnwitnessed) {
				t.Fatalf("%s: %v, want ErrBehind", what, err)
			}
			return err
		})
	}
	awaitSameLog(t, id, 2, author)

	net.Heal(witness, author)
	awaitSameLog(t, id, 3, net.Nodes()...)
	if got := author.Publish("app:3", tinyImage(912)); got.Entry != 3 {
		t.Errorf("signed as entry %d, want 3", got.Entry)
	}
	awaitSameLog(t, id, 4, net.Nodes()...)
}

// Where what is missing cannot be had at all, the key that was committed to goes on
// without it. Whoever has the other history gives it up, the witness too.
func TestRestoredBackupGoesOnWithoutMissing(t *testing.T) {
	t.Parallel()
	net, witness, author, id, policy := restored(t, 930)
	testnet.AwaitNil(t, "the recovery", func() error { // a slow witness has not answered
		_, err := author.Exchange().RecoverKeys(t.Context(), exchange.RecoverRequest{WithoutMissing: true})
		if err != nil && !errors.Is(err, exchange.ErrUnwitnessed) {
			t.Fatalf("recovering: %v", err)
		}
		return err
	})
	if got := author.Publish("app:3", tinyImage(932)); got.Entry != 3 {
		t.Errorf("signed as entry %d, want 3", got.Entry)
	}
	net.Heal(witness, author)
	awaitSameLog(t, id, 4, net.Nodes()...)
	awaitCosigned(t, author, ledger.AuthorID(id), readPolicy(t, policy), 4)
}

// An author who wants a quorum does not sign while no witness answers.
func TestNoWitnessNoWord(t *testing.T) {
	t.Parallel()
	policy := ""
	net := testnet.New(t, 1).Configure(func(_ int, cfg *node.Config) { cfg.Policy = policy }).Start()
	witness := net.Node(0)
	policy = filepath.Join(t.TempDir(), "policy")
	text := fmt.Sprintf("witness w %s libp2p:%s\nquorum w\n", witness.WitnessKey(), witness.ID())
	if err := os.WriteFile(policy, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	author := net.Add()
	layout := tinyImage(920).Lay(t)
	_, err := author.Exchange().Publish(t.Context(), exchange.PublishRequest{Source: "oci:" + layout.Dir, As: "me/app:1"}, nil)
	if !errors.Is(err, exchange.ErrUnwitnessed) {
		t.Errorf("got %v, want ErrUnwitnessed", err)
	}
	author.Connect(witness)
	author.AwaitPeers(1)
	author.PublishLayout("app:1", layout)
}

// An author who signed another word with an old copy, asking nobody, hears of it
// from the witness and signs nothing more.
func TestThreatRestoreFromBackupSignedTwice(t *testing.T) {
	t.Parallel()
	net, witness, author, id, policy := restored(t, 940)
	author.Stop()
	net.Configure(func(int, *node.Config) {})
	author.Start()
	if got := author.Publish("app:3", tinyImage(942)); got.Entry != 2 {
		t.Fatalf("signed as entry %d, want 2: a second history", got.Entry)
	}
	author.Stop()
	net.Configure(func(_ int, cfg *node.Config) { cfg.Policy = policy })
	author.Start()
	layout := tinyImage(943).Lay(t)
	testnet.AwaitNil(t, "the next word to be forbidden", func() error { // a slow witness has not answered
		_, err := author.Exchange().Publish(t.Context(), exchange.PublishRequest{Source: "oci:" + layout.Dir, As: "me/app:4"}, nil)
		switch {
		case errors.Is(err, exchange.ErrDiverged):
			return nil
		case errors.Is(err, exchange.ErrUnwitnessed):
			return err
		}
		t.Fatalf("signing after two histories: %v, want ErrDiverged", err)
		return nil
	})
	awaitSameLog(t, id, 3, author)
	testnet.AwaitNil(t, "the witness to have convicted it", func() error {
		got, err := witness.Exchange().Log(t.Context(), exchange.LogRequest{Author: id})
		if err == nil && got.Frozen == "" {
			err = errors.New("it is not frozen")
		}
		return err
	})
}
