package exchange

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"testing"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dockchains/dockchain/p2p/swarm"
	"github.com/dockchains/dockchain/reputation"
)

// scriptedNet answers requests for info dicts, and nothing else.
type scriptedNet struct {
	Network
	info  map[peer.ID]func(ctx context.Context) ([]byte, error)
	asked chan peer.ID
}

func (n *scriptedNet) ID() peer.ID { return "self" }

func (n *scriptedNet) Request(ctx context.Context, to peer.ID, op string, _ []byte) ([]byte, error) {
	if op != OpInfo {
		return nil, errors.New("unexpected " + op)
	}
	n.asked <- to
	return n.info[to](ctx)
}

func newPeer(t *testing.T) peer.ID {
	t.Helper()
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// TestLearnInfo: each holder is asked once, whatever the others said, until one
// has the info dict that the infohash names and the image fits.
func TestLearnInfo(t *testing.T) {
	t.Parallel()
	const size = 300 << 10
	image := func(name string) (info []byte, ih swarm.Infohash) {
		info, ih, err := swarm.BuildImage(t.Context(), name, []swarm.Source{{Path: []string{"blob"}, Size: size, Data: make([]byte, size)}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return info, ih
	}
	info, ih := image("image")
	other, otherIH := image("other")
	unread := []swarm.Source{{Path: []string{"blob"}, Size: size, Open: func() (io.ReaderAt, io.Closer, error) {
		return nil, nil, io.ErrUnexpectedEOF
	}}}
	answer := func(b []byte, err error) func(context.Context) ([]byte, error) {
		return func(context.Context) ([]byte, error) { return b, err }
	}
	liar, absent, good := newPeer(t), newPeer(t), newPeer(t)
	for name, c := range map[string]struct {
		ih      swarm.Infohash
		holders map[peer.ID]func(context.Context) ([]byte, error)
		learned bool
		blamed  bool
	}{
		"the last one has it": {ih, map[peer.ID]func(context.Context) ([]byte, error){
			liar: answer(other, nil), absent: answer(nil, ErrNotFound), good: answer(info, nil),
		}, true, true},
		"garbage":          {ih, map[peer.ID]func(context.Context) ([]byte, error){liar: answer([]byte("x"), nil)}, false, true},
		"nobody has it":    {ih, map[peer.ID]func(context.Context) ([]byte, error){absent: answer(nil, ErrNotFound)}, false, false},
		"of another image": {otherIH, map[peer.ID]func(context.Context) ([]byte, error){good: answer(other, nil)}, false, false},
		"hangs until the end": {ih, map[peer.ID]func(context.Context) ([]byte, error){absent: func(ctx context.Context) ([]byte, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			torrent, err := swarm.NewImageHasher("image", unread)
			if err != nil {
				t.Fatal(err)
			}
			net := &scriptedNet{info: c.holders, asked: make(chan peer.ID, 10)}
			x := &Exchange{Config: Config{Net: net, Reputation: reputation.New(reputation.Config{})}, log: slog.New(slog.DiscardHandler)}
			d := &download{x: x, ih: c.ih, holders: newHolders(), image: &imageHashing{torrent: torrent}}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan struct{})
			go func() { defer close(done); d.learnInfo(ctx) }()
			// The good one comes last.
			for _, p := range []peer.ID{liar, absent, good} {
				if c.holders[p] != nil {
					d.holders.add(p)
					if got := <-net.asked; got != p {
						t.Errorf("asked %s instead of %s", got, p)
					}
				}
			}
			if !c.learned {
				cancel()
			}
			<-done
			if len(net.asked) > 0 {
				t.Error("somebody was asked twice")
			}
			if _, _, err := torrent.Finish(t.Context(), nil); (err == nil) != c.learned {
				t.Errorf("finishing without the files' bytes: %v", err)
			}
			if blamed := x.Reputation.Score(peerSubject(liar)) < x.Reputation.Score(peerSubject(good)); blamed != c.blamed {
				t.Errorf("the liar is blamed: %v, want %v", blamed, c.blamed)
			}
		})
	}
}
