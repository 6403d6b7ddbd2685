package notify

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net"
	"strings"

	"github.com/dockchains/dockchain/node/exchange"
)

// Observe takes in what a client did at our registry. Of a push, a mount and a
// delete it returns when the event is durable, or when it cannot be written, as
// on a full disk: the registry goes on, and the event is tried again with the next
// pulls. Of a pull it returns at once.
func (s *Service) Observe(_ context.Context, r exchange.RegistryEvent) {
	it := item{event: s.event(r), own: true, received: s.cfg.Now()}
	s.counts.own.Add(1)
	if err := it.event.check(); err != nil {
		raw, _ := json.Marshal(it.event) // whatever it is, it can be shown
		if err := s.commit(&job{odds: []Odd{odd(raw, err)}}); err != nil {
			s.counts.failed.Add(1)
		}
		return
	}
	if r.Action != exchange.ActionPull {
		err := s.commit(&job{items: []item{it}})
		if err == nil {
			return
		}
		s.counts.failed.Add(1)
		s.log.Warn("event is not counted yet", "action", r.Action, "err", err)
	}
	s.queue(it)
}

// queue puts an event of our registry among those that are written when there is
// time.
func (s *Service) queue(it item) {
	s.mu.Lock()
	full := len(s.pulls) >= s.cfg.Pulls
	if !full {
		s.pulls = append(s.pulls, it)
	}
	s.mu.Unlock()
	if full {
		s.counts.dropped.Add(1)
		return
	}
	s.wakePulls()
}

// event is how others are told of what our registry did.
func (s *Service) event(r exchange.RegistryEvent) Event {
	e := Event{
		ID: newID(), Timestamp: r.Time, Action: r.Action,
		Request: Request{ID: r.RequestID, Addr: r.Addr, Host: r.Host, Method: r.Method, UserAgent: r.UserAgent},
		Actor:   Actor{r.Actor},
		Source:  Source{Addr: s.cfg.Addr, InstanceID: s.instance},
		Target:  Target{Repository: r.Repository, Digest: r.Digest.String(), Tag: r.Tag},
	}
	if e.Timestamp.IsZero() {
		e.Timestamp = s.cfg.Now()
	}
	if r.Action == exchange.ActionDelete {
		return e
	}
	t := &e.Target
	t.MediaType, t.Size, t.Length, t.FromRepository = r.MediaType, r.Size, r.Size, r.FromRepository
	if len(r.References) <= maxReferences {
		for _, d := range r.References {
			t.References = append(t.References, Reference{MediaType: d.MediaType, Digest: d.Digest.String(), Size: d.Size})
		}
	}
	if r.Host != "" && t.Digest != "" {
		what := "manifests"
		if t.kind() == aBlob {
			what = "blobs"
		}
		t.URL = strings.Join([]string{"http:/", r.Host, "v2", r.Repository, what, t.Digest}, "/")
	}
	return e
}

// newID is a random UUID (RFC 9562, version 4).
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // does not fail
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	const hexes = "0123456789abcdef"
	out := make([]byte, 0, 36)
	for i, c := range b {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			out = append(out, '-')
		}
		out = append(out, hexes[c>>4], hexes[c&15])
	}
	return string(out)
}

// SetAddr names our registry, once its listener is bound. Call it before Run.
func (s *Service) SetAddr(addr net.Addr) { s.cfg.Addr = addr.String() }
