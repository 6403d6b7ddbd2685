// Package node wires a dockchain node together: data directory, host, swarm,
// exchange, API. It decides nothing itself.
//
// A data directory holds
//
//	blobs/ staging/   content files and downloads under way (package blobs)
//	db/               records (package store); its lock is the node's
//	index/            the catalogue, which can be rebuilt from db/
//	network           the name of the network it belongs to
//	author/           the signing keys of "me" and its proof of work, mode 0600
//	peer.key          the libp2p identity, mode 0600
//	witness.key       what cosigns the logs of others, mode 0600
//	api.token         what TCP clients of the API show, mode 0600
//	api.sock          where commands reach the running node
package node

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/dockchains/dockchain/index"
	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/witness"
	"github.com/dockchains/dockchain/node/api"
	"github.com/dockchains/dockchain/node/bandwidth"
	"github.com/dockchains/dockchain/node/blobs"
	"github.com/dockchains/dockchain/node/exchange"
	"github.com/dockchains/dockchain/node/notify"
	"github.com/dockchains/dockchain/node/registry"
	"github.com/dockchains/dockchain/node/store"
	"github.com/dockchains/dockchain/node/upstream"
	"github.com/dockchains/dockchain/p2p"
	"github.com/dockchains/dockchain/p2p/swarm"
	"github.com/dockchains/dockchain/reputation"
)

// Node is a node with everything open: New opens, Run serves, Close undoes New.
type Node struct {
	cfg Config
	log *slog.Logger

	store      *store.Store
	blobs      *blobs.Store
	ledger     *ledger.Ledger
	index      *index.Index
	reputation *reputation.Book
	host       *p2p.Host           // nil offline
	swarm      *swarm.Swarm        // nil offline
	bandwidth  *bandwidth.Governor // nil offline
	witness    *witness.Witness
	notify     *notify.Service
	exchange   *exchange.Exchange
	registry   *registry.Registry
	upstream   *upstream.Client // nil offline
	handler    http.Handler

	token     string
	apiTCP    net.Listener // nil when off
	apiSocket net.Listener
	front     net.Listener // of the registry; nil when off
	mirror    net.Listener // of docker.io; nil when off
	events    *eventsDoor  // nil when off

	registryDoor, apiDoor api.Door
	closers               []func() error
}

// New opens a node, with its listeners bound, so that addresses and failures are
// known before Run.
func New(cfg Config, log *slog.Logger) (*Node, error) { return open(cfg, log, true) }

// OpenOffline opens a data directory without any network, for commands while no
// node runs. It takes the same lock.
func OpenOffline(cfg Config, log *slog.Logger) (*Node, error) { return open(cfg, log, false) }

