package p2p

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/pnet"
	"github.com/libp2p/go-libp2p/core/transport"
	"github.com/libp2p/go-libp2p/p2p/protocol/identify"
	"github.com/libp2p/go-libp2p/p2p/protocol/identify/pb"
	quic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	"github.com/libp2p/go-msgio/pbio"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"github.com/multiformats/go-multistream"
)

// A hole for QUIC leads to the address that a NAT gives the UDP socket, which
// nobody has told a node that reaches everybody by TCP. So, when a peer is met at a
// relay, a member with a public address is dialled over that very socket and asked
// what it sees (github.com/libp2p/specs, identify). A second connection to a
// connected peer would be taken for another way to this node: the question is put
// in the name of a key made for it.
const (
	// outsideFresh is how long nobody is asked again, and outsideFor how long an
	// answer is told on: NATs keep the port of a socket that is silent for two
	// minutes (RFC 4787, 4.3), many for half a minute only.
	outsideFresh = 10 * time.Second
	outsideFor   = 30 * time.Second
	// outsideTimeout bounds one question, handshake included.
	outsideTimeout = 3 * time.Second
	// outsidePatience is how long making a hole waits for the answer.
	outsidePatience = time.Second
	// maxAsked members are asked, one after the other.
	maxAsked = 2
	// maxIdentify is the size of an answer, in bytes: the one libp2p allows.
	maxIdentify = 8 << 10
)

// outside is the address of the QUIC socket as others see it.
type outside struct {
	key     crypto.PrivKey         // of the host
	sockets *quicreuse.ConnManager // that it listens with; set before it is open

	mu     sync.Mutex
	addr   ma.Multiaddr // nil: not known
	at     time.Time
	asking chan struct{} // closed when the answer is there; nil: nobody is asked
}

// transport is a constructor for libp2p.Transport, which calls it for the host and,
// with other keys and sockets, for those that find out who can be dialled.
func (o *outside) transport(key crypto.PrivKey, sockets *quicreuse.ConnManager, psk pnet.PSK, gater connmgr.ConnectionGater, limits network.ResourceManager) (transport.Transport, error) {
	if key.Equals(o.key) {
		o.sockets = sockets
	}
	return quic.NewTransport(key, sockets, psk, gater, limits)
}

// lookOutside asks members for the address of the QUIC socket of a node behind NAT,
// unless it is known or they are asked already.
func (h *Host) lookOutside() {
	o := h.relays.outside
	if h.policy.public.Load() || !slices.ContainsFunc(h.lib.Network().ListenAddresses(), isQUIC) {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.asking != nil || time.Since(o.at) < outsideFresh {
		return
	}
	done := make(chan struct{})
	o.asking = done
	go func() {
		addr, err := o.ask(context.Background(), h.witnesses())
		if err != nil {
			h.log.Debug("address of the QUIC socket is not known", "err", oneLine(err))
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		o.addr, o.at, o.asking = addr, time.Now(), nil
		close(done)
	}()
}

// known waits a little for an answer that is on its way; nil when there is none.
func (o *outside) known() ma.Multiaddr {
	o.mu.Lock()
	asking := o.asking
	o.mu.Unlock()
	if asking != nil {
		select {
		case <-asking:
		case <-time.After(outsidePatience):
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if time.Since(o.at) >= outsideFor {
		return nil
	}
	return o.addr
}

// witnesses are QUIC addresses of connected members that are reached at public
// addresses, those who relay first.
func (h *Host) witnesses() []peer.AddrInfo {
	var out []peer.AddrInfo
	for _, info := range h.relayCandidates() {
		info.Addrs = keep(info.Addrs, isQUIC)
		if len(info.Addrs) > 0 {
			out = append(out, info)
		}
	}
	return out[:min(len(out), maxAsked)]
}

func isQUIC(a ma.Multiaddr) bool {
	_, err := a.ValueForProtocol(ma.P_QUIC_V1)
	return err == nil
}

func (o *outside) ask(ctx context.Context, witnesses []peer.AddrInfo) (ma.Multiaddr, error) {
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return nil, err
	}
	t, err := quic.NewTransport(key, o.sockets, nil, nil, nil)
	if err != nil {
		return nil, err
	}
	errs := []error{ErrNoPeers}
	for _, w := range witnesses {
		addr, err := observed(ctx, t, w)
		if err == nil {
			return addr, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// observed is the address that a peer sees the dials of a transport come from.
func observed(ctx context.Context, t transport.Transport, w peer.AddrInfo) (ma.Multiaddr, error) {
	ctx, cancel := context.WithTimeout(ctx, outsideTimeout)
	defer cancel()
	c, err := t.Dial(ctx, w.Addrs[0], w.ID)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	s, err := c.OpenStream(ctx)
	if err != nil {
		return nil, err
	}
	defer s.Reset()
	if d, ok := ctx.Deadline(); ok {
		s.SetDeadline(d)
	}
	if err := multistream.SelectProtoOrFail(identify.ID, s); err != nil {
		return nil, err
	}
	var told pb.Identify
	if err := pbio.NewDelimitedReader(s, maxIdentify).ReadMsg(&told); err != nil {
		return nil, err
	}
	return outsideAddr(told.GetObservedAddr())
}

// outsideAddr parses what a peer says it sees: a public address of QUIC.
func outsideAddr(b []byte) (ma.Multiaddr, error) {
	a, err := ma.NewMultiaddrBytes(b)
	if err != nil {
		return nil, fmt.Errorf("reading observed address: %w", err)
	}
	ip, err := manet.ToIP(a)
	if err != nil || len(a) != 3 || a[1].Protocol().Code != ma.P_UDP || !isQUIC(a) || !ip.IsGlobalUnicast() || !manet.IsPublicAddr(a) {
		return nil, fmt.Errorf("observed address %s is not a public one of QUIC", a)
	}
	return a, nil
}

// FilterLocal implements holepunch.AddrFilter: it adds the address of the QUIC
// socket to those that the other end is told.
func (o *outside) FilterLocal(_ peer.ID, addrs []ma.Multiaddr) []ma.Multiaddr {
	if slices.ContainsFunc(addrs, isQUIC) {
		return addrs
	}
	if a := o.known(); a != nil {
		return append(slices.Clone(addrs), a)
	}
	return addrs
}

// FilterRemote implements holepunch.AddrFilter.
func (o *outside) FilterRemote(_ peer.ID, addrs []ma.Multiaddr) []ma.Multiaddr { return addrs }
