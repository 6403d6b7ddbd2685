package swarm

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/anacrolix/torrent/tracker"
	trackerhttp "github.com/anacrolix/torrent/tracker/http"
)

const (
	// trackerPause is how long a tracker is left alone after it answered, when it
	// does not ask for longer.
	trackerPause = time.Minute
	// trackerRetry is how long one that failed is left alone, twice as long each
	// time until trackerRetryMost.
	trackerRetry     = 2 * time.Second
	trackerRetryMost = 5 * time.Minute
	// trackerPeers is how many addresses are asked for, and taken of an answer.
	trackerPeers = 200
)

// A trackerPacer says when a tracker may be asked again.
type trackerPacer struct{ retry time.Duration }

func (p *trackerPacer) next(interval time.Duration, err error) time.Duration {
	if err == nil {
		p.retry = 0
		return max(interval, trackerPause)
	}
	p.retry = min(max(2*p.retry, trackerRetry), trackerRetryMost)
	return p.retry
}

// askTracker tells a tracker of the fetch until the context ends, and the crowd
// of the addresses it names. The library would dial each of them once and wait
// for the tracker to name it again. One that a link named may not be everywhere.
func (f *fetch) askTracker(ctx context.Context, announceURL string, linked bool) {
	log := f.s.log.With("tracker", trackerHost(announceURL), "infohash", f.job.Infohash)
	event := tracker.Started
	var pacer trackerPacer
	for {
		res, err := f.announceTo(ctx, announceURL, event, linked)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			log.Info("tracker did not answer", "err", withoutURL(err))
		} else {
			event = tracker.None
			log.Debug("asked a tracker", "peers", len(res.Peers))
			f.takePeers(res.Peers)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pacer.next(time.Duration(res.Interval)*time.Second, err)):
		}
	}
}

func (f *fetch) announceTo(ctx context.Context, announceURL string, event tracker.AnnounceEvent, linked bool) (tracker.AnnounceResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, tracker.DefaultTrackerAnnounceTimeout)
	defer cancel()
	opts := tracker.NewClientOpts{
		Http:    trackerhttp.NewClientOpts{Proxy: http.ProxyFromEnvironment},
		Slogger: librarySlog(f.s.log),
	}
	if u, err := url.Parse(announceURL); linked && err == nil {
		opts.ListenPacket = f.s.cfg.linkPacket
		if !isProxied(u) {
			opts.Http.DialContext = f.s.cfg.linkDial
		}
	}
	c, err := tracker.NewClient(announceURL, opts)
	if err != nil {
		return tracker.AnnounceResponse{}, err
	}
	defer c.Close()
	id := f.s.cl.PeerID()
	f.mu.Lock()
	got, p := f.arrived, f.partial
	f.mu.Unlock()
	left := int64(-1) // not known
	if p != nil {
		done, _ := p.progress()
		left = p.layout.size - done
	}
	return c.Announce(ctx, tracker.AnnounceRequest{
		Event: event, InfoHash: [20]byte(f.job.Infohash), PeerId: id, Port: uint16(f.s.cl.LocalPort()),
		Key: int32(binary.BigEndian.Uint32(id[16:])), NumWant: trackerPeers, Downloaded: got, Left: left,
	}, tracker.AnnounceOpt{})
}

// takePeers makes addresses known that a tracker named.
func (f *fetch) takePeers(peers []tracker.Peer) {
	for i, p := range peers {
		if i == trackerPeers {
			break
		}
		if ip, ok := netip.AddrFromSlice(p.IP); ok && p.Port > 0 && p.Port < 1<<16 {
			f.crowd.heardOf(netip.AddrPortFrom(ip.Unmap(), uint16(p.Port)))
		}
	}
	f.poke()
}

// checkTracker says whether a URL is one a tracker can be asked at.
func checkTracker(s string) error {
	u, err := url.Parse(s)
	if err != nil {
		return fmt.Errorf("tracker: %w", err)
	}
	switch u.Scheme {
	case "http", "https", "udp", "udp4", "udp6":
	default:
		return fmt.Errorf("tracker %q: neither http, https nor udp", u.Redacted())
	}
	if u.Host == "" || u.User != nil {
		return fmt.Errorf("tracker %q: want a host and no user", u.Redacted())
	}
	return nil
}

// withoutURL leaves the announce URL, which may hold a passkey, out of an error.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// trackerHost names a tracker in logs.
func trackerHost(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return ""
	}
	return u.Host
}
