package exchange

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/p2p/swarm"
)

// Content is a blob to be read. What is still on its way is read as it arrives:
// Read blocks at bytes that are not here yet, gives those of verified pieces only,
// and withholds the end until the digest of the whole matched. Seek never blocks.
type Content interface {
	io.ReadSeekCloser
	Size() int64
}

// fileContent is a blob that is here whole.
type fileContent struct {
	*os.File
	size int64
}

func (c *fileContent) Size() int64 { return c.size }

// Whole gives the file of a content that is here whole, at its present place, so
// that it can be sent without being copied; nil for one that is on its way.
func Whole(c Content) *os.File {
	if f, ok := c.(*fileContent); ok {
		return f.File
	}
	return nil
}

// openWhole opens a blob of the store.
func (x *Exchange) openWhole(d digest.Digest) (Content, error) {
	f, err := x.Blobs.Open(d)
	if notFound(err) {
		return nil, fmt.Errorf("%w: %s", ErrNotFound, d)
	}
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &fileContent{f, st.Size()}, nil
}

// coming is a blob on its way.
type coming struct {
	ctx   context.Context
	x     *Exchange
	a     *arrival
	done  <-chan struct{} // closed when nobody brings it any more
	err   func() error    // why, after done
	leave func()

	asks bool     // the swarm is to bring first what is read next
	f    *os.File // nil until the first bytes are here
	turn int      // of f
	off  int64
	read bool // something was read from f
}

// openComing follows a blob that somebody brings. leave is called by Close.
func (x *Exchange) openComing(ctx context.Context, d digest.Digest, size int64, done <-chan struct{}, err func() error, leave func()) *coming {
	a := x.arrivals.of(d, size)
	if have, serr := x.Blobs.Stat(d); serr == nil && have == size {
		a.complete()
	}
	c := &coming{ctx: ctx, x: x, a: a, done: done, err: err, leave: leave, asks: true}
	a.reads(c, 0)
	return c
}

// waits has it read what comes in whatever order the swarm brings it.
func (c *coming) waits() {
	c.asks = false
	c.a.left(c)
}

func (c *coming) Size() int64 { return c.a.size }

func (c *coming) Close() error {
	var err error
	if c.f != nil {
		err = c.f.Close()
	}
	c.a.left(c)
	c.x.arrivals.drop(c.a)
	c.leave()
	return err
}

func (c *coming) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += c.off
	case io.SeekEnd:
		offset += c.a.size
	}
	if offset < 0 {
		return 0, fmt.Errorf("%w: seeking before the first byte", ErrBadRequest)
	}
	c.off = offset
	return offset, nil
}

func (c *coming) Read(b []byte) (int, error) {
	if c.off >= c.a.size {
		return 0, io.EOF
	}
	if len(b) == 0 {
		return 0, nil
	}
	if c.asks {
		c.a.reads(c, c.off)
	}
	shown, err := c.await()
	if err != nil {
		return 0, fmt.Errorf("reading %s at byte %d: %w", c.a.digest, c.off, err)
	}
	n, err := c.f.ReadAt(b[:min(int64(len(b)), shown-c.off)], c.off)
	if n > 0 {
		err = nil // what is wrong shows at the next byte
		c.read = true
	} else if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	c.off += int64(n)
	return n, err
}

// await waits for the next byte, and opens the file that has it.
func (c *coming) await() (int64, error) {
	for {
		shown, turn, changed := c.a.state()
		if turn != c.turn {
			if c.read {
				return 0, swarm.ErrWrongContent
			}
			if err := c.closeFile(); err != nil {
				return 0, err
			}
			c.turn = turn
		}
		if shown > c.off {
			err := c.open()
			if _, now, _ := c.a.state(); now != c.turn {
				continue // it may be another file
			}
			return shown, err
		}
		select {
		case <-changed:
		case <-c.ctx.Done():
			return 0, context.Cause(c.ctx)
		case <-c.done:
			if shown, turn, _ := c.a.state(); turn == c.turn && shown > c.off {
				continue
			}
			if err := c.err(); err != nil {
				return 0, err
			}
			if _, err := c.x.Blobs.Stat(c.a.digest); err != nil {
				return 0, err
			}
			c.a.complete()
		}
	}
}

func (c *coming) closeFile() error {
	if c.f == nil {
		return nil
	}
	err := c.f.Close()
	c.f = nil
	return err
}

// open opens the blob or what is here of it. Once open, it is the same file,
// wherever it is moved to.
func (c *coming) open() (err error) {
	if c.f != nil {
		return nil
	}
	for range 2 { // it may be moved in between
		if c.f, err = c.x.Blobs.Open(c.a.digest); err == nil {
			return nil
		}
		if c.f, err = os.Open(c.x.Blobs.Partial(c.a.digest)); err == nil {
			return nil
		}
		c.f = nil
	}
	return err
}
