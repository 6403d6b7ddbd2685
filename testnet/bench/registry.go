package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dockchains/dockchain/node/api"
)

const (
	registryRounds = 3
	// loadClients ask for small things, each one after the other, for loadFor.
	loadClients = 16
	loadWarm    = 500 * time.Millisecond
	loadFor     = 3 * time.Second
	smallBlob   = 4 << 10
	// pullClients pull pulledImage bytes at the same time.
	pullClients = 50
	pulledImage = 128 << 20
)

// A frontDoor is a registry that is measured.
type frontDoor struct {
	*process
	host   string // as docker names it
	remove func()
}

// registry measures what the planned rows need of the front door.
func (r *rig) registry(ctx context.Context, plan []plannedRow, s series) error {
	wants := func(of string) bool { return needs(plan, "registry/"+ours+"/"+of) }
	if wants("push") || wants("pull") || wants("pull-from-peer") {
		if err := r.dockerTransfers(ctx, s); err != nil {
			return err
		}
	}
	if wants("head") || wants("get") {
		if err := r.smallRequests(ctx, s); err != nil {
			return err
		}
	}
	if wants("rss-50") {
		return r.manyPulls(ctx, s)
	}
	return nil
}

// openDoor starts a fresh registry: ours in a node, or Debian's.
func (r *rig) openDoor(ctx context.Context, who string) (*frontDoor, *nodeProcess, error) {
	if who == ours {
		n, err := r.startNode(ctx, "registry-node")
		if err != nil {
			return nil, nil, err
		}
		return &frontDoor{n.process, n.addresses.Registry, n.remove}, n, nil
	}
	d, err := r.startDebianRegistry(ctx)
	return d, nil, err
}

