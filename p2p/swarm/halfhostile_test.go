package swarm

import (
	"fmt"
	"io"
	"net"
	"testing"
	"time"
)

// Half of the peers are hostile, each in its own way. The fetch finishes with the
// right bytes, who sent wrong ones is found out once and credited with nothing, and
// nobody honest is blamed.
func TestHalfTheSwarmIsHostile(t *testing.T) {
	t.Parallel()
	tn := newTown(t)
	bl := newBlob(t, 95, 24<<20)
	bob := tn.node("bob", func(c *Config) { c.Stall = 3 * time.Second })
	var peers, honest []string
	for i := range 4 {
		node := tn.node(fmt.Sprint("honest", i))
		node.shelf.put(bl.info, bl.source())
		honest = append(honest, node.name)
	}
	never := make(chan struct{})
	t.Cleanup(func() { close(never) })
	liars := []string{"liar0", "liar1"}
	hostile := map[string]func(*impostor){
		"liar0": func(im *impostor) { im.piece = im.lie },
		"liar1": func(im *impostor) {
			im.piece = func(index, begin, length int) []byte {
				if begin == 0 {
					return im.lie(index, begin, length)
				}
				return im.truth(index, begin, length)
			}
		},
		"loris":   func(im *impostor) { im.piece = func(int, int, int) []byte { <-never; return nil } },
		"boaster": func(im *impostor) { im.piece = func(int, int, int) []byte { return nil } }, // has all, gives nothing
		"mute":    func(im *impostor) { im.raw = func(c net.Conn) { _, _ = io.Copy(io.Discard, c) } },
	}
	all := map[string]*impostor{}
	for name, how := range hostile {
		im := &impostor{blob: bl}
		how(im)
		all[name] = im
		tn.settle(name, im.accept)
		peers = append(peers, name)
	}
	job := bl.job(t, append(peers, honest...)...)
	res, err := bob.Fetch(within(t, patience), job)
	if err != nil {
		t.Fatal(err)
	}
	bl.check(t, job.Partial)
	for _, name := range liars {
		if n := bob.seen.count(name, BadPiece); n > 1 || n == 0 && all[name].lies.Load() > 0 && res.FromPeers[name] > 0 {
			t.Errorf("%s told %d lies, was blamed %d times and credited with %d bytes", name, all[name].lies.Load(), n, res.FromPeers[name])
		}
	}
	for _, name := range honest {
		for _, k := range []Kind{BadPiece, BadInfo, Garbage} {
			if bob.seen.count(name, k) != 0 {
				t.Errorf("%s was blamed for %v", name, k)
			}
		}
	}
	for _, name := range []string{"loris", "boaster", "mute"} {
		if res.FromPeers[name] != 0 {
			t.Errorf("%s is credited with %d bytes", name, res.FromPeers[name])
		}
	}
}
