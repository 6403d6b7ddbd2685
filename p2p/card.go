package p2p

import (
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/core/record"
)

const (
	// MaxCard bounds a card, in bytes.
	MaxCard = 2 << 10
	// cardAddrs bounds the addresses taken from one.
	cardAddrs = 16
	// cardLife is how long they are remembered.
	cardLife = 10 * time.Minute
)

// ErrBadCard: a card is not what its peer signed.
var ErrBadCard = errors.New("card of a peer is not valid")

// keepCard keeps what a peer said of itself when it connected, for as long as its
// addresses are remembered.
func (h *Host) keepCard(env *record.Envelope) {
	if book, ok := peerstore.GetCertifiedAddrBook(h.lib.Peerstore()); ok && env != nil {
		if _, err := book.ConsumePeerRecord(env, peerstore.RecentlyConnectedAddrTTL); err != nil {
			h.log.Debug("card of a peer is not kept", "err", err)
		}
	}
}

// Card is a peer's addresses as it signed them, for others to meet it: a libp2p
// signed envelope with a peer record (libp2p RFC 0002 and 0003), nil where the peer
// gave none, or none that fits.
func (h *Host) Card(id peer.ID) []byte {
	book, ok := peerstore.GetCertifiedAddrBook(h.lib.Peerstore())
	if !ok {
		return nil
	}
	env := book.GetPeerRecord(id)
	if env == nil {
		return nil
	}
	b, err := env.Marshal()
	if err != nil || len(b) > MaxCard {
		return nil
	}
	return b
}

// Meet remembers for some minutes how a peer can be reached, from the card that
// somebody passed on. It dials nobody. Of the addresses it takes those that it would
// believe in the DHT.
func (h *Host) Meet(id peer.ID, card []byte) error {
	if id == h.ID() {
		return errors.New("it is this node's own")
	}
	rec, err := readCard(id, card)
	if err != nil {
		return err
	}
	addrs := h.policy.believed(rec.Addrs)
	if len(addrs) == 0 {
		return fmt.Errorf("%w: none of its addresses can be used here", ErrBadCard)
	}
	h.lib.Peerstore().AddAddrs(id, addrs[:min(len(addrs), cardAddrs)], cardLife)
	return nil
}

func readCard(id peer.ID, card []byte) (*peer.PeerRecord, error) {
	if len(card) > MaxCard {
		return nil, fmt.Errorf("%w: %d bytes", ErrBadCard, len(card))
	}
	var rec peer.PeerRecord
	env, err := record.ConsumeTypedEnvelope(card, &rec)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadCard, err)
	}
	if rec.PeerID != id || !id.MatchesPublicKey(env.PublicKey) {
		return nil, fmt.Errorf("%w: it is another's", ErrBadCard)
	}
	return &rec, nil
}
