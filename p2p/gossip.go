package p2p

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync/atomic"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
)

// Judgement says what becomes of a gossip message.
type Judgement int

const (
	Accept Judgement = iota // deliver and pass on
	Ignore                  // drop; nobody's fault
	Reject                  // drop, and blame the peer that sent it
)

// handlers are what the application thinks of messages.
type handlers struct {
	validate func(ctx context.Context, from peer.ID, data []byte) Judgement
	receive  func(ctx context.Context, from peer.ID, data []byte)
}

// gossip are the topics of the network: entries, and evidence against authors,
// which has one of its own so that no flood of entries can hold it up.
type gossip struct {
	channel  // of entries
	evidence channel
	stop     context.CancelFunc
	score    atomic.Pointer[func(peer.ID) float64]
	// graylisted are the peers whose messages are not looked at, as of the last
	// time that they were counted.
	graylisted atomic.Int64
}

// inspectEvery is how often scores are looked at, for the statistics alone.
const inspectEvery = time.Second

func (g *gossip) inspect(scores map[peer.ID]float64) {
	n := int64(0)
	for _, s := range scores {
		if s < graylistThreshold {
			n++
		}
	}
	g.graylisted.Store(n)
}

// channel is one topic.
type channel struct {
	self     peer.ID
	max      int // bytes of a message
	topic    *pubsub.Topic
	messages *pubsub.Subscription
	handlers atomic.Pointer[handlers]
	stats    gossipCounters
}

const (
	gossipQueue     = 1024 // messages; the default of 32 loses some under load
	gossipChecks    = 256  // validations at once
	validateTimeout = 10 * time.Second
	rpcOverhead     = 64 << 10 // topic names and control messages beside the data
)

func newGossip(h host.Host, prefix string) (_ *gossip, err error) {
	entries, evidence := prefix+"/ledger/1", prefix+"/evidence/1"
	ctx, stop := context.WithCancel(context.Background())
	g := &gossip{stop: stop}
	defer func() {
		if err != nil {
			stop()
		}
	}()
	ps, err := pubsub.NewGossipSub(ctx, h,
		pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign),
		pubsub.WithNoAuthor(),
		pubsub.WithMessageIdFn(messageID),
		pubsub.WithFloodPublish(true), // own messages go to all peers: they are few
		pubsub.WithGossipSubParams(gossipParams()),
		pubsub.WithMaxMessageSize(max(MaxGossip, MaxEvidence)+rpcOverhead),
		pubsub.WithPeerOutboundQueueSize(gossipQueue),
		pubsub.WithValidateQueueSize(gossipQueue),
		pubsub.WithSubscriptionFilter(pubsub.WrapLimitSubscriptionFilter(
			pubsub.NewAllowlistSubscriptionFilter(entries, evidence), 16)),
		pubsub.WithPeerScore(scoreParams(g.appScore, entries, evidence), scoreThresholds()),
		pubsub.WithPeerScoreInspect(g.inspect, inspectEvery),
		pubsub.WithLogger(slog.New(slog.DiscardHandler)),
	)
	if err != nil {
		return nil, err
	}
	if err := g.channel.open(ps, h.ID(), entries, MaxGossip); err != nil {
		return nil, err
	}
	if err := g.evidence.open(ps, h.ID(), evidence, MaxEvidence); err != nil {
		return nil, err
	}
	return g, nil
}

func (c *channel) open(ps *pubsub.PubSub, self peer.ID, topic string, max int) (err error) {
	c.self, c.max = self, max
	if err := ps.RegisterTopicValidator(topic, c.check,
		pubsub.WithValidatorTimeout(validateTimeout), pubsub.WithValidatorConcurrency(gossipChecks)); err != nil {
		return fmt.Errorf("registering validator: %w", err)
	}
	if c.topic, err = ps.Join(topic); err != nil {
		return fmt.Errorf("joining topic: %w", err)
	}
	if c.messages, err = c.topic.Subscribe(pubsub.WithBufferSize(gossipQueue)); err != nil {
		return fmt.Errorf("subscribing: %w", err)
	}
	return nil
}

func (g *gossip) close() error {
	g.messages.Cancel()
	g.evidence.messages.Cancel()
	g.stop()
	return nil
}

