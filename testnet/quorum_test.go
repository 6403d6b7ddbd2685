package main_test

import (
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/note"
	"github.com/dockchains/dockchain/node"
	"github.com/dockchains/dockchain/node/exchange"
	testnet "github.com/dockchains/dockchain/testnet/harness"
)

// notary is a witness that is no node: it signs what it is told to.
type notary struct {
	key ledger.Key
	note.Key
}

func newNotary(t *testing.T) *notary {
	t.Helper()
	key, err := ledger.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &notary{key, note.Key{Name: "notary.example", Alg: note.CosignatureV1, Public: key.Public()}}
}

// sign adds its cosignature to the head of a history.
func (n *notary) sign(t *testing.T, h *testnet.History, author ledger.AuthorID, at time.Time) {
	t.Helper()
	head, err := h.Head(author)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := note.Parse(head.Checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := note.Cosign(n.Key, signed.Text, at.Unix(), n.key.Sign)
	if err != nil {
		t.Fatal(err)
	}
	if signed, err = signed.With(sig); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Cosigned(t.Context(), author, signed.Encode(), n.Key); err != nil {
		t.Fatal(err)
	}
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "policy")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A node that requires witnesses keeps what it hears, refuses its content at
// every door until they have seen the log, and accepts it then; what they saw
// stays accepted while the log grows on, and after a restart.
func TestContentWaitsForItsWitnesses(t *testing.T) {
	t.Parallel()
	notary := newNotary(t)
	path := writeFile(t, "witness n "+notary.String()+"\nquorum n\n")
	net := testnet.New(t, 1).Configure(func(_ int, cfg *node.Config) {
		cfg.Policy, cfg.RequireWitnesses, cfg.WitnessMaxAge = path, true, time.Hour
	}).Start()
	reader := net.Node(0)

	author := testnet.NewAuthor(t)
	history := author.History()
	layout := testnet.Image{Seed: 7, Layers: []int64{100}}.Lay(t)
	offer := testnet.NewOffer(t, layout, "app:1.0", nil)
	holder := net.Hostile()
	offer.Serve(holder)
	history.Serve(holder, history.Release(offer.Release))
	holder.Connect(reader)
	name := string(author.ID) + "/app:1.0"
	reader.AwaitSearch("app", layout.Root.Digest.String())

	refused := func(name, says string) {
		t.Helper()
		_, err := reader.TryFetch(name, "")
		if got := testnet.Accused(t, err, ledger.RuleWitnessed); !strings.Contains(got, says) {
			t.Errorf("refused with %q, want %q in it", got, says)
		}
		v, err := reader.Exchange().Verify(t.Context(), name, nil)
		if err != nil || v.Verdict.Accepted {
			t.Errorf("verify: %+v, %v", v, err)
		}
		if status, body := pull(t, reader, name); status != http.StatusForbidden || !strings.Contains(body, says) {
			t.Errorf("pull: %d %s, want 403 and %q", status, body, says)
		}
		if found := reader.Search("app"); len(found) == 0 || found[0].Unwitnessed == "" {
			t.Errorf("search does not mark what is not witnessed: %+v", found)
		}
	}
	refused(name, "0 of 1 witnesses cosigned the log at size 2, which is not enough")
	notary.sign(t, history, author.ID, time.Now().Add(-2*time.Hour))
	testnet.Await(t, "an old cosignature to come", func() bool {
		v, err := reader.Exchange().Verify(t.Context(), name, nil)
		return err == nil && strings.Contains(reasonOf(v.Verdict, ledger.RuleWitnessed), "longer ago")
	})
	refused(name, "longer ago than the 1h0m0s allowed")
	if got := holder.Asked("stream"); got != 0 {
		t.Errorf("%d torrents were asked for before the verdict", got)
	}

	notary.sign(t, history, author.ID, time.Now())
	testnet.AwaitNil(t, "the content to be accepted", func() error {
		_, err := reader.TryFetch(name, "")
		return err
	})
	if found := reader.Search("app"); len(found) == 0 || found[0].Unwitnessed != "" {
		t.Errorf("search marks what is witnessed: %+v", found)
	}
	if status, body := pull(t, reader, name); status != http.StatusOK {
		t.Errorf("pull: %d %s", status, body)
	}

	// The next release waits again, and does not take the first one along.
	next := testnet.NewOffer(t, testnet.Image{Seed: 8, Layers: []int64{100}}.Lay(t), "app:2.0", nil)
	next.Serve(holder)
	holder.Gossip(history.Release(next.Release).Encode())
	reader.AwaitSearch("app", next.Release.Image.Digest.String())
	second := string(author.ID) + "/app:2.0"
	for range 2 {
		if _, err := reader.TryFetch(name, ""); err != nil {
			t.Errorf("the first release: %v", err)
		}
		_, err := reader.TryFetch(second, "")
		if got := testnet.Accused(t, err, ledger.RuleWitnessed); !strings.Contains(got, "0 of 1 witnesses cosigned the log at size 3") {
			t.Errorf("the second release is refused with %q", got)
		}
		reader.Restart()
	}
}

func reasonOf(v ledger.Verdict, rule string) string {
	for _, r := range v.Reasons {
		if r.Rule == rule {
			return r.Text
		}
	}
	return ""
}

// pull asks the registry of a node for a manifest, as docker pull does.
func pull(t *testing.T, n *testnet.Node, name string) (status int, body string) {
	t.Helper()
	repo, tag, _ := strings.Cut(name, ":")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+n.Addresses().Registry+"/v2/"+repo+"/manifests/"+tag, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// Who requires witnesses asks them itself, where the author never did: they
// cosign whatever log they have. With fewer of them than the quorum it refuses.
func TestReadersAskWitnesses(t *testing.T) {
	t.Parallel()
	path := ""
	net := testnet.New(t, 4).Configure(func(_ int, cfg *node.Config) {
		cfg.Policy, cfg.RequireWitnesses = path, path != ""
		if path != "" {
			cfg.WitnessMaxAge = time.Hour
		}
	}).Start().Connect().AwaitPeers(3)
	three, author := net.Nodes()[:3:3], net.Node(3)
	path, _ = writePolicy(t, three)
	pub := author.Publish("app:1.0", testnet.Image{Seed: 5, Layers: []int64{100}})
	for _, n := range three {
		n.AwaitSearch("app", pub.Digest)
	}
	three[1].Stop()
	three[2].Stop()
	reader := net.Add(author, three[0])
	reader.AwaitSearch("app", pub.Digest)
	name := pub.Author + "/app:1.0"
	testnet.AwaitNil(t, "the one witness to be heard", func() error {
		_, err := reader.TryFetch(name, "")
		got := testnet.Accused(t, err, ledger.RuleWitnessed)
		if strings.Contains(got, "1 of 3 witnesses cosigned the log at size 2, which is not enough") {
			return nil
		}
		return errors.New(got)
	})
	three[1].Start()
	three[1].Connect(reader)
	var got exchange.Fetched
	testnet.AwaitNil(t, "the content to be accepted", func() (err error) {
		got, err = reader.TryFetch(name, "")
		return err
	})
	if says := reasonOf(got.Verdict, ledger.RuleWitnessed); !strings.Contains(says, "of 3 witnesses cosigned the log at size 2") {
		t.Errorf("accepted, for %q", says)
	}
}

// A magnet link that nobody's witnesses have seen is refused with the reason when
// those who could know more were asked, however long the fetch may take.
func TestUnwitnessedLinkIsRefusedSoon(t *testing.T) {
	t.Parallel()
	path := writeFile(t, "witness n "+newNotary(t).String()+"\nquorum n\n")
	net := testnet.New(t, 2).Configure(func(i int, cfg *node.Config) {
		if i == 1 {
			cfg.Policy, cfg.RequireWitnesses = path, true
		}
	}).Start().Connect().AwaitPeers(1)
	author, reader := net.Node(0), net.Node(1)
	pub := author.Publish("app:1.0", testnet.Image{Seed: 5, Layers: []int64{100}})
	refused := make(chan error, 1)
	go func() {
		_, err := reader.Exchange().Fetch(t.Context(), exchange.FetchRequest{Target: pub.Magnet, Timeout: 24 * time.Hour}, nil)
		refused <- err
	}()
	select {
	case err := <-refused:
		if got := testnet.Accused(t, err, ledger.RuleWitnessed); !strings.Contains(got, "0 of 1 witnesses cosigned the log at size 2, which is not enough") {
			t.Errorf("refused with %q", got)
		}
	case <-time.After(testnet.Patience):
		t.Fatal("no answer")
	}
}
