package p2p

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
)

// listener is what one host heard and was asked about.
type listener struct {
	mu      sync.Mutex
	heard   map[string]int
	asked   map[string]int
	opinion func(data []byte) Judgement
}

func overhear(h *Host, opinion func([]byte) Judgement) *listener {
	l := &listener{heard: map[string]int{}, asked: map[string]int{}, opinion: opinion}
	h.SetGossip(func(_ context.Context, _ peer.ID, data []byte) Judgement {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.asked[string(data)]++
		return l.opinion(data)
	}, func(_ context.Context, _ peer.ID, data []byte) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.heard[string(data)]++
	})
	return l
}

func (l *listener) count(m map[string]int, data string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return m[data]
}

func (l *listener) total() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.heard)
}

func acceptAll([]byte) Judgement { return Accept }

// acceptGood rejects what starts with "bad" and ignores what starts with "old".
func acceptGood(data []byte) Judgement {
	switch {
	case bytes.HasPrefix(data, []byte("bad")):
		return Reject
	case bytes.HasPrefix(data, []byte("old")):
		return Ignore
	default:
		return Accept
	}
}

// chain is three hosts, of which the first and the last know only the middle.
func chain(t *testing.T) (hosts [3]*Host) {
	t.Helper()
	for i := range hosts {
		hosts[i] = startHost(t, func(c *Config) { c.DHT = ModeClient }) // the DHT would introduce them
	}
	connect(t, hosts[0], hosts[1])
	connect(t, hosts[2], hosts[1])
	await(t, "gossip to know its peers", func() bool {
		return len(hosts[0].gossip.topic.ListPeers()) == 1 && len(hosts[1].gossip.topic.ListPeers()) == 2 &&
			len(hosts[2].gossip.topic.ListPeers()) == 1
	})
	return hosts
}

