package notify

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"net"
	"slices"
	"time"
)

// A pull is many requests: a client asks for the tag (HEAD), for the index, for
// the manifest of its platform, for blobs. What of it counts is told by a window:
// the last requests for manifests of one client in one repository, in the order of
// the times that the events carry. The same events give the same count in whatever
// order they come.

const (
	// together is how long after an index the manifests in it are part of the same
	// pull, and after a HEAD the GET of what it told.
	together = 60 * time.Second
	// maxWindow bounds the requests of one window.
	maxWindow = 64
	// maxKids bounds what is remembered of an index' references.
	maxKids = 32
)

// ask is one request for a manifest.
type ask struct {
	Time   time.Time `json:"t"`
	ID     string    `json:"id"` // breaks ties
	Kind   kind      `json:"k"`
	Head   bool      `json:"h,omitempty"`
	Digest string    `json:"d,omitempty"`
	Tag    string    `json:"tag,omitempty"`
	Kids   []string  `json:"kids,omitempty"` // of an index, where the event tells them
	Actor  string    `json:"a,omitempty"`

	Counted bool   `json:"c,omitempty"` // as a pull
	As      string `json:"as,omitempty"`
	Fixed   bool   `json:"f,omitempty"` // what explains it may be forgotten: it stays as it was judged
}

// window is the requests of a client, in the order of their times.
type window struct {
	Asks []ask `json:"asks"`
}

// newest is the time of the last of them.
func (w *window) newest() time.Time {
	if len(w.Asks) == 0 {
		return time.Time{}
	}
	return w.Asks[len(w.Asks)-1].Time
}

// change is what becomes of a request in the eyes of later, or earlier, ones.
type change struct {
	ask ask
	by  int64 // +1 or -1 pulls
}

// add takes a request in and tells what counts now, and what no longer does.
func (w *window) add(a ask) []change {
	i, _ := slices.BinarySearchFunc(w.Asks, a, func(x, y ask) int {
		return cmp.Or(x.Time.Compare(y.Time), cmp.Compare(x.ID, y.ID))
	})
	w.Asks = slices.Insert(w.Asks, i, a)
	changes := w.judge()
	for len(w.Asks) > maxWindow {
		w.forget()
	}
	return changes
}

// forget drops the oldest request that explains no other, or else the oldest.
func (w *window) forget() {
	i := slices.IndexFunc(w.Asks, func(a ask) bool { return !a.Head && a.Kind == aManifest && !a.Counted })
	if i < 0 {
		i = 0
		for j := range w.Asks {
			w.Asks[j].Fixed = w.Asks[j].Fixed || w.Asks[j].Time.Sub(w.Asks[0].Time) <= together
		}
	}
	w.Asks = slices.Delete(w.Asks, i, i+1)
}

// judge decides which requests are pulls.
func (w *window) judge() []change {
	var changes []change
	heads := map[string]*ask{} // by digest, those that no GET followed yet
	var index *ask             // the last one
	for i := range w.Asks {
		a := &w.Asks[i]
		if a.Head {
			if a.Tag != "" && a.Digest != "" {
				heads[a.Digest] = a
			}
			continue
		}
		counted, as := a.Counted, a.As
		if !a.Fixed {
			counted, as = w.counts(a, heads[a.Digest], index)
		}
		delete(heads, a.Digest)
		if a.Kind == anIndex {
			index = a
		}
		if counted == a.Counted && as == a.As {
			continue
		}
		if a.Counted {
			changes = append(changes, change{*a, -1})
		}
		if a.Counted, a.As = counted, as; counted {
			changes = append(changes, change{*a, +1})
		}
	}
	return changes
}

// counts tells whether a GET is a pull of its own, and by which tag.
func (w *window) counts(a, head, index *ask) (bool, string) {
	switch {
	case a.Tag != "":
		return true, a.Tag
	case head != nil && a.Time.Sub(head.Time) <= together:
		return true, head.Tag
	case index == nil || a.Time.Sub(index.Time) > together || index.Digest == a.Digest:
		return true, ""
	case len(index.Kids) > 0:
		return !slices.Contains(index.Kids, kid(a.Digest)), ""
	}
	return a.Kind == anIndex, ""
}

// kid is what is remembered of a digest in an index.
func kid(digest string) string {
	sum := sha256.Sum256([]byte(digest))
	return hex.EncodeToString(sum[:6])
}

// kids are those of an index, unless there are too many.
func kids(refs []Reference) []string {
	if len(refs) > maxKids {
		return nil
	}
	var all []string
	for _, r := range refs {
		if r.Digest != "" {
			all = append(all, kid(r.Digest))
		}
	}
	return all
}

// client tells clients apart: by host, program and name. The port is another one
// for each connection.
func client(e Event) string {
	host, _, err := net.SplitHostPort(e.Request.Addr)
	if err != nil {
		host = e.Request.Addr
	}
	sum := sha256.Sum256([]byte(host + "\x00" + e.Request.UserAgent + "\x00" + e.Actor.Name))
	return hex.EncodeToString(sum[:16])
}
