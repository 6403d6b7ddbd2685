package p2p

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ipfs/go-cid"
	dht "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/core/routing"
	"github.com/multiformats/go-multihash"
)

func (h *Host) newDHT(prefix protocol.ID) (*dht.IpfsDHT, error) {
	return dht.New(h.lib,
		dht.ProtocolPrefix(prefix),
		dht.Mode(dhtMode(h.cfg)),
		dht.Validator(h.records),
		dht.AddressFilter(h.policy.believed),
		dht.ValueDatastore(newShelf(maxValueEntries, maxValueBytes, wholeShelf)),
		dht.ProviderDatastore(newShelf(maxProviderEntries, maxProviderBytes, providerOf)),
	)
}

func dhtMode(cfg Config) dht.ModeOpt {
	switch {
	case cfg.DHT == ModeClient:
		return dht.ModeClient
	case cfg.DHT == ModeServer, onlyLoopback(cfg.Listen):
		return dht.ModeServer
	default:
		return dht.ModeAutoServer // a client once others report that it cannot be reached
	}
}

// providerKey is the CIDv1 under which providers of a key are kept.
func providerKey(key []byte) (cid.Cid, error) {
	sum, err := multihash.Sum(key, multihash.SHA2_256, -1)
	if err != nil {
		return cid.Undef, fmt.Errorf("hashing key: %w", err)
	}
	return cid.NewCidV1(cid.Raw, sum), nil
}

// FindProviders looks up to max providers of a key, without this node itself;
// max 0 means all. The channel is closed when the lookup or the context ends;
// a caller that stops reading must cancel the context. The addresses found are
// remembered, so that Request and DialStream can use the id alone.
func (h *Host) FindProviders(ctx context.Context, key []byte, max int) <-chan peer.AddrInfo {
	out := make(chan peer.AddrInfo)
	go func() {
		defer close(out)
		c, err := providerKey(key)
		if err == nil {
			err = h.awaitTable(ctx)
		}
		if err != nil {
			h.log.Debug("providers not looked up", "err", err)
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		ask := max
		if max > 0 {
			ask = max + 1 // this node may be one of them
		}
		found := 0
		for info := range h.dht.FindProvidersAsync(ctx, c, ask) {
			if info.ID == h.ID() || h.bans.has(info.ID) {
				continue
			}
			select {
			case out <- info:
			case <-ctx.Done():
				return
			}
			if found++; found == max {
				return
			}
		}
	}()
	return out
}

// GetValue looks a record up and returns the best of those found first, checked
// by the validator; ErrNotFound if there is none, ErrNoPeers if nobody could be
// asked.
func (h *Host) GetValue(ctx context.Context, key string) ([]byte, error) {
	if err := checkRecord(key, nil); err != nil {
		return nil, fmt.Errorf("looking up record: %w", err)
	}
	noPeers := h.awaitTable(ctx)
	value, err := h.dht.GetValue(ctx, key, dht.Quorum(1)) // may be kept on this node
	switch {
	case err == nil:
		return value, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("looking up record: %w", ctx.Err())
	case noPeers != nil:
		return nil, fmt.Errorf("looking up record: %w", noPeers)
	case errors.Is(err, routing.ErrNotFound):
		return nil, fmt.Errorf("looking up record: %w", ErrNotFound)
	default:
		return nil, fmt.Errorf("looking up record: %w", oneLine(err))
	}
}

// awaitTable waits a little for the first peer of the routing table, so that
// lookups right after the start do not fail.
func (h *Host) awaitTable(ctx context.Context) error {
	if h.dht.RoutingTable().Size() > 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, h.cfg.JoinWait)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond) // the table itself tells nobody
	defer tick.Stop()
	for h.dht.RoutingTable().Size() == 0 {
		select {
		case <-ctx.Done():
			return ErrNoPeers
		case <-tick.C:
		}
	}
	return nil
}

// A finder finds the addresses of a peer in the DHT. Unlike the DHT itself it
// takes those that the lookup brought for good also when the DHT did not get
// through to the peer, as happens to one that was connected a moment ago.
type finder struct{ h *Host }

func (f finder) FindPeer(ctx context.Context, id peer.ID) (peer.AddrInfo, error) {
	var err error
	for range 2 { // the first to be asked may have been in the same state
		var info peer.AddrInfo
		if info, err = f.h.dht.FindPeer(ctx, id); err == nil {
			return info, nil
		}
		if addrs := f.h.lib.Peerstore().Addrs(id); len(addrs) > 0 && ctx.Err() == nil {
			return peer.AddrInfo{ID: id, Addrs: addrs}, nil
		}
		if ctx.Err() != nil || !errors.Is(err, routing.ErrNotFound) {
			break
		}
	}
	return peer.AddrInfo{}, err
}

// Refresh fills the routing table by looking up keys near this node and far
// from it. It happens by itself when the first peers are met; Refresh waits for
// another round.
func (h *Host) Refresh(ctx context.Context) error {
	if err := h.awaitTable(ctx); err != nil {
		return fmt.Errorf("refreshing routing table: %w", err)
	}
	select {
	case err := <-h.dht.ForceRefresh():
		if err != nil {
			return fmt.Errorf("refreshing routing table: %w", oneLine(err))
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("refreshing routing table: %w", ctx.Err())
	}
}