func open(cfg Config, log *slog.Logger, online bool) (_ *Node, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	ctx := context.Background()
	n := &Node{cfg: cfg, log: log}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Close())
		}
	}()
	if cfg.Quota.Now == nil {
		n.cfg.Quota.Now = cfg.Now
	}
	if err := n.openData(ctx); err != nil {
		return nil, err
	}
	me, err := openAuthor(ctx, cfg.authorDir(), n.cfg.Network, cfg.workBits(), n.ledger)
	if err != nil {
		return nil, fmt.Errorf("opening this node's author: %w", err)
	}
	var late atomic.Pointer[exchange.Exchange]
	if err := n.openWitness(&late); err != nil {
		return nil, fmt.Errorf("opening this node's witness: %w", err)
	}
	rule, err := cfg.witnessRule()
	if err != nil {
		return nil, fmt.Errorf("reading the policy of witnesses: %w", err)
	}
	n.ledger.Require(rule)
	x := exchange.Config{
		Me: me, Store: n.store, Blobs: n.blobs, Ledger: n.ledger, Index: n.index, Reputation: n.reputation,
		Importers: importers(n.blobs), Exporters: exporters(), Engine: dockerEngine{},
		Quota: n.cfg.Quota, Witness: n.witness, Rule: rule, Pulling: cfg.Pull, Now: cfg.Now,
		Storage: cfg.Storage, Shelf: registry.NewKeeper(n.store.Registry(), n.blobs),
	}
	if online {
		if err := n.openNetwork(&late); err != nil {
			return nil, err
		}
		x.Net, x.Swarm, x.PeerHints = network{n.host, n}, n.swarm, n.peerHints
		x.Paused = n.swarm.Paused
		x.LinkTrackers, x.LinkWebSeeds = openTrackers(cfg.Trackers), cfg.WebSeeds
		n.upstream = n.openUpstream()
		x.Upstream = n.upstream
	}
	if n.exchange, err = exchange.New(ctx, x, log); err != nil {
		return nil, err
	}
	door := cfg.Door
	door.Blobs, door.Bucket, door.Exchange, door.Observer = n.blobs, n.store.Registry(), n.exchange, n.notify
	door.Log, door.Now = log, cfg.Now
	n.registry, err = registry.New(door)
	if err != nil {
		return nil, fmt.Errorf("opening the registry: %w", err)
	}
	var turn api.Turn
	if online {
		turn = n.awaitTurn
	}
	n.handler = api.Handler(backend{n.exchange, n}, api.Options{
		Version: cfg.Version, Metrics: n.metrics(), Checks: n.checks(), Logs: n.ledger, Shelf: n.registry, Log: log,
		Witness: n.witness.Handler(func(err error) { log.Warn("checkpoint is not cosigned", "err", err) }),
		WebSeed: n.exchange, Turn: turn,
		Limits: n.limitsOfAPI(), Statistics: n.notify, Events: n.notify.Handler(""), // the guards before it ask for a token
	})
	if online {
		late.Store(n.exchange)
		n.joinRoads()
		if err := n.openAPI(); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// openData opens what is on the disk, bottom layer first.
func (n *Node) openData(ctx context.Context) (err error) {
	if err := os.MkdirAll(n.cfg.Home, 0o700); err != nil {
		return fmt.Errorf("making the data directory: %w", err)
	}
	if n.store, err = store.Open(n.cfg.dbDir(), n.log); err != nil {
		return fmt.Errorf("opening the database: %w", err)
	}
	n.onClose(n.store.Close)
	if n.cfg.Network, err = networkOf(n.cfg.Home, n.cfg.Network); err != nil {
		return err
	}
	if n.blobs, err = blobs.Open(n.cfg.Home); err != nil {
		return fmt.Errorf("opening the blob store: %w", err)
	}
	n.ledger = ledger.New(n.store.Ledgers(), n.cfg.Network)
	if n.index, err = openIndex(n.cfg.indexDir(), n.log); err != nil {
		return fmt.Errorf("opening the index: %w", err)
	}
	n.onClose(n.index.Close)
	n.reputation = reputation.New(reputation.Config{Now: n.cfg.Now})
	if err := n.store.LoadReputation(n.reputation); err != nil {
		return fmt.Errorf("reading reputation: %w", err)
	}
	if n.notify, err = notify.New(n.cfg.notify(), n.store.Notify(), n.log); err != nil {
		return err
	}
	n.onClose(n.notify.Close)
	return nil
}

// openUpstream makes what asks third-party registries.
func (n *Node) openUpstream() *upstream.Client {
	cfg := n.cfg.Upstream
	if n.cfg.UpstreamLogin && cfg.Credentials == nil {
		cfg.Credentials = upstream.DockerCredentials
	}
	if cfg.UserAgent == "" {
		cfg.UserAgent = "dockchain/" + n.cfg.Version
	}
	if cfg.Now == nil {
		cfg.Now = n.cfg.Now
	}
	c := upstream.New(cfg)
	n.onClose(c.Close)
	return c
}

// openIndex opens the catalogue, or an empty one in place of a damaged one: the
// exchange fills it from the ledger.
func openIndex(dir string, log *slog.Logger) (*index.Index, error) {
	i, err := index.Open(dir, log)
	if !errors.Is(err, index.ErrRebuild) {
		return i, err
	}
	log.Warn("the index is damaged or of another version and is built anew", "err", err)
	return index.Create(dir, log)
}

func (n *Node) openNetwork(late *atomic.Pointer[exchange.Exchange]) (err error) {
	key, err := p2p.LoadOrCreateKey(n.cfg.peerKey())
	if err != nil {
		return fmt.Errorf("opening the peer identity: %w", err)
	}
	n.host, err = p2p.New(p2p.Config{
		Network: n.cfg.Network, Version: n.cfg.Version, Key: key, Listen: n.cfg.Peer, Announce: n.cfg.Announce,
		Bootstrap: n.cfg.Bootstrap, MDNS: n.cfg.MDNS,
		LowWater: lowWater(n.cfg.Budget), HighWater: n.cfg.Budget.Peers, Streams: n.cfg.Budget.Connections,
		Reach: reachOf(n.cfg.Reach), NoRelaying: n.cfg.NoRelaying, PortMapping: n.cfg.PortMapping,
		Known: n.knownPeers, Seen: n.rememberPeer,
		Validator: exchange.Records{
			Check: func(p *ledger.Proved) (*ledger.Entry, error) {
				if x := late.Load(); x != nil {
					return x.CheckRecord(p)
				}
				e, err := n.ledger.Check(p)
				var behind *ledger.Behind
				if errors.As(err, &behind) {
					return e, nil
				}
				return e, err
			},
			Compare: func(a, b *ledger.Proved) {
				if x := late.Load(); x != nil {
					x.CompareRecords(a, b)
				}
			},
		},
	}, n.log)
	if err != nil {
		return fmt.Errorf("joining the network: %w", err)
	}
	n.onClose(n.host.Close)
	n.swarm, err = swarm.New(swarm.Config{
		Dial: n.dialSwarm, Listen: n.cfg.BitTorrent, DHT: n.cfg.MainlineDHT, Trackers: n.cfg.Trackers,
		DHTListen: n.cfg.MainlineListen, DHTBootstrap: n.cfg.MainlineBootstrap, LSD: n.cfg.LocalDiscovery, LocalLinks: n.cfg.LocalLinks,
		PEX: n.cfg.PEX, Limits: n.cfg.limits(), LoopbackIsLAN: n.cfg.LoopbackLAN,
		Conns: n.cfg.Budget.Connections, ConnsPerTorrent: n.cfg.Budget.ConnectionsPerTorrent, RequestMemory: n.cfg.Budget.RequestMemory,
		Resolve: func(ih swarm.Infohash) ([]byte, []swarm.Source, bool) {
			if x := late.Load(); x != nil {
				return x.ResolveTorrent(ih)
			}
			return nil, nil, false
		},
		Card: n.cardOf, Meet: n.meetPeer,
		Observe: func(peer string, e swarm.Event) {
			if x := late.Load(); x != nil {
				x.ObserveSwarm(peer, e)
			}
		},
	}, n.log)
	if err != nil {
		return fmt.Errorf("opening the swarm: %w", err)
	}
	n.onClose(n.swarm.Close)
	return n.openBandwidth()
}

func (n *Node) openAPI() (err error) {
	if n.token, err = loadOrCreateToken(n.cfg.tokenPath()); err != nil {
		return fmt.Errorf("reading the API token: %w", err)
	}
	if n.apiSocket, err = api.ListenSocket(n.cfg.socketPath()); err != nil {
		return fmt.Errorf("listening for commands: %w", err)
	}
	n.onClose(n.apiSocket.Close)
	if err := n.openDoors(); err != nil {
		return err
	}
	if n.apiTCP, err = n.listen(n.cfg.API, n.apiDoor); err != nil {
		return fmt.Errorf("listening for the API: %w", err)
	}
	if n.front, err = n.listen(n.cfg.Registry, n.registryDoor); err != nil {
		return fmt.Errorf("listening for registry clients: %w", err)
	}
	if n.mirror, err = n.listen(n.cfg.Mirror, n.registryDoor); err != nil {
		return fmt.Errorf("listening for clients of the mirror: %w", err)
	}
	if n.front != nil {
		n.notify.SetAddr(n.front.Addr())
	}
	if err := n.openEvents(); err != nil {
		return fmt.Errorf("listening for notifications: %w", err)
	}
	return nil
}

func loadOrCreateToken(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(b)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	raw := make([]byte, 32)
	if _, err := rand.Read(raw); err != nil {
		return "", err
	}
	token := hex.EncodeToString(raw)
	return token, writeFileSynced(path, []byte(token+"\n"))
}

func (n *Node) onClose(f func() error) { n.closers = append(n.closers, f) }

// Run serves until ctx ends or an essential part fails.
func (n *Node) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return n.store.Run(ctx) })
	g.Go(func() error { return n.exchange.Run(ctx) })
	if n.host != nil {
		g.Go(func() error { return n.host.Run(ctx) })
		g.Go(func() error { return n.swarm.Run(ctx) })
		g.Go(func() error { return n.bandwidth.Run(ctx) })
		g.Go(func() error { return n.notify.Run(ctx) })
		g.Go(func() error { return api.Serve(ctx, n.apiSocket, api.GuardSocket(n.handler)) })
	}
	if n.apiTCP != nil {
		g.Go(func() error { return api.Serve(ctx, n.apiTCP, n.apiDoor.API(n.handler, n.token)) })
	}
	if n.host != nil {
		g.Go(func() error { return n.registry.Run(ctx) })
	}
	if n.front != nil {
		h := n.registryDoor.Clients(n.withSearch(n.registry.Handler()))
		g.Go(func() error { return api.Serve(ctx, n.front, h) })
	}
	if n.mirror != nil {
		h := n.registryDoor.Clients(n.registry.Mirror(mirrored))
		g.Go(func() error { return api.Serve(ctx, n.mirror, h) })
	}
	if n.events != nil {
		g.Go(func() error { return api.Serve(ctx, n.events.listener, n.events.handler) })
	}
	return g.Wait()
}

