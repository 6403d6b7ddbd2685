package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/dockchains/dockchain/node"
	"github.com/dockchains/dockchain/node/api"
)

type runOptions struct {
	node      node.Config
	readyFile string
	relay     bool
	logLevel  slog.LevelVar
	logFormat string
}

func newRunCommand(g *global) *cobra.Command {
	o := &runOptions{node: node.DefaultConfig()}
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run a node: store, registry, API, peers",
		Long: `Run a node until it is interrupted. It needs no other service.

Addresses are printed, and written to --ready-file as JSON, once it serves. Port 0
takes any free one, an empty address turns a listener off. Registry, mirror and API
are for this machine; an address that others can reach needs a certificate, and for
registry and mirror a file of users, or the node does not start. The --upload-limit,
--download-limit and --class-limit flags bound the traffic with peers, as dockchain
limits does while it runs; the --limit flags what others may bring here, which dockchain
help quotas explains.

Peers are reached by the cheapest road that is open: TCP on the local network, TCP,
QUIC, a hole made in the NAT of either, and last, slowly and for little, a relay: any
node that others can dial, --reach public, is one. dockchain peers shows the roads.`,
		Example: `  dockchain run
  dockchain run --bootstrap /dns4/seed.example/tcp/4747/p2p/12D3…
  dockchain run --home ./second --registry 127.0.0.1:0 --api 127.0.0.1:0 --bittorrent 127.0.0.1:0 \
    --peer /ip4/127.0.0.1/tcp/0 --ready-file ready.json
  dockchain run --registry 0.0.0.0:5000 --registry-cert cert.pem --registry-key key.pem --registry-htpasswd users`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runRun(cmd.Context(), g, o) },
	}
	o.addFlags(cmd)
	return cmd
}

func (o *runOptions) addFlags(cmd *cobra.Command) {
	f, c := cmd.Flags(), &o.node
	f.StringVar(&c.Registry, "registry", c.Registry, "`address` of the local registry")
	f.StringVar(&c.Mirror, "mirror", "", "`address` of a mirror of docker.io, for Docker's registry-mirrors, as 127.0.0.1:5005; see dockchain setup docker")
	f.StringVar(&c.RegistryCert, "registry-cert", "", "PEM `file` of the certificate of registry and mirror")
	f.StringVar(&c.RegistryKey, "registry-key", "", "PEM `file` of its key")
	f.StringVar(&c.RegistryHtpasswd, "registry-htpasswd", "", "`file` of their users, as htpasswd -B writes it")
	f.StringArrayVar(&c.RegistryHosts, "registry-host", nil, "`name` that clients know them by, beside those in the certificate; repeatable")
	f.StringVar(&c.API, "api", c.API, "`address` of the JSON API and the metrics")
	f.StringVar(&c.APICert, "api-cert", "", "PEM `file` of the certificate of the API")
	f.StringVar(&c.APIKey, "api-key", "", "PEM `file` of its key")
	f.StringArrayVar(&c.Peer, "peer", c.Peer, "`multiaddr` to listen on for peers; repeatable")
	f.StringVar(&c.Reach, "reach", "auto", "whether others can dial this node: `auto|public|private`; auto finds out")
	f.BoolVar(&o.relay, "relay", true, "relay for nodes that nobody can dial, within bounds, where others can dial this one")
	f.BoolVar(&c.PortMapping, "port-mapping", c.PortMapping, "ask the router (UPnP, NAT-PMP) to forward the ports of --peer")
	f.StringVar(&c.BitTorrent, "bittorrent", c.BitTorrent, "`address` for ordinary BitTorrent clients")
	f.StringArrayVar(&c.Bootstrap, "bootstrap", c.Bootstrap, "`multiaddr` of a node to join by; repeatable")
	f.StringVar(&c.Network, "network", "", "`name` of the network to join (default: the data directory's, else public)")
	f.BoolVar(&c.MDNS, "mdns", c.MDNS, "look for nodes on the local network")
	f.BoolVar(&c.MainlineDHT, "mainline-dht", c.MainlineDHT, "announce images to BitTorrent's own DHT too")
	f.StringVar(&c.MainlineListen, "mainline-listen", "", "UDP `address` of that DHT (default: any port)")
	f.StringArrayVar(&c.MainlineBootstrap, "mainline-bootstrap", nil, "`host:port` that it starts from, in place of the usual routers; repeatable")
	f.StringArrayVar(&c.Trackers, "tracker", c.Trackers, "`URL` of a BitTorrent tracker to announce images to; repeatable")
	f.BoolVar(&c.LocalDiscovery, "local-discovery", false, "announce images to BitTorrent clients on the local network")
	f.StringArrayVar(&c.WebSeeds, "web-seed", nil, "`URL` below which the images of this node lie, for magnet links; repeatable; see dockchain help bittorrent")
	f.BoolVar(&c.LocalLinks, "local-links", false, "let trackers and web seeds of magnet links be on this machine and in private networks")
	f.StringVar(&c.Events, "events", "", "`address` where registries post their notifications, to /events; see dockchain help notifications")
	f.StringVar(&c.EventsCert, "events-cert", "", "`file` in PEM with the certificate of --events")
	f.StringVar(&c.EventsKey, "events-key", "", "`file` in PEM with its key")
	f.StringVar(&c.EventsTokenFile, "events-token-file", "", "`file` with the bearer token that registries show (default: the token of the API)")
	o.addWitnessFlags(cmd)
	f.IntVar(&c.WorkBits, "work", 0, "`bits` of work of your author, if it is yet to be made (default 18); see dockchain author create --help")
	addRates(cmd, c)
	addLimits(cmd, &c.Quota)
	addStorageFlags(cmd, &c.Storage)
	f.StringVar(&o.readyFile, "ready-file", "", "write the addresses in use to this `file` as JSON once the node serves")
	f.TextVar(&o.logLevel, "log-level", &o.logLevel, "`debug|info|warn|error`")
	f.StringVar(&o.logFormat, "log-format", "text", "`text|json`")
}

