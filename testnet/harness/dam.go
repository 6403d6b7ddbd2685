package testnet

import (
	"io"
	"sync"
	"sync/atomic"

	"github.com/dockchains/dockchain/p2p/swarm"
)

// Dam lets so many bytes of files pass, whichever are asked for first, and the rest
// when it is opened. It does not go by their place: a seeder answers a peer's requests
// one by one, and which piece it lets a peer know of first is chance.
type Dam struct {
	left atomic.Int64 // bytes
	open chan struct{}
	once sync.Once
}

// NewDam makes a dam behind so many bytes.
func NewDam(after int64) *Dam {
	d := &Dam{open: make(chan struct{})}
	d.left.Store(after)
	return d
}

// Open lets everything pass.
func (d *Dam) Open() { d.once.Do(func() { close(d.open) }) }

// Before gives the same files, of which those pass the dam that are longer than what
// it lets pass.
func (d *Dam) Before(files []swarm.Source) []swarm.Source {
	out, after := make([]swarm.Source, len(files)), d.left.Load()
	for i, f := range files {
		out[i] = f
		if f.Size <= after {
			continue
		}
		out[i] = swarm.Source{Path: f.Path, Size: f.Size, Open: func() (io.ReaderAt, io.Closer, error) {
			r, c, err := open(f)
			return dammed{r, d}, c, err
		}}
	}
	return out
}

type dammed struct {
	io.ReaderAt
	dam *Dam
}

func (r dammed) ReadAt(b []byte, off int64) (int, error) {
	if r.dam.left.Add(-int64(len(b))) < 0 {
		<-r.dam.open
	}
	return r.ReaderAt.ReadAt(b, off)
}
