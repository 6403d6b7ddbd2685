package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dockchains/dockchain/node/api"
	"github.com/dockchains/dockchain/node/engine"
)

// quickstartWithin bounds the whole story; a step that hangs must end it.
const quickstartWithin = 5 * time.Minute

type quickstartOptions struct{ keep bool }

func newQuickstartCommand(g *global) *cobra.Command {
	var o quickstartOptions
	cmd := &cobra.Command{
		Use:   "quickstart",
		Short: "See it work: three nodes, one image, one magnet link",
		Long: `Start three real nodes on this machine's loopback with throwaway data, build an
image of this program, publish it signed on the first, find it on the second,
fetch it by magnet link alone on the third, verify it, export it, and where a
Docker Engine answers run it.`,
		Example: `  dockchain quickstart
  dockchain quickstart --keep
  dockchain quickstart -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runQuickstart(cmd.Context(), g, o) },
	}
	cmd.Flags().BoolVar(&o.keep, "keep", false, "leave the nodes running to play with, until interrupted")
	return cmd
}

// quickstartResult is what quickstart proved.
type quickstartResult struct {
	Magnet         string             `json:"magnet"`
	Digest         string             `json:"digest"`
	Author         string             `json:"author"`
	Verdict        api.Verdict        `json:"verdict"`
	BytesFromPeers int64              `json:"bytes_from_peers"`
	Seconds        map[string]float64 `json:"seconds"` // by step
	DockerRan      bool               `json:"docker_ran"`
	Homes          []string           `json:"homes,omitempty"` // with --keep
}

func runQuickstart(ctx context.Context, g *global, o quickstartOptions) (err error) {
	base, err := os.MkdirTemp("", "dockchain-quickstart-")
	if err != nil {
		return fmt.Errorf("making a throwaway directory: %w", err)
	}
	q := &quickstart{ui: g.ui, base: base, network: "quickstart-" + randomName(), res: quickstartResult{Seconds: map[string]float64{}}}
	defer func() {
		err = errors.Join(err, q.nodes.stop())
		if err != nil && !errors.Is(err, context.Canceled) {
			g.ui.note("the nodes' data and logs are left in %s", base)
			return
		}
		err = errors.Join(err, os.RemoveAll(base))
	}()
	story, cancel := context.WithTimeoutCause(ctx, quickstartWithin, errors.New("quickstart took too long"))
	defer cancel()
	if err := q.tell(story); err != nil {
		if story.Err() != nil && ctx.Err() == nil {
			err = errors.Join(context.Cause(story), err)
		}
		return err
	}
	if o.keep {
		q.res.Homes = q.nodes.homes()
	}
	if err := g.ui.print(q.res.view()); err != nil || !o.keep {
		return err
	}
	for i, home := range q.nodes.homes() {
		g.ui.note("node %d runs on: dockchain --home %s status", i+1, home)
	}
	g.ui.note("interrupt to stop the nodes and remove their data")
	<-ctx.Done()
	return nil
}

func (r quickstartResult) view() view {
	return view{value: r, names: []string{r.Magnet}, lines: []string{r.Magnet}}
}

// quickstart is the story under way.
type quickstart struct {
	ui      *ui
	base    string
	network string
	nodes   localNodes
	dir     string // the image's OCI layout
	pub     api.Published
	link    string // the magnet link without the addresses in it
	res     quickstartResult
}

// step is one chapter: its name in the result's seconds, what is told before,
// and what is done, which tells how it went.
type step struct {
	name, before string
	do           func(context.Context) (after string, err error)
}

func (q *quickstart) tell(ctx context.Context) error {
	steps := []step{
		{"start", "starting two nodes on loopback", q.start},
		{"build", "building an image of this program, FROM scratch", q.build},
		{"publish", "publishing it, signed, on node 1", q.publish},
		{"search", "searching on node 2, which only listens to gossip", q.search},
		{"join", "starting node 3, which knows nobody but node 2", q.join},
		{"fetch", "fetching on node 3 by the magnet link alone", q.fetch},
		{"verify", "verifying on node 3", q.verify},
		{"export", "exporting it as an OCI image layout", q.export},
		{"docker", "running it in Docker", q.docker},
	}
	for i, s := range steps {
		q.ui.note("[%d/%d] %s", i+1, len(steps), s.before)
		began := time.Now()
		after, err := s.do(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", s.before, err)
		}
		took := time.Since(began)
		q.res.Seconds[s.name] = float64(took.Round(time.Millisecond)) / float64(time.Second)
		for _, l := range strings.Split(after, "\n") {
			q.ui.note("      %s", l)
		}
	}
	return nil
}

func (q *quickstart) start(ctx context.Context) (string, error) {
	first, err := q.nodes.start(ctx, q.base, q.network)
	if err != nil {
		return "", err
	}
	second, err := q.nodes.start(ctx, q.base, q.network, first.addresses.Peer...)
	if err != nil {
		return "", err
	}
	for _, n := range []*localNode{first, second} {
		if err := n.awaitPeers(ctx, 1); err != nil {
			return "", err
		}
	}
	return "node 1 at " + first.addresses.Peer[0] + "\nnode 2 at " + second.addresses.Peer[0], nil
}

func (q *quickstart) build(ctx context.Context) (string, error) {
	exe, err := os.Executable()
	if err != nil {
		return "", err
	}
	q.dir = filepath.Join(q.base, "image")
	built, err := buildLayout(ctx, q.dir, exe, version())
	if err != nil {
		return "", err
	}
	return built, nil
}

func (q *quickstart) publish(ctx context.Context) (string, error) {
	show, stop := q.ui.progress()
	pub, err := q.nodes[0].client.Publish(ctx, api.PublishRequest{
		Source: "oci:" + q.dir, As: "me/dockchain:" + quickstartTag,
		Title: "dockchain", Description: "dockchain itself, as quickstart built it",
	}, show)
	stop()
	if err != nil {
		return "", err
	}
	q.pub, q.link = pub, bareLink(pub.Magnet)
	q.res.Magnet, q.res.Digest, q.res.Author = pub.Magnet, pub.Digest, pub.Author
	return fmt.Sprintf("published %s  %s  %s, %s", pub.Ref, shortItem(pub.Digest), plural(pub.Layers, "layer"), bytesOf(pub.Size)), nil
}

func (q *quickstart) search(ctx context.Context) (string, error) {
	var hit api.Found
	err := poll(ctx, func() (bool, error) {
		found, _, err := q.nodes[1].client.Search(ctx, api.SearchRequest{Query: "dockchain"})
		i := slices.IndexFunc(found, func(f api.Found) bool { return f.Digest == q.pub.Digest })
		if i >= 0 {
			hit = found[i]
		}
		return i >= 0, err
	})
	return fmt.Sprintf("found %s  %s", shorten(hit.Ref, 60), shortItem(hit.Digest)), err
}

func (q *quickstart) join(ctx context.Context) (string, error) {
	third, err := q.nodes.start(ctx, q.base, q.network, q.nodes[1].addresses.Peer...)
	if err != nil {
		return "", err
	}
	return "node 3 at " + third.addresses.Peer[0], third.awaitPeers(ctx, 1)
}

func (q *quickstart) fetch(ctx context.Context) (string, error) {
	show, stop := q.ui.progress()
	res, err := q.nodes[2].client.Fetch(ctx, api.FetchRequest{Target: q.link, Timeout: time.Minute}, show)
	stop()
	if err != nil {
		return "", err
	}
	if res.Digest != q.pub.Digest {
		return "", fmt.Errorf("%s came for %s", res.Digest, q.pub.Digest)
	}
	q.res.BytesFromPeers = res.BytesFromPeers
	return fmt.Sprintf("fetched %s from %s in %.1f s", bytesOf(res.BytesFromPeers), plural(len(res.Sources), "peer"), res.Seconds), nil
}

func (q *quickstart) verify(ctx context.Context) (string, error) {
	res, err := q.nodes[2].client.Verify(ctx, q.link, nil)
	if err != nil {
		return "", err
	}
	if !res.Verdict.Accepted {
		return "", &api.RejectedError{Ref: res.Ref, Verdict: res.Verdict}
	}
	q.res.Verdict = res.Verdict
	return strings.Join(reasonLines(res.Verdict), "\n"), nil
}

func (q *quickstart) export(ctx context.Context) (string, error) {
	dir := filepath.Join(q.base, "export")
	_, err := q.nodes[2].client.Fetch(ctx, api.FetchRequest{Target: q.link, Export: "oci:" + dir}, nil)
	if err != nil {
		return "", err
	}
	root, err := layoutRoot(dir)
	if err != nil {
		return "", err
	}
	if root.String() != q.pub.Digest {
		return "", fmt.Errorf("the layout has %s, published was %s", root, q.pub.Digest)
	}
	return "the layout has the same image: " + shortItem(root.String()), nil
}

func (q *quickstart) docker(ctx context.Context) (after string, err error) {
	e, err := engine.Open(ctx)
	switch {
	case errors.Is(err, engine.ErrNoEngine):
		return "left out: no Docker Engine answers", nil
	case err != nil:
		return "", err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	if runtime.GOOS != "linux" {
		return "left out: this program is for " + runtime.GOOS + ", containers are for linux", nil
	}
	name := "dockchain-" + q.network + ":" + quickstartTag
	if _, err := q.nodes[2].client.Fetch(ctx, api.FetchRequest{Target: q.link, Load: true, LoadAs: name}, nil); err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, e.Remove(context.WithoutCancel(ctx), name)) }()
	out, exit, err := e.Run(ctx, name, "version")
	if err != nil {
		return "", err
	}
	if exit != 0 || !strings.HasPrefix(out, "dockchain ") {
		return "", fmt.Errorf("the container ended with %d and said %q", exit, out)
	}
	q.res.DockerRan = true
	return "the container says: " + strings.TrimSpace(out), nil
}

// bareLink leaves of a magnet link what names the image, and no address.
func bareLink(magnet string) string {
	link, _, _ := strings.Cut(magnet, "&")
	return link
}