// gossipParams halves the heartbeat and doubles, in heartbeats, what is told at
// them. A message that reaches a node before its first heartbeat goes no
// further, so a young network should beat soon.
func gossipParams() pubsub.GossipSubParams {
	p := pubsub.DefaultGossipSubParams()
	p.HeartbeatInterval /= 2
	p.HistoryLength *= 2
	p.HistoryGossip *= 2
	return p
}

// messageID is the hash of topic and content: messages carry no sender, and what
// was refused in one topic may be right in the other.
func messageID(m *pb.Message) string {
	sum := sha256.Sum256(append([]byte(m.GetTopic()+"\x00"), m.GetData()...))
	return string(sum[:])
}

// SetGossip sets who judges messages and who gets the accepted ones. Until it
// is called messages are ignored. validate runs concurrently, up to 256 at
// once, and must heed its context; receive runs one call at a time. from is the
// peer that passed the message on, not its author. The node's own messages are
// neither judged nor received.
func (h *Host) SetGossip(
	validate func(ctx context.Context, from peer.ID, data []byte) Judgement,
	receive func(ctx context.Context, from peer.ID, data []byte),
) {
	h.gossip.handlers.Store(&handlers{validate, receive})
}

// SetEvidence is SetGossip for the topic of evidence against authors; receive may
// be nil.
func (h *Host) SetEvidence(
	validate func(ctx context.Context, from peer.ID, data []byte) Judgement,
	receive func(ctx context.Context, from peer.ID, data []byte),
) {
	h.gossip.evidence.handlers.Store(&handlers{validate, receive})
}

// SetScore sets what the application thinks of peers, from -1 (cut off) to 1.
// Gossip calls it twice a second for every peer, so it must be quick.
func (h *Host) SetScore(score func(peer.ID) float64) { h.gossip.score.Store(&score) }

// Publish sends a message to the peers; at most MaxGossip bytes. It does not
// wait for anybody to get it, and having no peers is no error: gossip is a
// hint, and those who missed it catch up by asking.
func (h *Host) Publish(ctx context.Context, data []byte) error {
	return h.gossip.publish(ctx, data)
}

// PublishEvidence is Publish for evidence; at most MaxEvidence bytes.
func (h *Host) PublishEvidence(ctx context.Context, data []byte) error {
	return h.gossip.evidence.publish(ctx, data)
}

func (c *channel) publish(ctx context.Context, data []byte) error {
	if len(data) > c.max {
		return fmt.Errorf("publishing %d bytes: %w: limit is %d", len(data), ErrTooLarge, c.max)
	}
	err := c.topic.Publish(ctx, data)
	if err != nil && !errors.As(err, new(pubsub.ValidationError)) {
		return fmt.Errorf("publishing: %w", err)
	}
	c.stats.published.Add(1)
	return nil
}

func (c *channel) check(ctx context.Context, from peer.ID, m *pubsub.Message) pubsub.ValidationResult {
	if from == c.self {
		return pubsub.ValidationAccept
	}
	switch c.judge(ctx, from, m.GetData()) {
	case Accept:
		c.stats.accepted.Add(1)
		return pubsub.ValidationAccept
	case Reject:
		c.stats.rejected.Add(1)
		return pubsub.ValidationReject
	default:
		c.stats.ignored.Add(1)
		return pubsub.ValidationIgnore
	}
}

func (c *channel) judge(ctx context.Context, from peer.ID, data []byte) Judgement {
	if len(data) > c.max {
		return Reject
	}
	h := c.handlers.Load()
	if h == nil || h.validate == nil {
		return Ignore
	}
	return h.validate(ctx, from, data)
}

// deliver hands accepted messages to the application.
func (c *channel) deliver(ctx context.Context) error {
	for {
		m, err := c.messages.Next(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("receiving gossip: %w", err)
		}
		if h := c.handlers.Load(); m.ReceivedFrom != c.self && h != nil && h.receive != nil {
			h.receive(ctx, m.ReceivedFrom, m.GetData())
		}
	}
}

// appScore bounds what the application says.
func (g *gossip) appScore(id peer.ID) float64 {
	f := g.score.Load()
	if f == nil {
		return 0
	}
	s := (*f)(id)
	if math.IsNaN(s) {
		return 0
	}
	return max(-1, min(1, s))
}
