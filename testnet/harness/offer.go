package testnet

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/node/exchange"
	"github.com/dockchains/dockchain/node/image"
	"github.com/dockchains/dockchain/p2p"
	"github.com/dockchains/dockchain/p2p/swarm"
)

// Offer is an image as an author who may lie offers it: the release, the
// torrents it names, and the bytes behind them.
type Offer struct {
	Release ledger.Release
	Map     image.TorrentMap

	docs     map[digest.Digest][]byte // every blob under the digest it is said to have
	torrents map[swarm.Infohash]Torrent
}

// NewOffer offers a layout under REPO:TAG. lie gives the bytes that are offered
// in place of a layer's, of the same length: the torrents are right for them,
// but the digest that the manifest gives is another. nil: no lie.
func NewOffer(t testing.TB, l *Layout, name string, lie func(d digest.Digest, b []byte) []byte) *Offer {
	t.Helper()
	o := &Offer{docs: map[digest.Digest][]byte{}, torrents: map[swarm.Infohash]Torrent{}}
	if err := o.build(t.Context(), l, name, lie); err != nil {
		t.Fatalf("making an offer: %v", err)
	}
	return o
}

func (o *Offer) build(ctx context.Context, l *Layout, name string, lie func(digest.Digest, []byte) []byte) error {
	get := func(_ context.Context, d image.Descriptor) ([]byte, error) { return os.ReadFile(l.Path(d.Digest)) }
	img, err := image.Walk(ctx, l.Root, get)
	if err != nil {
		return err
	}
	layers := map[digest.Digest]string{}
	for _, b := range img.Blobs {
		data, err := os.ReadFile(l.Path(b.Digest))
		if err != nil {
			return err
		}
		if lie != nil && b.Role == "layer" {
			data = lie(b.Digest, data)
		}
		o.docs[b.Digest] = data
		if len(data) == 0 {
			continue
		}
		info, ih, err := swarm.BuildLayer(ctx, b.Digest.Encoded(), b.Size, bytes.NewReader(data))
		if err != nil {
			return err
		}
		layers[b.Digest] = ih.String()
		o.torrents[ih] = Torrent{info, []swarm.Source{{Size: b.Size, Data: data}}}
	}
	ih, err := o.image(ctx, img)
	if err != nil {
		return err
	}
	if o.Map, err = image.NewTorrentMap(img, ih.String(), layers); err != nil {
		return err
	}
	o.sign(img, name)
	return nil
}

func (o *Offer) image(ctx context.Context, img *image.Image) (swarm.Infohash, error) {
	var files []swarm.Source
	for _, f := range image.LayoutFiles(img) {
		data := f.Data
		if f.Digest != "" {
			data = o.docs[f.Digest]
		}
		files = append(files, swarm.Source{Path: f.Path, Size: f.Size, Data: data})
	}
	info, ih, err := swarm.BuildImage(ctx, image.LayoutName(img.Root.Digest), files, nil)
	o.torrents[ih] = Torrent{info, files}
	return ih, err
}

// LieAboutImage puts other piece hashes into the image torrent than its bytes
// have. Those of the layers stay right.
func (o *Offer) LieAboutImage() *Offer {
	ih, err := swarm.ParseInfohash(o.Map.Infohash)
	if err != nil {
		panic("an offer without an infohash: " + err.Error()) // NewOffer gave it one
	}
	t := o.torrents[ih]
	delete(o.torrents, ih)
	t.Info = bytes.Clone(t.Info)
	t.Info[len(t.Info)-2] ^= 1 // the last byte of the last hash
	ih = swarm.InfohashOf(t.Info)
	o.torrents[ih] = t
	return o.Squat(ih.String())
}

// sign writes the release over the map as it is now.
func (o *Offer) sign(img *image.Image, name string) {
	encoded := o.Map.Encode()
	o.docs[digest.FromBytes(encoded)] = encoded
	repo, tag, _ := strings.Cut(name, ":")
	o.Release = ledger.Release{
		Repo: repo, Tag: tag,
		Image:    ledger.Descriptor{MediaType: img.Root.MediaType, Digest: img.Root.Digest, Size: img.Root.Size},
		Size:     o.Map.Size,
		Infohash: o.Map.Infohash,
		Torrents: ledger.Descriptor{MediaType: image.MediaTypeTorrents, Digest: digest.FromBytes(encoded), Size: int64(len(encoded))},
		Layers:   img.Layers(),
		Created:  time.Unix(1_700_000_000, 0).UTC(),
	}
}

// Squat puts another image's infohash on the offer.
func (o *Offer) Squat(infohash string) *Offer {
	o.Map.Infohash = infohash
	encoded := o.Map.Encode()
	d := digest.FromBytes(encoded)
	o.docs[d] = encoded
	o.Release.Infohash = infohash
	o.Release.Torrents.Digest, o.Release.Torrents.Size = d, int64(len(encoded))
	return o
}

// Magnet is the link that the offer goes by: xt alone.
func (o *Offer) Magnet() string { return "magnet:?xt=urn:btih:" + o.Release.Infohash }

// Serve makes a hostile peer give the offer's blobs and torrents away.
func (o *Offer) Serve(peer *Hostile) *Offer {
	peer.Answer(exchange.OpBlob, func(req []byte) ([]byte, error) {
		var q struct{ Digest digest.Digest }
		if err := json.Unmarshal(req, &q); err != nil {
			return nil, err
		}
		b, ok := o.docs[q.Digest]
		if !ok || len(b) > exchange.MaxDirectBlob {
			return nil, fmt.Errorf("%w: %s", p2p.ErrNotFound, q.Digest)
		}
		return b, nil
	})
	peer.Answer(exchange.OpInfo, func(req []byte) ([]byte, error) {
		var q struct{ Infohash string }
		if err := json.Unmarshal(req, &q); err != nil {
			return nil, err
		}
		ih, err := swarm.ParseInfohash(q.Infohash)
		if err != nil {
			return nil, err
		}
		t, ok := o.torrents[ih]
		if !ok {
			return nil, fmt.Errorf("%w: %s", p2p.ErrNotFound, ih)
		}
		return t.Info, nil
	})
	for ih, t := range o.torrents {
		peer.Share(ih, t)
	}
	return o
}

// BareMagnet strips a magnet link to its infohash.
func BareMagnet(t testing.TB, link string) string {
	t.Helper()
	return "magnet:?xt=urn:btih:" + InfohashOf(t, link).String()
}

// InfohashOf is the infohash of a magnet link.
func InfohashOf(t testing.TB, link string) swarm.Infohash {
	t.Helper()
	m, err := swarm.ParseMagnet(link)
	if err != nil {
		t.Fatalf("reading %s: %v", link, err)
	}
	return m.Infohash
}

// Torrents are the info dicts and files of every torrent of an image that a node
// gives to others.
func (n *Node) Torrents(target string) map[swarm.Infohash]Torrent {
	n.t.Helper()
	shown, err := n.Exchange().Show(n.t.Context(), target)
	if err != nil {
		n.t.Fatalf("describing %s on %s: %v", target, n, err)
	}
	out := map[swarm.Infohash]Torrent{}
	for _, b := range shown.Blobs {
		ih, err := swarm.ParseInfohash(b.Infohash)
		if err != nil {
			continue // an empty blob has none
		}
		if info, files, ok := n.Exchange().ResolveTorrent(ih); ok {
			out[ih] = Torrent{info, files}
		}
	}
	return out
}
