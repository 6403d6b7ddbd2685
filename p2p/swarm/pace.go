package swarm

import (
	"reflect"
	"unsafe"

	"github.com/anacrolix/torrent"
)

// The library never has more requests under way with a peer than twice as many as
// it made the last time it looked for some. It looks at each "have", and where it
// finds nothing to ask for just then, that is none: from a node far away that tells
// of one piece after another it would ask for one or two at a time, for ever. So it
// is made to believe that it asked for a whole window the last time; the window
// bounds what it asks for.
//
// What it believes is a field of its own that it lets nobody set.

// peakRequests is where in a connection that field is.
type peakRequests struct {
	offset uintptr
	known  bool // the library has it
}

func findPeakRequests() peakRequests {
	t := reflect.TypeFor[torrent.PeerConn]()
	f, ok := t.FieldByName("peakRequests")
	if !ok || f.Type.Kind() != reflect.Int {
		return peakRequests{}
	}
	p := peakRequests{known: true}
	for _, i := range f.Index {
		if t.Kind() != reflect.Struct {
			return peakRequests{}
		}
		step := t.Field(i)
		p.offset += step.Offset
		t = step.Type
	}
	return p
}

// of is the field of a connection. The client's lock guards it.
func (p peakRequests) of(pc *torrent.PeerConn) *int {
	return (*int)(unsafe.Add(unsafe.Pointer(pc), p.offset))
}

// pace bounds what is asked at one time of a peer of ours: what one owes for long,
// none of the others is asked for. It is called before the library acts on a
// message, under its lock.
func (s *Swarm) pace(pc *torrent.PeerConn) {
	addr, ours := pc.RemoteAddr.(peerAddr)
	if !ours {
		if addr, ours = parsePeerAddr(pc.RemoteAddr.String()); !ours {
			return
		}
	}
	w := s.wires.to(addr)
	f := s.fetchOf(addr.ih)
	if w == nil || f == nil {
		return
	}
	pc.PeerMaxRequests = int(w.flow.window() / f.chunk)
	if s.peak.known {
		*s.peak.of(pc) = pc.PeerMaxRequests
	}
}
