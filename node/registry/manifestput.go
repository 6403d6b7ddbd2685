package registry

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/node/blobs"
	"github.com/dockchains/dockchain/node/exchange"
	"github.com/dockchains/dockchain/node/image"
)

// maxTags is how many ?tag= a push may have.
const maxTags = 100

// putManifest takes a document, under a tag, or under its digest and any tags that
// the query names.
func (r *Registry) putManifest(x *exchanged) error {
	ref, err := parseReference(x.last)
	if err != nil {
		return err
	}
	tags, err := tagsToPut(x, ref)
	if err != nil {
		return err
	}
	b, release, err := r.readManifest(x)
	if err != nil {
		return err
	}
	defer release()
	d, err := digestOf(b, ref.digest)
	if err != nil {
		return err
	}
	doc, err := image.Parse(declaredType(x.req), b)
	if err != nil {
		return err
	}
	ctx := x.req.Context()
	p := push{name: x.repo.name, mine: x.repo.owner == ownMine, digest: d, size: int64(len(b)), document: doc, tags: tags}
	if p.adopted, err = r.adopt(x, doc); err != nil {
		return err
	}
	defer r.Blobs.Lease()() // until the shelf says what needs them
	if err := r.rely(doc); err != nil {
		return err
	}
	if err := r.Blobs.Put(ctx, d, p.size, bytes.NewReader(b)); err != nil {
		return err
	}
	queued, err := r.shelf.put(p)
	if err != nil {
		return err
	}
	if queued {
		r.wake()
	}
	r.observePush(x, p)
	r.answerPush(x, ref, p)
	return nil
}

// rely has what a manifest refers to stay where it is, which is told before the shelf
// is asked whether it is there.
func (r *Registry) rely(doc *image.Document) error {
	for _, d := range references(doc) {
		if image.IsForeign(d.MediaType) {
			continue
		}
		_, err := r.Blobs.Use(d.Digest)
		if errors.Is(err, blobs.ErrNotFound) {
			return refusal(http.StatusNotFound, "MANIFEST_BLOB_UNKNOWN", "the manifest refers to what was not pushed here: "+d.Digest.String())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// adopt finds what a manifest refers to in this node's releases.
func (r *Registry) adopt(x *exchanged, doc *image.Document) (map[digest.Digest]int64, error) {
	if x.repo.owner != ownMine {
		return nil, nil
	}
	found := map[digest.Digest]int64{}
	for _, d := range references(doc) {
		_, ok, gone, err := r.shelf.linked(x.repo.name, d.Digest)
		if err != nil {
			return nil, err
		}
		if ok || gone {
			continue
		}
		c, err := r.Exchange.OpenContent(x.req.Context(), x.repo.name, d.Digest)
		if err != nil {
			continue // then it is not one of them
		}
		if exchange.Whole(c) != nil {
			found[d.Digest] = c.Size()
		}
		if err := c.Close(); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// answerPush says what has become of a document.
func (r *Registry) answerPush(x *exchanged, ref reference, p push) {
	h := x.w.Header()
	h.Set("Location", "/v2/"+x.repo.asked+"/manifests/"+p.digest.String())
	setDigest(h, p.digest)
	if p.document.Subject != nil {
		h.Set("OCI-Subject", p.document.Subject.Digest.String())
	}
	if ref.tag == "" {
		for _, tag := range p.tags {
			h.Add("OCI-Tag", tag)
		}
	}
	created(x)
}

// observePush tells of one event for every name that the document got.
func (r *Registry) observePush(x *exchanged, p push) {
	e := event{action: exchange.ActionPush, mediaType: p.document.MediaType, digest: p.digest, size: p.size, references: references(p.document)}
	if len(p.tags) == 0 {
		r.observe(x, e)
	}
	for _, tag := range p.tags {
		e.tag = tag
		r.observe(x, e)
	}
}

// created is an answer without a body.
func created(x *exchanged) {
	x.w.Header().Set("Content-Length", "0")
	x.w.WriteHeader(http.StatusCreated)
}

// tagsToPut are the tags that a push sets.
func tagsToPut(x *exchanged, ref reference) ([]string, error) {
	if ref.tag != "" {
		return []string{ref.tag}, nil
	}
	tags := x.req.URL.Query()["tag"]
	if len(tags) > maxTags {
		return nil, refusal(http.StatusRequestURITooLong, "TAG_INVALID", fmt.Sprintf("more than %d tags at once", maxTags))
	}
	for _, tag := range tags {
		if err := checkTag(tag); err != nil {
			return nil, err
		}
	}
	return tags, nil
}

// readManifest reads the body when there is memory for it.
func (r *Registry) readManifest(x *exchanged) (b []byte, release func(), err error) {
	size := x.req.ContentLength
	if size > image.MaxManifest {
		return nil, nil, tooLarge()
	}
	if size < 0 {
		size = image.MaxManifest
	}
	if err := r.documents.Acquire(x.req.Context(), size); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errClient, err)
	}
	release = func() { r.documents.Release(size) }
	if b, err = io.ReadAll(io.LimitReader(r.body(x), image.MaxManifest+1)); err == nil && len(b) > image.MaxManifest {
		err = tooLarge()
	}
	if err != nil {
		release()
		return nil, nil, err
	}
	return b, release, nil
}

func tooLarge() *Error {
	return refusal(http.StatusRequestEntityTooLarge, "SIZE_INVALID", fmt.Sprintf("a manifest has at most %d bytes", image.MaxManifest))
}

// digestOf is that of a body, which must be the one it was sent under.
func digestOf(b []byte, want digest.Digest) (digest.Digest, error) {
	if want == "" {
		return digest.FromBytes(b), nil
	}
	if got := want.Algorithm().FromBytes(b); got != want {
		return "", badDigest("the manifest is " + got.String())
	}
	return want, nil
}

// declaredType is the Content-Type, of which parameters do not count.
func declaredType(req *http.Request) string {
	text := req.Header.Get("Content-Type")
	if t, _, err := mime.ParseMediaType(text); err == nil {
		return t
	}
	return text
}
