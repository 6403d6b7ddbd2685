package p2p

import (
	"errors"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/record"
	ma "github.com/multiformats/go-multiaddr"
)

// await is for a card to come with the identification of a peer.
func awaitCard(t *testing.T, h *Host, id peer.ID) []byte {
	t.Helper()
	var card []byte
	await(t, "a card", func() bool {
		card = h.Card(id)
		return card != nil
	})
	return card
}

// Two peers that know a third in common meet through it.
func TestCardsIntroduce(t *testing.T) {
	t.Parallel()
	between, alice, bob := startHost(t, nil), startHost(t, nil), startHost(t, nil)
	for _, h := range []*Host{alice, bob} {
		if err := h.Connect(t.Context(), between.Addrs()[0]); err != nil {
			t.Fatal(err)
		}
	}
	card := awaitCard(t, between, alice.ID())
	if err := bob.Meet(alice.ID(), card); err != nil {
		t.Fatal(err)
	}
	if _, err := bob.DialStream(t.Context(), alice.ID()); err != nil {
		t.Errorf("dialling after being introduced: %v", err)
	}
	if err := alice.Meet(alice.ID(), card); err == nil || errors.Is(err, ErrBadCard) {
		t.Errorf("meeting oneself: %v", err)
	}
}

func TestBadCards(t *testing.T) {
	t.Parallel()
	h := openHost(t, nil)
	key, other := testKey(t), testKey(t)
	id, _ := peer.IDFromPrivateKey(key)
	otherID, _ := peer.IDFromPrivateKey(other)
	seal := func(signed func() ([]byte, error)) []byte {
		b, err := signed()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	addr := ma.StringCast("/ip4/127.0.0.1/tcp/4747")
	good := seal(func() ([]byte, error) {
		env, err := record.Seal(&peer.PeerRecord{PeerID: id, Addrs: []ma.Multiaddr{addr}}, key)
		if err != nil {
			return nil, err
		}
		return env.Marshal()
	})
	forged := seal(func() ([]byte, error) { // about one, signed by another
		env, err := record.Seal(&peer.PeerRecord{PeerID: id, Addrs: []ma.Multiaddr{addr}}, other)
		if err != nil {
			return nil, err
		}
		return env.Marshal()
	})
	none := seal(func() ([]byte, error) {
		env, err := record.Seal(&peer.PeerRecord{PeerID: id}, key)
		if err != nil {
			return nil, err
		}
		return env.Marshal()
	})
	if err := h.Meet(id, good); err != nil {
		t.Errorf("a good card: %v", err)
	}
	for name, bad := range map[string]struct {
		id   peer.ID
		card []byte
	}{
		"none":            {id, nil},
		"another's":       {otherID, good},
		"forged":          {id, forged},
		"without address": {id, none},
		"cut":             {id, good[:len(good)-1]},
		"long":            {id, append(good, make([]byte, MaxCard)...)},
	} {
		if err := h.Meet(bad.id, bad.card); !errors.Is(err, ErrBadCard) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if got := h.lib.Peerstore().Addrs(otherID); len(got) != 0 {
		t.Errorf("addresses from bad cards: %v", got)
	}
}

func FuzzCard(f *testing.F) {
	key := testKey(f)
	id, _ := peer.IDFromPrivateKey(key)
	env, err := record.Seal(&peer.PeerRecord{PeerID: id, Addrs: []ma.Multiaddr{ma.StringCast("/ip4/127.0.0.1/tcp/1")}}, key)
	if err != nil {
		f.Fatal(err)
	}
	b, err := env.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if rec, err := readCard(id, b); err == nil && rec.PeerID != id {
			t.Errorf("card of %s taken for that of %s", rec.PeerID, id)
		}
	})
}
