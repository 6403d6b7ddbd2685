package p2p

import (
	"net"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
)

// The weights below work as follows (gossipsub 1.1, "Peer scoring"). A rejected
// message costs 10 times the square of their decayed number, so the first one
// stops the exchange of gossip with its sender, and the third cuts it off until
// the count has decayed, in about a quarter of an hour. The application's worst
// opinion cuts off by itself. Rates of delivery are not scored: the topic is too
// quiet for that.
const (
	gossipThreshold   = -8
	publishThreshold  = -30
	graylistThreshold = -60
	appWeight         = 70
	rejectWeight      = -10
)

func scoreThresholds() *pubsub.PeerScoreThresholds {
	return &pubsub.PeerScoreThresholds{
		GossipThreshold:             gossipThreshold,
		PublishThreshold:            publishThreshold,
		GraylistThreshold:           graylistThreshold,
		AcceptPXThreshold:           1000, // never
		OpportunisticGraftThreshold: 1,
	}
}

func scoreParams(app func(peer.ID) float64, topics ...string) *pubsub.PeerScoreParams {
	const decayInterval = time.Second
	const decayToZero = 0.01
	decay := func(d time.Duration) float64 {
		return pubsub.ScoreParameterDecayWithBase(d, decayInterval, decayToZero)
	}
	params := &pubsub.PeerScoreParams{
		AppSpecificScore:            app,
		AppSpecificWeight:           appWeight,
		TopicScoreCap:               50,
		IPColocationFactorWeight:    -1,
		IPColocationFactorThreshold: 10,
		IPColocationFactorWhitelist: ownNetworks(),
		BehaviourPenaltyWeight:      -1,
		BehaviourPenaltyThreshold:   6,
		BehaviourPenaltyDecay:       decay(10 * time.Minute),
		DecayInterval:               decayInterval,
		DecayToZero:                 decayToZero,
		RetainScore:                 30 * time.Minute,
		Topics:                      map[string]*pubsub.TopicScoreParams{},
	}
	for _, topic := range topics {
		params.Topics[topic] = &pubsub.TopicScoreParams{
			SkipAtomicValidation:           true,
			TopicWeight:                    1,
			TimeInMeshWeight:               0.01,
			TimeInMeshQuantum:              time.Second,
			TimeInMeshCap:                  300,
			FirstMessageDeliveriesWeight:   0.5,
			FirstMessageDeliveriesDecay:    decay(10 * time.Minute),
			FirstMessageDeliveriesCap:      40,
			InvalidMessageDeliveriesWeight: rejectWeight,
			InvalidMessageDeliveriesDecay:  decay(30 * time.Minute),
		}
	}
	return params
}

// ownNetworks are those where many nodes behind one address are no sign of one
// person playing many.
func ownNetworks() []*net.IPNet {
	var out []*net.IPNet
	for _, cidr := range []string{
		"127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10",
	} {
		if _, n, err := net.ParseCIDR(cidr); err == nil {
			out = append(out, n)
		}
	}
	return out
}
