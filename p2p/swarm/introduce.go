package swarm

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/anacrolix/torrent"
	"github.com/anacrolix/torrent/bencode"
	pp "github.com/anacrolix/torrent/peer_protocol"
)

// Nodes of ours that share a torrent introduce their visitors to one another, as
// BEP 11 does with addresses of ordinary clients: by an extension message (BEP 10)
// named dc_peers, whose payload is
//
//	d5:peersld4:card<signed addresses>2:id52:12D3KooW…eee
//
// Without that, nodes that begin at the same time would know the source alone, and
// could not give to each other.
const introductions pp.ExtensionName = "dc_peers"

const (
	// maxIntroduced bounds the peers of one message, maxCardSize what is said of each.
	maxIntroduced = 30
	maxCardSize   = 2 << 10
	// maxIntroductions bounds the messages heeded of one connection.
	maxIntroductions = 60
	// introduceSoon is how long a newcomer waits to hear of others who come with it.
	introduceSoon = 20 * time.Millisecond
	// introduceAgain is how often visitors hear of those who came since.
	introduceAgain = 15 * time.Second
)

type introduction struct {
	Peers []introduced `bencode:"peers"`
}

type introduced struct {
	Card string `bencode:"card"`
	ID   string `bencode:"id"`
}

var errBadIntroduction = errors.New("malformed introduction of peers")

func parseIntroduction(payload []byte) ([]introduced, error) {
	if len(payload) > maxIntroduced*(maxCardSize+200) {
		return nil, errBadIntroduction
	}
	var m introduction
	if err := bencode.Unmarshal(payload, &m); err != nil {
		return nil, fmt.Errorf("%w: %w", errBadIntroduction, err)
	}
	if len(m.Peers) > maxIntroduced {
		return nil, errBadIntroduction
	}
	for _, p := range m.Peers {
		if !validPeer(p.ID) || len(p.Card) > maxCardSize {
			return nil, errBadIntroduction
		}
	}
	return m.Peers, nil
}

// newcomer has a visitor that understands it hear of others. The client's lock is
// held.
func (s *Swarm) newcomer(pc *torrent.PeerConn) {
	select {
	case s.newcomers <- pc:
	default: // there will be another round
	}
}

// introduceAll tells visitors of each other until the context ends.
func (s *Swarm) introduceAll(ctx context.Context) error {
	again := time.NewTicker(introduceAgain)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case pc := <-s.newcomers:
			fresh := []*torrent.PeerConn{pc}
			for soon := time.After(introduceSoon); soon != nil; {
				select {
				case pc := <-s.newcomers:
					fresh = append(fresh, pc)
				case <-soon:
					soon = nil
				}
			}
			for _, pc := range fresh {
				s.introduce(pc, pc.Torrent().PeerConns())
			}
		case <-again.C:
			for _, t := range s.cl.Torrents() {
				conns := t.PeerConns()
				for _, pc := range conns {
					s.introduce(pc, conns)
				}
			}
		}
	}
}

// introduce tells one visitor of some of the others.
func (s *Swarm) introduce(to *torrent.PeerConn, others []*torrent.PeerConn) {
	host, ours := parsePeerAddr(to.RemoteAddr.String())
	if !ours || len(others) < 2 {
		return
	}
	var m introduction
	seen := map[string]bool{host.peer: true}
	for _, i := range rand.Perm(len(others)) {
		a, ours := parsePeerAddr(others[i].RemoteAddr.String())
		if !ours || seen[a.peer] || s.banned(a.ih, a.peer) {
			continue
		}
		seen[a.peer] = true
		if card := s.cfg.Card(a.peer); len(card) <= maxCardSize {
			m.Peers = append(m.Peers, introduced{ID: a.peer, Card: string(card)})
		}
		if len(m.Peers) == maxIntroduced {
			break
		}
	}
	if len(m.Peers) == 0 {
		return
	}
	b, err := bencode.Marshal(m)
	if err == nil && len(b) <= maxExtended {
		_ = to.WriteExtendedMessage(introductions, b) // it may not understand it
	}
}

// meet takes in the peers that one introduced.
func (f *fetch) meet(from string, payload []byte) {
	peers, err := parseIntroduction(payload)
	if err != nil {
		f.s.cfg.Observe(from, Event{Kind: Garbage, Infohash: f.job.Infohash})
		return
	}
	for _, p := range peers {
		if err := f.s.cfg.Meet(p.ID, []byte(p.Card)); err != nil {
			f.s.log.Debug("introduced peer is not taken", "peer", p.ID, "from", from, "err", err)
			continue
		}
		f.crowd.introduced(p.ID)
	}
	f.poke()
}
