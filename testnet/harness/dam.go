package testnet

import (
	"io"
	"sync"

	"github.com/dockchains/dockchain/p2p/swarm"
)

// Dam lets the beginning of a file pass, and the rest when it is opened.
type Dam struct {
	at   int64
	open chan struct{}
	once sync.Once
}

// NewDam makes a dam behind so many bytes.
func NewDam(at int64) *Dam { return &Dam{at: at, open: make(chan struct{})} }

// Open lets everything pass.
func (d *Dam) Open() { d.once.Do(func() { close(d.open) }) }

// Before gives the same files, of which those pass the dam that are longer.
func (d *Dam) Before(files []swarm.Source) []swarm.Source {
	out := make([]swarm.Source, len(files))
	for i, f := range files {
		out[i] = f
		if f.Size <= d.at {
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
	if off+int64(len(b)) > r.dam.at {
		<-r.dam.open
	}
	return r.ReaderAt.ReadAt(b, off)
}