// addWitnessFlags adds the flags that commands without a node heed too, as the
// environment and the file set them.
func (o *runOptions) addWitnessFlags(cmd *cobra.Command) {
	f, c := cmd.Flags(), &o.node
	f.StringVar(&c.Policy, "witness-policy", "", "`file` that names the witnesses to ask and to count; see dockchain witness --help")
	f.BoolVar(&c.RequireWitnesses, "require-witnesses", false, "refuse images whose author's log the quorum of that policy has not cosigned")
	f.DurationVar(&c.WitnessMaxAge, "witness-max-age", 0, "refuse them, too, if that was longer ago than this `time`, as 24h")
}

func runRun(ctx context.Context, g *global, o *runOptions) error {
	log, err := newLogger(g.ui.err, o.logFormat, &o.logLevel)
	if err != nil {
		return err
	}
	if g.homeErr != nil {
		return g.homeErr
	}
	o.node.NoRelaying = !o.relay
	o.node.Home, o.node.Version = g.home, version()
	if o.node.Notify, err = g.file.Notifications.config(); err != nil {
		return fmt.Errorf("reading the configuration: notifications: %w", err)
	}
	if err := g.file.applyDoor(&o.node); err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	if err := g.file.Limits.apply(&o.node); err != nil {
		return fmt.Errorf("reading the configuration: limits: %w", err)
	}
	if err := o.node.Validate(); err != nil {
		return &usageError{err: err, command: "dockchain run"}
	}
	if err := removeReadyFile(o.readyFile); err != nil {
		return err
	}
	n, err := node.New(o.node, log)
	if err != nil {
		return fmt.Errorf("starting the node: %w", err)
	}
	err = serveAndTell(ctx, g, n, o.readyFile)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = nil // being told to stop is how a node ends
	}
	return errors.Join(err, n.Close(), removeReadyFile(o.readyFile))
}

// serveAndTell runs a node, and tells its addresses once it answers.
func serveAndTell(ctx context.Context, g *global, n *node.Node, readyFile string) error {
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.Go(func() error { return n.Run(ctx) })
	tasks.Go(func() error {
		if err := awaitAnswer(ctx, n.Addresses().Socket); err != nil {
			return err
		}
		if err := writeReadyFile(readyFile, n.Addresses()); err != nil {
			return err
		}
		return g.ui.print(addressesView(n.Addresses()))
	})
	return tasks.Wait()
}

func awaitAnswer(ctx context.Context, socket string) error {
	c := api.NewSocketClient(socket)
	defer c.Close()
	for {
		_, err := c.Version(ctx)
		if err == nil || ctx.Err() != nil {
			return ctx.Err()
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// newLogger writes the log where everything goes that is no data.
func newLogger(w io.Writer, format string, level slog.Leveler) (*slog.Logger, error) {
	o := &slog.HandlerOptions{Level: level}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, o)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, o)), nil
	}
	return nil, &usageError{err: fmt.Errorf("--log-format %s: text or json is needed", format), command: "dockchain run"}
}

// writeReadyFile puts the whole file there at once: who waits for it never
// reads half.
func writeReadyFile(path string, a api.Addresses) (err error) {
	if path == "" {
		return nil
	}
	b, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the ready file: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("writing the ready file: %w", err)
	}
	_, err = f.Write(append(b, '\n'))
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("writing the ready file: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

// removeReadyFile takes away what an earlier node told, and this one once it
// has ended.
func removeReadyFile(path string) error {
	if path == "" {
		return nil
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the ready file: %w", err)
	}
	return nil
}

func addressesView(a api.Addresses) view {
	v := view{value: a, names: a.Peer}
	add := func(name, value string) {
		if value != "" {
			v.rows = append(v.rows, []string{name, value})
		}
	}
	add("registry", a.Registry)
	add("mirror", a.Mirror)
	add("api", a.API)
	add("socket", a.Socket)
	add("events", a.Events)
	add("bittorrent", a.BitTorrent)
	for _, p := range a.Peer {
		add("peer", p)
	}
	return v
}
