package node

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dockchains/dockchain/node/exchange"
	"github.com/dockchains/dockchain/p2p"
	"github.com/dockchains/dockchain/reputation"
)

// network is the host as the exchange sees it.
type network struct{ *p2p.Host }

func (n network) Connected() []peer.ID {
	var out []peer.ID
	for _, p := range n.Host.Peers() {
		if p.Member {
			out = append(out, p.ID)
		}
	}
	return out
}

func (n network) PeerInfos() []exchange.PeerInfo {
	peers := n.Host.Peers()
	out := make([]exchange.PeerInfo, len(peers))
	for i, p := range peers {
		out[i] = exchange.PeerInfo{ID: p.ID, Status: exchange.PeerStatus{
			ID: p.ID.String(), Addrs: p.Addrs, Connected: true,
			LatencyMS: float64(p.Latency.Microseconds()) / 1000, Agent: p.Agent,
		}}
	}
	return out
}

// joinRoads gives the host its callers: gossip, requests and new peers go to the
// exchange, raw streams to the swarm.
func (n *Node) joinRoads() {
	x := n.exchange
	n.host.SetGossip(judging(x.Judge), x.Receive)
	n.host.SetEvidence(judging(x.JudgeEvidence), nil)
	n.host.SetScore(x.PeerScore)
	n.host.OnConnect(x.Connected)
	for _, op := range x.Operations() {
		n.host.Handle(op.Name, op.MaxAnswer, func(ctx context.Context, from peer.ID, req []byte) ([]byte, error) {
			b, err := op.Answer(ctx, from, req)
			return b, remoteError(err)
		})
	}
	n.host.HandleStream(func(from peer.ID, c net.Conn) { n.swarm.Accept(from.String(), c) })
}

// judging says the exchange's judgements in the words of the host.
func judging(judge func(context.Context, peer.ID, []byte) exchange.Judgement) func(context.Context, peer.ID, []byte) p2p.Judgement {
	return func(ctx context.Context, from peer.ID, data []byte) p2p.Judgement {
		switch judge(ctx, from, data) {
		case exchange.Accept:
			return p2p.Accept
		case exchange.Ignore:
			return p2p.Ignore
		default:
			return p2p.Reject
		}
	}
}

// remoteError says our errors in the words of the direct protocol.
func remoteError(err error) error {
	switch {
	case errors.Is(err, exchange.ErrNotFound):
		return p2p.ErrNotFound
	case errors.Is(err, exchange.ErrGarbage):
		return fmt.Errorf("%w: %w", p2p.ErrBadRequest, err)
	}
	return err
}

func (n *Node) dialSwarm(ctx context.Context, id string) (net.Conn, error) {
	p, err := peer.Decode(id)
	if err != nil {
		return nil, err
	}
	return n.host.DialStream(ctx, p)
}

// knownPeers are the addresses of peers met before, best first.
func (n *Node) knownPeers() []string {
	peers, err := n.store.Peers()
	if err != nil {
		n.log.Warn("peers met before cannot be read", "err", err)
		return nil
	}
	addrs := map[string][]string{}
	ids := make([]string, len(peers))
	for i, p := range peers {
		ids[i], addrs[p.ID] = p.ID, p.Addrs
	}
	var out []string
	for _, id := range n.reputation.Rank(reputation.Peer, ids) {
		out = append(out, addrs[id]...)
	}
	return out
}