func (r *rig) startDebianRegistry(ctx context.Context) (*frontDoor, error) {
	binary, err := exec.LookPath(debianRegistry)
	if err != nil {
		return nil, fmt.Errorf("%w: install it, or choose rows with -run", err)
	}
	dir, err := os.MkdirTemp(r.dir, debianRegistry+"-")
	if err != nil {
		return nil, err
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	config := fmt.Sprintf("version: 0.1\nlog:\n  level: error\n  accesslog:\n    disabled: true\nstorage:\n  filesystem:\n    rootdirectory: %s\nhttp:\n  addr: %s\n",
		filepath.Join(dir, "data"), addr)
	file := filepath.Join(dir, "config.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, err
	}
	p, err := startProcess(ctx, filepath.Join(dir, "log"), os.Environ(), binary, "serve", file)
	if err != nil {
		return nil, err
	}
	d := &frontDoor{p, addr, func() { p.stop(); _ = os.RemoveAll(dir) }}
	err = await(ctx, p, func() (bool, error) {
		res, err := nethttp.Get("http://" + addr + "/v2/")
		if err != nil {
			return false, nil
		}
		return res.StatusCode == nethttp.StatusOK, res.Body.Close()
	})
	if err != nil {
		d.remove()
		return nil, err
	}
	return d, nil
}

// freeAddr is one that nobody listened on a moment ago.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// dockerTransfers has the Docker Engine push to and pull from each by turns.
func (r *rig) dockerTransfers(ctx context.Context, s series) error {
	local := r.network + ":bench"
	if err := loadDockerImage(ctx, local, tenLayers, largeImage); err != nil {
		return fmt.Errorf("making an image in the Docker Engine: %w", err)
	}
	defer dockerRemove(local)
	for round := range registryRounds {
		order := []string{ours, debianRegistry}
		for i := range order {
			who := order[(round+i)%len(order)]
			if err := r.pushAndPull(ctx, who, local, s); err != nil {
				return fmt.Errorf("%s: %w", who, err)
			}
		}
	}
	return nil
}

func (r *rig) pushAndPull(ctx context.Context, who, local string, s series) error {
	d, n, err := r.openDoor(ctx, who)
	if err != nil {
		return err
	}
	defer d.remove()
	name := d.host + "/me/bench:1"
	if err := docker(ctx, "tag", local, name); err != nil {
		return err
	}
	push, err := r.timedDocker(ctx, "push", "-q", name)
	if err != nil {
		return d.failure(err)
	}
	s.add("registry/"+who+"/push", push)
	pull, err := r.pullFresh(ctx, name, local)
	if err != nil {
		return d.failure(err)
	}
	s.add("registry/"+who+"/pull", pull)
	r.tell("%s: docker push %.0f MB/s, pull %.0f MB/s", who, push, pull)
	if n == nil {
		return nil
	}
	repo, err := n.Repo(ctx, "me/bench")
	if err != nil {
		return n.failure(err)
	}
	if len(repo.Tags) != 1 {
		return fmt.Errorf("after the push it has %d tags", len(repo.Tags))
	}
	published, err := n.Publish(ctx, api.PublishRequest{Source: "blobs:" + repo.Tags[0].Digest, As: "me/bench:1"}, nil)
	if err != nil {
		return n.failure(err)
	}
	other, err := r.startNode(ctx, "registry-other", "--bootstrap", n.addresses.Peer[0])
	if err != nil {
		return err
	}
	defer other.remove()
	if err := awaitHeard(ctx, other, published.Author); err != nil {
		return err
	}
	name = other.addresses.Registry + "/" + published.Author + "/bench:1"
	if pull, err = r.pullFresh(ctx, name, local); err != nil {
		return errors.Join(other.failure(err), n.failure(errors.New("the other side")))
	}
	s.add("registry/"+who+"/pull-from-peer", pull)
	r.tell("%s: docker pull from a peer %.0f MB/s", who, pull)
	return nil
}

// awaitHeard waits until a node knows an author's release.
func awaitHeard(ctx context.Context, n *nodeProcess, author string) error {
	return await(ctx, n.process, func() (bool, error) {
		log, err := n.Log(ctx, api.LogRequest{Author: author})
		return err == nil && log.Size > 1, nil
	})
}

// pullFresh pulls what the Engine had until now under another name, and gives it
// that name again.
func (r *rig) pullFresh(ctx context.Context, name, local string) (float64, error) {
	dockerRemove(name, local)
	rate, err := r.timedDocker(ctx, "pull", "-q", name)
	if err != nil {
		return 0, err
	}
	defer dockerRemove(name)
	return rate, docker(ctx, "tag", name, local)
}

func (r *rig) timedDocker(ctx context.Context, args ...string) (float64, error) {
	if err := r.warm.settle(); err != nil {
		return 0, err
	}
	start := time.Now()
	err := docker(ctx, args...)
	return largeImage / 1e6 / time.Since(start).Seconds(), err
}

func docker(ctx context.Context, args ...string) error {
	out, err := exec.CommandContext(ctx, "docker", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("docker %s: %w: %s", args[0], err, bytes.TrimSpace(out))
	}
	return nil
}

// dockerRemove untags; what was not there is as good as removed.
func dockerRemove(names ...string) {
	_ = exec.Command("docker", append([]string{"rmi", "-f"}, names...)...).Run()
}

// smallRequests measures how many of them each answers.
func (r *rig) smallRequests(ctx context.Context, s series) error {
	for round := range registryRounds {
		order := []string{ours, debianRegistry}
		for i := range order {
			if err := r.smallRequestsOf(ctx, order[(round+i)%len(order)], s); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *rig) smallRequestsOf(ctx context.Context, who string, s series) error {
	d, _, err := r.openDoor(ctx, who)
	if err != nil {
		return err
	}
	defer d.remove()
	img, err := makeImage(filepath.Join(r.dir, "small-requests"), oneLayer, smallBlob)
	if err != nil {
		return err
	}
	defer os.RemoveAll(img.path)
	base := "http://" + d.host + "/v2/me/bench/"
	if err := pushLayout(ctx, img, base); err != nil {
		return fmt.Errorf("pushing to %s: %w", who, err)
	}
	for _, load := range []struct{ of, method, path string }{
		{"head", nethttp.MethodHead, "manifests/1"},
		{"get", nethttp.MethodGet, "blobs/sha256:" + img.layers[0]},
	} {
		perSecond, err := requests(ctx, load.method, base+load.path)
		if err != nil {
			return fmt.Errorf("asking %s: %w", who, d.failure(err))
		}
		s.add("registry/"+who+"/"+load.of, perSecond)
		r.tell("%s: %s %.0f requests/s", who, load.of, perSecond)
	}
	return nil
}

const acceptManifests = "application/vnd.oci.image.manifest.v1+json"

// requests is how many a second are answered well.
func requests(ctx context.Context, method, url string) (float64, error) {
	transport := &nethttp.Transport{MaxIdleConnsPerHost: loadClients}
	defer transport.CloseIdleConnections()
	client := &nethttp.Client{Transport: transport}
	return throughput(ctx, loadClients, loadWarm, loadFor, func(ctx context.Context, _ int64) error {
		req, err := nethttp.NewRequestWithContext(ctx, method, url, nil)
		if err != nil {
			return err
		}
		req.Header.Set("Accept", acceptManifests)
		res, err := client.Do(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			return err
		}
		if res.StatusCode != nethttp.StatusOK {
			return errors.New(res.Status)
		}
		return nil
	})
}

// manyPulls has many clients pull one image that the node has to fetch.
func (r *rig) manyPulls(ctx context.Context, s series) error {
	from, err := r.startNode(ctx, "publisher")
	if err != nil {
		return err
	}
	defer from.remove()
	img, err := makeImage(filepath.Join(r.dir, "many-pulls"), tenLayers, pulledImage)
	if err != nil {
		return err
	}
	defer os.RemoveAll(img.path)
	published, err := from.Publish(ctx, api.PublishRequest{Source: "oci:" + img.path, As: "me/bench:1"}, nil)
	if err != nil {
		return from.failure(err)
	}
	n, err := r.startNode(ctx, "registry-node", "--bootstrap", from.addresses.Peer[0])
	if err != nil {
		return err
	}
	defer n.remove()
	if err := awaitHeard(ctx, n, published.Author); err != nil {
		return err
	}
	base := "http://" + n.addresses.Registry + "/v2/" + published.Author + "/bench/"
	var g errgroup.Group
	for range pullClients {
		g.Go(func() error { return pullAll(ctx, base, img.layers) })
	}
	if err := g.Wait(); err != nil {
		return n.failure(err)
	}
	peak, err := n.statusBytes("VmHWM")
	if err != nil {
		return err
	}
	s.add("registry/"+ours+"/rss-50", float64(peak)/1e6)
	r.tell("%d pulls at once: peak %.0f MB", pullClients, float64(peak)/1e6)
	return nil
}

// pullAll gets a manifest and the layers, a few at a time, as clients do.
func pullAll(ctx context.Context, base string, layers []string) error {
	if err := get(ctx, base+"manifests/1"); err != nil {
		return err
	}
	return each(layers, func(name string) error { return get(ctx, base+"blobs/sha256:"+name) })
}

func get(ctx context.Context, url string) error {
	req, err := nethttp.NewRequestWithContext(ctx, nethttp.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", acceptManifests)
	res, err := nethttp.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != nethttp.StatusOK {
		b, _ := io.ReadAll(io.LimitReader(res.Body, 1<<10))
		return fmt.Errorf("%s: %s", res.Status, b)
	}
	n, err := io.Copy(io.Discard, res.Body)
	if err == nil && n != res.ContentLength {
		err = io.ErrUnexpectedEOF
	}
	return err
}
