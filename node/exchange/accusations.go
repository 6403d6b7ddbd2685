package exchange

import (
	"context"

	"github.com/libp2p/go-libp2p/core/peer"
)

// JudgeEvidence is the gossip validator of evidence against authors. It charges
// the peer for what proves nothing here, and for nothing else: a proof is never
// kept out by how many came before it. Who has sent too much of the other sort is
// not heard for a while; what it may have had to say is learnt when logs are
// compared, for then this node asks.
func (x *Exchange) JudgeEvidence(ctx context.Context, from peer.ID, data []byte) Judgement {
	if err := refusal(x.limits.Accuse(from.String())); err != nil {
		x.log.Debug("evidence is not looked at", "peer", from, "err", err)
		return Ignore
	}
	judgement, known := x.judgeEvidence(ctx, from, data)
	if judgement == Accept || known {
		x.limits.Proven(from.String())
	}
	return judgement
}
