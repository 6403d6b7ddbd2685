package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	nethttp "net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/anacrolix/torrent/metainfo"

	"github.com/dockchains/dockchain/node/api"
	"github.com/dockchains/dockchain/p2p/swarm"
)

// plain has what a node published be seeded by a stock client of anacrolix's library
// instead, which is the only one who has it afterwards: the node is ended once the
// others know of the release.
func (p *pack) plain(ctx context.Context, img imageDir, name string) (_ *stockClient, target string, err error) {
	publisher, err := p.start(ctx, 0, 0, "--web-seed", "http://127.0.0.1:1/webseed/")
	if err != nil {
		return nil, "", err
	}
	defer publisher.kill()
	if err := awaitPeer(ctx, publisher); err != nil {
		return nil, "", err
	}
	published, err := publisher.Publish(ctx, api.PublishRequest{Source: "oci:" + img.path, As: "me/" + name + ":1"}, nil)
	if err != nil {
		return nil, "", publisher.failure(err)
	}
	p.made++
	dir := filepath.Join(p.r.dir, fmt.Sprintf("plain%d", p.made))
	meta := dir + ".torrent"
	if err := layOut(ctx, "http://"+publisher.addresses.API+"/webseed/", published.Digest, meta, dir); err != nil {
		return nil, "", fmt.Errorf("laying out what an ordinary client seeds: %w", err)
	}
	client, err := p.r.startSeeder(ctx, p.f.at(0), dir, meta, p.f.source)
	if err != nil {
		return nil, "", err
	}
	for _, n := range p.nodes {
		err := await(ctx, n.process, func() (bool, error) {
			_, found, err := n.Search(ctx, api.SearchRequest{Query: name})
			return found > 0, err
		})
		if err != nil {
			client.kill()
			return nil, "", err
		}
	}
	bare, _, _ := strings.Cut(published.Magnet, "&")
	return client, bare + "&x.pe=" + client.addr, nil
}

// layOut writes the .torrent file of an image, and its files as a client has them.
func layOut(ctx context.Context, base, digest, meta, dir string) error {
	name := strings.Replace(digest, ":", "-", 1)
	b, err := bodyOf(ctx, base+name+".torrent")
	if err != nil {
		return err
	}
	if err := os.WriteFile(meta, b, 0o600); err != nil {
		return err
	}
	torrent, err := metainfo.Load(bytes.NewReader(b))
	if err != nil {
		return err
	}
	files, err := swarm.FilesOf(torrent.InfoBytes)
	if err != nil {
		return err
	}
	for _, f := range files {
		path := filepath.Join(append([]string{dir, name}, f.Path...)...)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		b, err := bodyOf(ctx, base+name+"/"+strings.Join(f.Path, "/"))
		if err == nil {
			err = os.WriteFile(path, b, 0o600)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func bodyOf(ctx context.Context, url string) ([]byte, error) {
	req, err := nethttp.NewRequestWithContext(ctx, nethttp.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	res, err := nethttp.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(res.Body)
	err = errors.Join(err, res.Body.Close())
	if err == nil && res.StatusCode != nethttp.StatusOK {
		err = fmt.Errorf("%s: %s", url, res.Status)
	}
	return b, err
}

// plainPass has the nodes fetch a new image of an ordinary client at the same moment.
func (p *pack) plainPass(ctx context.Context, round, _ int) (res passage, err error) {
	img, err := makeImage(filepath.Join(p.r.dir, "herd-ours"), oneLayer, p.f.size)
	if err != nil {
		return res, err
	}
	defer os.RemoveAll(img.path)
	client, target, err := p.plain(ctx, img, fmt.Sprintf("plain%d", round))
	if err != nil {
		return res, err
	}
	defer client.kill()
	if err := p.r.warm.settle(); err != nil {
		return res, err
	}
	_, wasted, err := p.counters(ctx)
	if err != nil {
		return res, err
	}
	all := append(p.processes(), client.process)
	cpu := cpuOf(all)
	if res.seconds, res.first, err = p.fetchAll(ctx, target, img.size); err != nil {
		return res, err
	}
	res.cpu = cpuOf(all) - cpu
	_, wastedThen, err := p.counters(ctx)
	if err != nil {
		return res, err
	}
	client.stop()
	end, err := readReport(ctx, client.process, client.state+".end")
	res.sent, res.wasted = end.Sent, wastedThen-wasted
	return res, err
}