func TestGossipIsPassedOnOnceJudged(t *testing.T) {
	t.Parallel()
	hosts := chain(t)
	own := overhear(hosts[0], acceptAll)
	middle := overhear(hosts[1], acceptGood)
	far := overhear(hosts[2], acceptAll)
	probes := 0 // sent until the peers have chosen whom they pass messages to
	for ; probes == 0 || far.total() == 0; probes++ {
		probe := fmt.Sprintf("probe %d", probes)
		if err := hosts[0].Publish(t.Context(), []byte(probe)); err != nil {
			t.Fatal(err)
		}
		await(t, "probe to be received", func() bool { return middle.count(middle.heard, probe) == 1 })
	}
	big := "good" + string(bytes.Repeat([]byte{'x'}, MaxGossip-4))
	for _, m := range []string{"bad news", "old news", "good news", big} {
		if err := hosts[0].Publish(t.Context(), []byte(m)); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range []string{"good news", big} {
		await(t, fmt.Sprintf("message of %d bytes to arrive", len(m)), func() bool {
			return middle.count(middle.heard, m) == 1 && far.count(far.heard, m) == 1
		})
	}
	await(t, "the others to be judged", func() bool {
		return middle.count(middle.asked, "bad news") == 1 && middle.count(middle.asked, "old news") == 1
	})
	for _, m := range []string{"bad news", "old news"} {
		if middle.count(middle.heard, m) != 0 || far.count(far.asked, m) != 0 {
			t.Errorf("%q was received or passed on", m)
		}
	}
	if own.count(own.asked, "good news") != 0 || own.count(own.heard, "good news") != 0 {
		t.Error("the publisher was asked about its own message or received it")
	}
	if s := hosts[1].Stats(); s.GossipAccepted != uint64(probes)+2 || s.GossipRejected != 1 || s.GossipIgnored != 1 {
		t.Errorf("middle counts %+v", s)
	}
	if s := hosts[0].Stats(); s.GossipPublished != uint64(probes)+4 {
		t.Errorf("publisher counts %+v", s)
	}
}

func TestPublishBounds(t *testing.T) {
	t.Parallel()
	h := openHost(t, nil)
	if err := h.Publish(t.Context(), make([]byte, MaxGossip+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("Publish of too much = %v", err)
	}
	if err := h.Publish(t.Context(), []byte("to nobody")); err != nil {
		t.Errorf("Publish alone = %v", err)
	}
	if err := h.Publish(t.Context(), []byte("to nobody")); err != nil {
		t.Errorf("Publish again = %v", err)
	}
}

// shouter is a stranger with gossip of its own making.
func shouter(t *testing.T, h *Host, opts ...pubsub.Option) (host.Host, *pubsub.Topic) {
	t.Helper()
	s := stranger(t)
	ps, err := pubsub.NewGossipSub(t.Context(), s, append([]pubsub.Option{
		pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign), pubsub.WithNoAuthor(),
		pubsub.WithMessageIdFn(messageID), pubsub.WithMaxMessageSize(8 << 20),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	topic, err := ps.Join("/dockchain/test/ledger/1")
	if err != nil {
		t.Fatal(err)
	}
	introduce(t, s, h)
	await(t, "the stranger to know its peer", func() bool { return len(topic.ListPeers()) == 1 })
	return s, topic
}

func TestOversizedGossipIsDropped(t *testing.T) {
	t.Parallel()
	h := startHost(t, nil)
	l := overhear(h, acceptAll)
	for _, size := range []int{MaxGossip + 1, MaxEvidence + 2*rpcOverhead} {
		_, topic := shouter(t, h)
		if err := topic.Publish(t.Context(), bytes.Repeat([]byte{'x'}, size)); err != nil {
			t.Fatal(err)
		}
	}
	_, topic := shouter(t, h)
	if err := topic.Publish(t.Context(), []byte("small")); err != nil {
		t.Fatal(err)
	}
	await(t, "the small message", func() bool { return l.count(l.heard, "small") == 1 })
	await(t, "the message over the limit to be rejected", func() bool { return h.Stats().GossipRejected == 1 })
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.asked) != 1 || len(l.heard) != 1 {
		t.Errorf("asked about %d messages and received %d, want only the small one", len(l.asked), len(l.heard))
	}
}

// TestBadGossipersAreCutOff sends rejected messages until nothing of the sender
// is looked at any more; another peer is heard all the time.
func TestBadGossipersAreCutOff(t *testing.T) {
	t.Parallel()
	h := startHost(t, nil)
	l := overhear(h, acceptGood)
	_, bad := shouter(t, h)
	_, good := shouter(t, h)
	looked := 0
	for ; ; looked++ {
		m := fmt.Sprintf("bad %d", looked)
		if err := bad.Publish(t.Context(), []byte(m)); err != nil {
			t.Fatal(err)
		}
		marker := fmt.Sprintf("good %d", looked)
		if err := good.Publish(t.Context(), []byte(marker)); err != nil {
			t.Fatal(err)
		}
		await(t, "the good peer", func() bool { return l.count(l.heard, marker) == 1 })
		if looked >= 3 && l.count(l.asked, m) == 0 {
			break
		}
		if looked == 20 {
			t.Fatal("20 bad messages were looked at")
		}
		await(t, "rejection", func() bool { return h.Stats().GossipRejected == uint64(looked+1) })
	}
	if err := bad.Publish(t.Context(), []byte("good, from the bad one")); err != nil {
		t.Fatal(err)
	}
	if err := good.Publish(t.Context(), []byte("good, from the good one")); err != nil {
		t.Fatal(err)
	}
	await(t, "the good peer", func() bool { return l.count(l.heard, "good, from the good one") == 1 })
	if l.count(l.heard, "good, from the bad one") != 0 {
		t.Error("a peer that was cut off is heard")
	}
}

// TestTheApplicationCutsOff does the same by the application's score alone.
func TestTheApplicationCutsOff(t *testing.T) {
	t.Parallel()
	h := startHost(t, nil)
	l := overhear(h, acceptAll)
	s, bad := shouter(t, h)
	_, good := shouter(t, h)
	scored := make(chan bool, 1)
	h.SetScore(func(id peer.ID) float64 {
		if id != s.ID() {
			return 1
		}
		select {
		case scored <- true:
		default:
		}
		return -1000
	})
	if err := bad.Publish(t.Context(), []byte("from the bad one")); err != nil {
		t.Fatal(err)
	}
	receive(t, "score to be asked for", scored)
	if err := good.Publish(t.Context(), []byte("from the good one")); err != nil {
		t.Fatal(err)
	}
	await(t, "the good peer", func() bool { return l.count(l.heard, "from the good one") == 1 })
	if l.count(l.asked, "from the bad one") != 0 {
		t.Error("a peer with the worst score is heard")
	}
}

func TestScoreIsBounded(t *testing.T) {
	t.Parallel()
	h := openHost(t, nil)
	if got := h.gossip.appScore("x"); got != 0 {
		t.Errorf("score without a function = %v", got)
	}
	for in, want := range map[float64]float64{0.5: 0.5, 7: 1, -7: -1, math.Inf(-1): -1, math.NaN(): 0} {
		h.SetScore(func(peer.ID) float64 { return in })
		if got := h.gossip.appScore("x"); got != want {
			t.Errorf("score %v counts as %v", in, got)
		}
	}
}

func TestGossipWithoutJudgeIsIgnored(t *testing.T) {
	t.Parallel()
	h := startHost(t, nil)
	_, topic := shouter(t, h)
	if err := topic.Publish(t.Context(), []byte("x")); err != nil {
		t.Fatal(err)
	}
	await(t, "message to be ignored", func() bool { return h.Stats().GossipIgnored == 1 })
}

// What is refused as an entry may be good evidence: the topics do not know of
// each other's messages.
func TestEvidenceHasATopicOfItsOwn(t *testing.T) {
	t.Parallel()
	a, b := startHost(t, nil), startHost(t, nil)
	connect(t, a, b)
	await(t, "gossip to know its peers", func() bool {
		return len(a.gossip.topic.ListPeers()) == 1 && len(a.gossip.evidence.topic.ListPeers()) == 1
	})
	entries := overhear(b, func([]byte) Judgement { return Ignore })
	heard := make(chan string, 1)
	b.SetEvidence(func(context.Context, peer.ID, []byte) Judgement { return Accept },
		func(_ context.Context, _ peer.ID, data []byte) { heard <- string(data) })
	if err := a.Publish(t.Context(), []byte("the same")); err != nil {
		t.Fatal(err)
	}
	await(t, "the entry to be judged", func() bool { return entries.count(entries.asked, "the same") == 1 })
	if err := a.PublishEvidence(t.Context(), []byte("the same")); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, "evidence", heard); got != "the same" {
		t.Errorf("heard %q", got)
	}
	if s := b.Stats(); s.EvidenceAccepted != 1 || s.GossipIgnored != 1 {
		t.Errorf("counted %+v", s)
	}
	if err := a.PublishEvidence(t.Context(), make([]byte, MaxEvidence+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("evidence that is too large: %v", err)
	}
}
