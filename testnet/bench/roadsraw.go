package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dockchains/dockchain/p2p"
	"github.com/dockchains/dockchain/p2p/swarm"
)

// Contenders of the stream rows: the same swarm, the same bytes, and different
// roads below.
const (
	overTCP    = "tcp"
	overLibp2p = "libp2p"
	overQUIC   = "quic"
)

var streamRoads = []string{overLibp2p, overTCP, overQUIC}

const streamSize = 1 << 30

// streams moves one file from swarm to swarm, each a process, by each road.
func (r *rig) streams(ctx context.Context, plan []plannedRow, s series) error {
	img, err := makeImage(filepath.Join(r.dir, "streams"), 1, r.scaled(streamSize))
	if err != nil {
		return fmt.Errorf("making a file: %w", err)
	}
	defer os.RemoveAll(img.path)
	file := filepath.Join(img.blobs(), img.layers[0])
	for round := range r.rounds {
		for i := range streamRoads {
			road := streamRoads[(round+i)%len(streamRoads)]
			if !needs(plan, "roads/stream/"+road) {
				continue
			}
			seconds, err := r.stream(ctx, road, file, img.size)
			if err != nil {
				return fmt.Errorf("%s: %w", road, err)
			}
			s.add("roads/stream/"+road, float64(img.size)/1e6/seconds)
			r.tell("roads/stream/%s round %d of %d: %.0f MB/s", road, round+1, r.rounds, float64(img.size)/1e6/seconds)
		}
	}
	return nil
}

// stream takes the time from the first dial to the last byte verified.
func (r *rig) stream(ctx context.Context, road, file string, size int64) (seconds float64, err error) {
	dir, err := os.MkdirTemp(r.dir, "stream-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	addrFile, tookFile := filepath.Join(dir, "addr"), filepath.Join(dir, "took")
	if err := r.warm.settle(); err != nil {
		return 0, err
	}
	from, err := startProcess(ctx, filepath.Join(dir, "seed.log"), os.Environ(), r.self, childRole, "swarm-seed", road, addrFile, file)
	if err != nil {
		return 0, err
	}
	defer from.stop()
	var addr []byte
	err = await(ctx, from, func() (bool, error) {
		addr, err = os.ReadFile(addrFile)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		return 0, err
	}
	to, err := startProcess(ctx, filepath.Join(dir, "fetch.log"), os.Environ(), r.self,
		childRole, "swarm-fetch", road, string(addr), filepath.Base(file), strconv.FormatInt(size, 10), filepath.Join(dir, "partial"), tookFile)
	if err != nil {
		return 0, err
	}
	if err := to.wait(ctx); err != nil {
		return 0, err
	}
	b, err := os.ReadFile(tookFile)
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(string(b), 64)
}

// A road is one end of a way between two swarms.
type road struct {
	dial   func(ctx context.Context, to string) (net.Conn, error)
	listen func(accept func(from string, c net.Conn)) (addr string, err error)
	meet   func(ctx context.Context, addr string) (name string, err error) // before the first dial
	close  func() error
}

func openRoad(name string) (*road, error) {
	if name == overTCP {
		return tcpRoad(), nil
	}
	dir, err := os.MkdirTemp("", "dockchain-road-")
	if err != nil {
		return nil, err
	}
	key, err := p2p.LoadOrCreateKey(filepath.Join(dir, "key"))
	if err = errors.Join(err, os.RemoveAll(dir)); err != nil {
		return nil, err
	}
	at := "/ip4/127.0.0.1/tcp/0"
	if name == overQUIC {
		at = "/ip4/127.0.0.1/udp/0/quic-v1"
	}
	h, err := p2p.New(p2p.Config{Network: "bench", Key: key, Listen: []string{at}}, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	return &road{
		dial: func(ctx context.Context, to string) (net.Conn, error) {
			id, err := peer.Decode(to)
			if err != nil {
				return nil, err
			}
			return h.DialStream(ctx, id)
		},
		listen: func(accept func(string, net.Conn)) (string, error) {
			h.HandleStream(func(from peer.ID, c net.Conn) { accept(from.String(), c) })
			return h.Addrs()[0], nil
		},
		meet: func(ctx context.Context, addr string) (string, error) {
			info, err := p2p.ParseAddr(addr)
			if err == nil {
				err = h.Connect(ctx, addr)
			}
			return info.ID.String(), err
		},
		close: h.Close,
	}, nil
}

// tcpRoad is TCP and nothing else. Peers have no names there: one is enough.
func tcpRoad() *road {
	r := &road{close: func() error { return nil }}
	r.meet = func(_ context.Context, port string) (string, error) { return port, nil }
	r.dial = func(ctx context.Context, to string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", "127.0.0.1:"+to)
	}
	r.listen = func(accept func(string, net.Conn)) (string, error) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return "", err
		}
		r.close = l.Close
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go accept("somebody", c)
			}
		}()
		_, port, err := net.SplitHostPort(l.Addr().String())
		return port, err
	}
	return r
}

// runSwarmSeed is
//
//	swarm-seed ROAD ADDRFILE FILE    seeds a file until it is killed
func runSwarmSeed(name, addrFile, file string) error {
	r, err := openRoad(name)
	if err != nil {
		return err
	}
	defer r.close()
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	info, ih, err := swarm.BuildLayer(context.Background(), filepath.Base(file), st.Size(), f)
	if err != nil {
		return err
	}
	s, err := swarm.New(swarm.Config{}, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer s.Close()
	open := func() (io.ReaderAt, io.Closer, error) {
		f, err := os.Open(file)
		return f, f, err
	}
	if err := s.Seed(context.Background(), info, []swarm.Source{{Size: st.Size(), Open: open}}); err != nil {
		return err
	}
	addr, err := r.listen(s.Accept)
	if err != nil {
		return err
	}
	if err := writeWhole(addrFile, []byte(addr+" "+ih.String())); err != nil {
		return err
	}
	return s.Run(context.Background())
}

// runSwarmFetch is
//
//	swarm-fetch ROAD "ADDR INFOHASH" NAME SIZE PARTIAL TOOKFILE
func runSwarmFetch(name, at, digest, size, partial, tookFile string) error {
	var addr, hash string
	if _, err := fmt.Sscan(at, &addr, &hash); err != nil {
		return err
	}
	ih, err := swarm.ParseInfohash(hash)
	if err != nil {
		return err
	}
	n, err := strconv.ParseInt(size, 10, 64)
	if err != nil {
		return err
	}
	r, err := openRoad(name)
	if err != nil {
		return err
	}
	defer r.close()
	s, err := swarm.New(swarm.Config{Dial: r.dial}, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer s.Close()
	start := time.Now()
	to, err := r.meet(context.Background(), addr)
	if err != nil {
		return err
	}
	res, err := s.Fetch(context.Background(), swarm.Job{Infohash: ih, Name: digest, Size: n, Partial: partial, Peers: []string{to}})
	if err != nil {
		return err
	}
	if res.Digest.Encoded() != digest {
		return fmt.Errorf("the digest is %s", res.Digest)
	}
	return writeWhole(tookFile, []byte(strconv.FormatFloat(time.Since(start).Seconds(), 'f', 6, 64)))
}
