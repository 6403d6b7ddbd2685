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
type network struct {
	*p2p.Host
	node *Node
}

// Request counts the answer as downloaded.
func (n network) Request(ctx context.Context, to peer.ID, op string, req []byte) ([]byte, error) {
	b, err := n.Host.Request(ctx, to, op, req)
	n.node.swarm.Downloaded(n.node.classOf(to), len(b))
	return b, err
}

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
			Direction: p.Direction, Road: string(p.Road), Near: p.Near, Punched: p.Punched,
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
			if err := n.mayGive(op.Name); err != nil {
				return nil, err
			}
			b, err := op.Answer(ctx, from, req)
			n.awaitUpload(ctx, from, len(b))
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

// reachOf says the setting in the words of the host.
func reachOf(s string) p2p.Reach {
	if s == "auto" {
		return p2p.ReachAuto
	}
	return p2p.Reach(s)
}

func (n *Node) dialSwarm(ctx context.Context, id string) (net.Conn, error) {
	p, err := peer.Decode(id)
	if err != nil {
		return nil, err
	}
	return n.host.DialStream(ctx, p)
}

// cardOf is what others must know of a peer to dial it.
func (n *Node) cardOf(id string) []byte {
	p, err := peer.Decode(id)
	if err != nil {
		return nil
	}
	return n.host.Card(p)
}

// meetPeer remembers how a peer can be reached that another one introduced.
func (n *Node) meetPeer(id string, card []byte) error {
	p, err := peer.Decode(id)
	if err != nil {
		return err
	}
	return n.host.Meet(p, card)
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
