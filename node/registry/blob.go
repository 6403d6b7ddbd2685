package registry

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/node/blobs"
	"github.com/dockchains/dockchain/node/exchange"
)

// getBlob answers the bytes of a blob, or ranges of them.
func (r *Registry) getBlob(x *exchanged) error {
	d, err := parseDigest(x.last)
	if err != nil {
		return err
	}
	c, close, err := r.findBlob(x, d)
	if err != nil {
		return err
	}
	defer close() // it was only read
	size, err := c.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	h := x.w.Header()
	h.Set("Content-Type", "application/octet-stream")
	setDigest(h, d)
	x.w.long()
	http.ServeContent(x.w, x.req, "", time.Time{}, c)
	if x.w.status < http.StatusBadRequest {
		r.observe(x, event{action: exchange.ActionPull, mediaType: "application/octet-stream", digest: d, size: size})
	}
	return nil
}

// findBlob opens what is linked to the repository, and where that is not all there
// is, what lies beyond.
func (r *Registry) findBlob(x *exchanged, d digest.Digest) (io.ReadSeeker, func() error, error) {
	repo := x.repo
	if repo.writable() {
		_, ok, gone, err := r.shelf.linked(repo.name, d)
		if err != nil {
			return nil, nil, err
		}
		if ok {
			if _, err := r.Blobs.Use(d); err != nil { // so that who found it finds it when its manifest comes
				return nil, nil, err
			}
			f, err := r.Blobs.Open(d)
			if err != nil {
				return nil, nil, err
			}
			return f, f.Close, nil
		}
		if gone || repo.owner == ownLocal {
			return nil, nil, noBlob(d.String())
		}
	}
	c, err := r.Exchange.OpenContent(x.req.Context(), repo.name, d)
	switch {
	case errors.Is(err, exchange.ErrNotFound), errors.Is(err, blobs.ErrNotFound):
		return nil, nil, noBlob(d.String())
	case err != nil:
		return nil, nil, err
	}
	if f := exchange.Whole(c); f != nil {
		return f, c.Close, nil
	}
	return c, c.Close, nil
}
