package swarm

import (
	"slices"
	"time"

	"github.com/anacrolix/torrent"
)

// silent are the peers of ours that hold what is missing and send none of it.
func (c *crowd) silent(now time.Time) []*contact {
	stall := c.f.s.cfg.Stall
	c.mu.Lock()
	var quiet []*contact
	for _, ct := range c.byName {
		if len(ct.conns) > 0 && ct.ours && now.Sub(ct.since) > stall && now.Sub(ct.last) > stall {
			quiet = append(quiet, ct)
		}
	}
	c.mu.Unlock()
	return slices.DeleteFunc(quiet, func(ct *contact) bool {
		return c.f.hasInfo() && !c.owes(ct, now) || !slices.ContainsFunc(ct.open(c), c.f.promised)
	})
}

// slow are the connections of peers of ours that leave requests unanswered while
// others send, so that no piece waits for one of them. Who is cut off is dialled
// again later and has twice the time then: it may have a slow link.
func (c *crowd) slow(now time.Time) []*torrent.PeerConn {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.alone {
		return nil
	}
	var late []*contact
	others := false
	for _, ct := range c.byName {
		if len(ct.conns) == 0 {
			continue
		}
		quiet := c.quiet(ct, now)
		if quiet > 0 && quiet >= max(ct.slow, slowAfter) {
			late = append(late, ct)
		} else if now.Sub(ct.last) < slowAfter {
			others = true
		}
	}
	if !others {
		return nil
	}
	var conns []*torrent.PeerConn
	for _, ct := range late {
		ct.slow = 2 * max(ct.slow, slowAfter)
		ct.next = now.Add(ct.slow)
		for pc := range ct.conns {
			conns = append(conns, pc)
		}
	}
	return conns
}

// quiet is how long a peer has left requests unanswered.
func (c *crowd) quiet(ct *contact, now time.Time) time.Duration {
	if w := c.f.s.wires.to(peerAddr{c.f.job.Infohash, ct.name}); w != nil && ct.ours {
		return w.flow.quiet(now)
	}
	return 0
}

// owes says whether it is a peer's fault that nothing comes from it: it was asked
// for something a while ago, or never lets itself be asked.
func (c *crowd) owes(ct *contact, now time.Time) bool {
	w := c.f.s.wires.to(peerAddr{c.f.job.Infohash, ct.name})
	return w == nil || w.choked.Load() || w.flow.quiet(now) > c.f.s.cfg.Stall
}

// reads tells peers of ours which piece is waited for.
func (c *crowd) reads(piece int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, ct := range c.byName {
		if len(ct.conns) == 0 || !ct.ours {
			continue
		}
		if w := c.f.s.wires.to(peerAddr{c.f.job.Infohash, ct.name}); w != nil {
			w.reads(piece)
		}
	}
}

// waits says that some peer has nothing to do while another leaves requests
// unanswered.
func (c *crowd) waits(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	idle, late := false, false
	for _, ct := range c.byName {
		if len(ct.conns) == 0 || !ct.ours {
			continue
		}
		if w := c.f.s.wires.to(peerAddr{c.f.job.Infohash, ct.name}); w != nil {
			idle = idle || w.flow.idle()
			late = late || w.flow.quiet(now) > stealGrace
		}
	}
	return idle && late
}

// rotate ends the examination of a peer that brings nothing and lets the next
// one have its turn.
func (c *crowd) rotate(now time.Time) {
	c.mu.Lock()
	patience := min(examineFor, c.f.s.cfg.Stall)
	if !c.alone || now.Sub(c.switched) < patience {
		c.mu.Unlock()
		return
	}
	var conns []*torrent.PeerConn
	for _, ct := range c.byName {
		// Twice as long each turn: it may be slow, not silent.
		turn := min(patience<<min(ct.turns, 8), examineMost)
		if !ct.ours {
			turn = max(turn, min(slowClient, c.f.s.cfg.Stall))
		}
		quiet := now.Sub(ct.last) > turn && now.Sub(ct.since) > turn
		if len(ct.conns) == 0 || !quiet && now.Sub(ct.since) < examineMost {
			continue
		}
		ct.turns++
		c.switched = now
		ct.next = now.Add(patience)
		for pc := range ct.conns {
			conns = append(conns, pc)
		}
	}
	c.mu.Unlock()
	hangUp(conns)
}
