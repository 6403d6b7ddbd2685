package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/dockchains/dockchain/node/api"
)

const (
	// idleFor is how long a node is left alone before its memory is read.
	idleFor = 5 * time.Second
	// idleNodes are measured.
	idleNodes = 3
	// firstPieceRuns are the fetches of each first-piece row.
	firstPieceRuns = 9
	// smallImage is the size of what they fetch, in bytes.
	smallImage = 1 << 20
)

// idle measures the resident memory of nodes that have a peer and nothing to do.
func (r *rig) idle(ctx context.Context, s series) error {
	var join []string
	for i := range idleNodes {
		n, err := r.startNode(ctx, fmt.Sprintf("idle%d", i), join...)
		if err != nil {
			return err
		}
		defer n.remove()
		join = []string{"--bootstrap", n.addresses.Peer[0]}
		select {
		case <-time.After(idleFor):
		case <-ctx.Done():
			return ctx.Err()
		}
		rss, err := n.statusBytes("VmRSS")
		if err != nil {
			return err
		}
		s.add("idle/rss", float64(rss)/1e6)
		r.tell("idle node: %.0f MB", float64(rss)/1e6)
	}
	return nil
}

// firstPieces measures how long a link takes to its first verified piece: on
// nodes that know the peer from the link alone, and on one that is connected.
func (r *rig) firstPieces(ctx context.Context, s series) error {
	from, err := r.startNode(ctx, "publisher")
	if err != nil {
		return err
	}
	defer from.remove()
	connected, err := r.startNode(ctx, "connected", "--bootstrap", from.addresses.Peer[0])
	if err != nil {
		return err
	}
	defer connected.remove()
	err = await(ctx, connected.process, func() (bool, error) {
		st, err := connected.Status(ctx)
		return st.Peers > 0, err
	})
	if err != nil {
		return err
	}
	for i := range firstPieceRuns {
		magnet, err := r.publishSmall(ctx, from, i)
		if err != nil {
			return err
		}
		first, _, err := firstPiece(ctx, connected, magnet)
		if err != nil {
			return connected.failure(err)
		}
		s.add("first/connected", first)
		if err := r.firstPieceByLink(ctx, magnet, i, s); err != nil {
			return err
		}
		r.tell("first piece %d of %d: connected %.1f ms, by link %.1f ms", i+1, firstPieceRuns, first, s["first/link"][i])
	}
	return nil
}

func (r *rig) publishSmall(ctx context.Context, n *nodeProcess, i int) (string, error) {
	img, err := makeImage(filepath.Join(r.dir, fmt.Sprintf("small%d", i)), oneLayer, smallImage)
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(img.path)
	p, err := n.Publish(ctx, api.PublishRequest{Source: "oci:" + img.path, As: fmt.Sprintf("me/small:%d", i)}, nil)
	if err != nil {
		return "", n.failure(err)
	}
	return p.Magnet, nil
}

// firstPieceByLink starts a node that has met nobody.
func (r *rig) firstPieceByLink(ctx context.Context, magnet string, i int, s series) error {
	n, err := r.startNode(ctx, fmt.Sprintf("fetcher%d", i))
	if err != nil {
		return err
	}
	defer n.remove()
	first, whole, err := firstPiece(ctx, n, magnet)
	if err != nil {
		return n.failure(err)
	}
	s.add("first/link", first)
	s.add("first/whole", whole)
	return nil
}

// firstPiece gives the milliseconds from the request to the first report of
// verified bytes of the layer, and to the end of the fetch.
func firstPiece(ctx context.Context, n *nodeProcess, magnet string) (first, whole float64, err error) {
	start := time.Now()
	since := func() float64 { return float64(time.Since(start).Microseconds()) / 1000 }
	_, err = n.Fetch(ctx, api.FetchRequest{Target: magnet}, func(p api.Progress) {
		if first == 0 && p.Step == "fetch" && p.Total == smallImage && p.Done > 0 {
			first = since()
		}
	})
	whole = since()
	if first == 0 {
		first = whole
	}
	return first, whole, err
}
