package exchange

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/node/image"
)

// Source is where the blobs of an image are read that is handed on.
type Source interface {
	Open(d digest.Digest) (*os.File, error)
	Stat(d digest.Digest) (int64, error)
}

// errNotHandedOn ends a handover whose fetch ended before its verdict.
var errNotHandedOn = errors.New("the fetch ended before the image was accepted")

// handover hands an image on while it is still on its way: into the Docker Engine,
// or into an archive. It reads blobs as pieces verify, in whatever order they come,
// and asks for none before others. The end of what it writes is withheld until the
// verdict on all of the image is good: without one there is no image.
//
// It is the Source of what it hands on, and a transport.Arriving.
type handover struct {
	x      *Exchange
	ctx    context.Context
	stop   context.CancelCauseFunc
	blobs  map[digest.Digest]image.TorrentBlob
	wants  chan digest.Digest
	begin  func(h *handover, root image.Descriptor) (handed, error)
	begun  bool
	came   chan struct{} // closed when nobody brings anything any more
	failed error         // why, after came

	settled  sync.Once
	accepted chan struct{} // closed when the verdict is good

	over chan struct{} // closed when out and err are set
	out  handed
	err  error
}

// newHandover is for a release of which the documents are not here yet; nil where
// nothing is written in one go.
func (x *Exchange) newHandover(ctx context.Context, req FetchRequest, c *candidate, report func(Progress)) *handover {
	if !req.Load && !strings.HasPrefix(req.Export, "docker-archive:") {
		return nil
	}
	h := &handover{
		x: x, wants: make(chan digest.Digest, 64),
		came: make(chan struct{}), accepted: make(chan struct{}), over: make(chan struct{}),
		begin: func(h *handover, root image.Descriptor) (handed, error) {
			return x.deliver(h.ctx, req, c, root, h, report)
		},
	}
	h.ctx, h.stop = context.WithCancelCause(ctx)
	return h
}

// stages let it begin as soon as the documents are here.
func (h *handover) stages() *stages {
	if h == nil {
		return nil
	}
	return &stages{wants: h.wants, documentsHere: func(_ context.Context, _ *download, m image.TorrentMap) error {
		h.blobs = make(map[digest.Digest]image.TorrentBlob, len(m.Blobs))
		for _, b := range m.Blobs {
			h.blobs[b.Digest] = b
		}
		h.begun = true
		go func() {
			defer close(h.over)
			h.out, h.err = h.begin(h, rootOf(m))
		}()
		return nil
	}}
}

// arrived says that all is here, or why it is not: then it waits for the end, too.
func (h *handover) arrived(err error) {
	if h == nil {
		return
	}
	h.failed = err
	close(h.came)
	if err != nil {
		h.refuse(err)
	}
}

// refuse ends it without an image, unless it was accepted, and waits for that.
func (h *handover) refuse(cause error) {
	if h == nil {
		return
	}
	h.settled.Do(func() { h.stop(cause) })
	if h.begun {
		<-h.over
	}
	h.stop(nil)
}

// accept lets it end, and waits for that. ok: it had begun.
func (h *handover) accept() (out handed, ok bool, err error) {
	if h == nil || !h.begun {
		return handed{}, false, nil
	}
	h.settled.Do(func() { close(h.accepted) })
	<-h.over
	return h.out, true, h.err
}

// Open opens a blob that is here whole.
func (h *handover) Open(d digest.Digest) (*os.File, error) { return h.x.Blobs.Open(d) }

// Stat tells the size of a blob that is here whole.
func (h *handover) Stat(d digest.Digest) (int64, error) { return h.x.Blobs.Stat(d) }

// Arrive opens a blob of the image, to be read while it arrives.
func (h *handover) Arrive(d digest.Digest) (io.ReadCloser, error) {
	b, ok := h.blobs[d]
	if !ok {
		return nil, errOtherBlobs
	}
	select {
	case h.wants <- d:
	default: // it comes when its turn is
	}
	c := h.x.openComing(h.ctx, d, b.Size, h.came, func() error { return h.failed }, func() {})
	c.waits()
	return c, nil
}

// Accepted waits for the verdict on the whole image. Without a good one it is an
// error.
func (h *handover) Accepted() error {
	select {
	case <-h.accepted:
		return nil
	case <-h.ctx.Done():
		return context.Cause(h.ctx)
	}
}
