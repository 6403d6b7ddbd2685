package registry

import (
	"net/http"

	"github.com/dockchains/dockchain/node/exchange"
)

// deleteManifest deletes a tag, or a manifest with all its tags. A release of this
// node's author stays in the ledger, but is not seen here any more.
func (r *Registry) deleteManifest(x *exchanged) error {
	ref, err := parseReference(x.last)
	if err != nil {
		return err
	}
	_, _, err = r.findManifest(x, ref)
	if err != nil {
		return err
	}
	mine := x.repo.owner == ownMine
	e := event{action: exchange.ActionDelete, tag: ref.tag, digest: ref.digest}
	var ok bool
	if ref.tag != "" {
		ok, err = r.shelf.untag(x.repo.name, ref.tag, mine)
	} else {
		ok, err = r.shelf.remove(x.repo.name, ref.digest, mine)
	}
	if err != nil {
		return err
	}
	if !ok && !mine { // another was faster
		return noManifest(ref.String())
	}
	r.observe(x, e)
	accepted(x)
	return nil
}

// deleteBlob takes a blob out of a repository. Others keep it.
func (r *Registry) deleteBlob(x *exchanged) error {
	d, err := parseDigest(x.last)
	if err != nil {
		return err
	}
	if _, close, err := r.findBlob(x, d); err != nil {
		return err
	} else if err := close(); err != nil {
		return err
	}
	mine := x.repo.owner == ownMine
	ok, err := r.shelf.unlink(x.repo.name, d, mine)
	if err != nil {
		return err
	}
	if !ok && !mine {
		return noBlob(d.String())
	}
	setDigest(x.w.Header(), d)
	r.observe(x, event{action: exchange.ActionDelete, digest: d})
	accepted(x)
	return nil
}

func accepted(x *exchanged) {
	x.w.Header().Set("Content-Length", "0")
	x.w.WriteHeader(http.StatusAccepted)
}