// Close closes what New opened, the last first. It is no error to close twice.
func (n *Node) Close() error {
	var errs []error
	for i := len(n.closers) - 1; i >= 0; i-- {
		if err := n.closers[i](); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	n.closers = nil
	return errors.Join(errs...)
}

// Handler is the API without guards, for a caller in this process.
func (n *Node) Handler() http.Handler { return n.handler }

// Exchange is the junction of the roads, for a caller in this process.
func (n *Node) Exchange() *exchange.Exchange { return n.exchange }

// Registry is what clients push to, for a caller in this process.
func (n *Node) Registry() *registry.Registry { return n.registry }

// Host is the peer-to-peer host, for a caller in this process; nil offline.
func (n *Node) Host() *p2p.Host { return n.host }

// Addresses are those in use.
func (n *Node) Addresses() exchange.Addresses {
	a := exchange.Addresses{Peer: []string{}}
	if n.host == nil {
		return a
	}
	a.Socket, a.Peer, a.BitTorrent = n.cfg.socketPath(), n.host.Addrs(), n.swarm.Addr()
	if n.apiTCP != nil {
		a.API = n.apiTCP.Addr().String()
	}
	if n.front != nil {
		a.Registry = n.front.Addr().String()
	}
	if n.mirror != nil {
		a.Mirror = n.mirror.Addr().String()
	}
	if n.events != nil {
		a.Events = n.events.listener.Addr().String()
	}
	return a
}
