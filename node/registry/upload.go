package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/node/blobs"
	"github.com/dockchains/dockchain/node/exchange"
)

// uploadWait is how long a request waits for another that writes to the same
// upload, as one does whose client has gone unnoticed.
const uploadWait = 10 * time.Second

// beginUpload begins an upload, unless the blob comes along or is to be mounted
// from another repository.
func (r *Registry) beginUpload(x *exchanged) error {
	q := x.req.URL.Query()
	if text := q.Get("mount"); text != "" {
		if ok, err := r.mount(x, text, q.Get("from")); ok || err != nil {
			return err
		}
	}
	alg, err := parseAlgorithm(q.Get("digest-algorithm"))
	if err != nil {
		return err
	}
	if text := q.Get("digest"); text != "" && q.Get("mount") == "" {
		return r.takeWhole(x, text)
	}
	id, err := r.uploads.Begin(x.repo.name, alg)
	if err != nil {
		return err
	}
	answerUpload(x, id, 0)
	x.w.WriteHeader(http.StatusAccepted)
	return nil
}

// mount answers whether another repository here has the blob, which then may be
// read in this one too.
func (r *Registry) mount(x *exchanged, text, from string) (bool, error) {
	d, err := parseDigest(text)
	if err != nil {
		return false, err
	}
	if from != "" {
		repo, err := r.parseRepository(from)
		if err != nil {
			return false, err
		}
		if !repo.writable() {
			return false, nil // what others have is not ours to hand on
		}
		from = repo.name
	}
	defer r.Blobs.Lease()()
	if _, err := r.Blobs.Use(d); err != nil {
		if errors.Is(err, blobs.ErrNotFound) {
			err = nil
		}
		return false, err
	}
	source, size, err := r.shelf.mount(x.repo.name, from, d)
	if source == "" || err != nil {
		return false, err
	}
	r.observe(x, event{action: exchange.ActionMount, from: source, mediaType: "application/octet-stream", digest: d, size: size})
	answerBlob(x, d)
	return true, nil
}

// takeWhole takes a blob in one request.
func (r *Registry) takeWhole(x *exchanged, text string) error {
	d, err := parseDigest(text)
	if err != nil {
		return err
	}
	id, err := r.uploads.Begin(x.repo.name, d.Algorithm())
	if err != nil {
		return err
	}
	err = r.finish(x, id, -1, d)
	if err != nil {
		if gone := r.uploads.Cancel(x.repo.name, id); gone != nil && !errors.Is(gone, blobs.ErrNoUpload) {
			err = errors.Join(err, gone)
		}
	}
	return err
}

// uploadStatus tells how far an upload has come.
func (r *Registry) uploadStatus(x *exchanged) error {
	size, err := r.uploads.Size(x.repo.name, x.last)
	if err != nil {
		return err
	}
	answerUpload(x, x.last, size)
	x.w.WriteHeader(http.StatusNoContent)
	return nil
}

// patchUpload takes the next piece of a blob.
func (r *Registry) patchUpload(x *exchanged) error {
	from, err := r.pieceAt(x)
	if err != nil {
		return err
	}
	size, err := r.append(x, x.last, from)
	if err != nil {
		return r.offset(x, err)
	}
	answerUpload(x, x.last, size)
	x.w.WriteHeader(http.StatusAccepted)
	return nil
}

// putUpload takes the last piece, if there is one, and ends the upload.
func (r *Registry) putUpload(x *exchanged) error {
	d, err := parseDigest(x.req.URL.Query().Get("digest"))
	if err != nil {
		return err
	}
	from, err := r.pieceAt(x)
	if err != nil {
		return err
	}
	return r.offset(x, r.finish(x, x.last, from, d))
}

// cancelUpload drops an upload.
func (r *Registry) cancelUpload(x *exchanged) error {
	if err := r.uploads.Cancel(x.repo.name, x.last); err != nil {
		return err
	}
	x.w.WriteHeader(http.StatusNoContent)
	return nil
}

// finish writes what is left of a blob, and links it to the repository.
func (r *Registry) finish(x *exchanged, id string, from int64, d digest.Digest) error {
	ctx, cancel := context.WithTimeout(x.req.Context(), uploadWait)
	defer cancel()
	if err := r.uploads.Expect(ctx, x.repo.name, id, d.Algorithm()); err != nil {
		return err
	}
	if _, err := r.append(x, id, from); err != nil {
		return err
	}
	defer r.Blobs.Lease()() // until it is linked
	size, err := r.uploads.Commit(x.req.Context(), x.repo.name, id, d)
	if err != nil {
		return err
	}
	if err := r.shelf.link(x.repo.name, d, size); err != nil {
		return err
	}
	r.observe(x, event{action: exchange.ActionPush, mediaType: "application/octet-stream", digest: d, size: size})
	answerBlob(x, d)
	return nil
}

// append writes the body to an upload. The client may go on where it was cut.
func (r *Registry) append(x *exchanged, id string, from int64) (int64, error) {
	if n := x.req.ContentLength; n > 0 { // who asks before sending is told in time
		if err := r.Blobs.Fits(x.req.Context(), n); err != nil {
			return 0, err
		}
	}
	wait, cancel := context.WithTimeout(x.req.Context(), uploadWait)
	defer cancel()
	return r.uploads.Append(x.req.Context(), wait, x.repo.name, id, from, r.body(x))
}

// offset says, after a piece that does not belong where the upload is, where it
// goes on.
func (r *Registry) offset(x *exchanged, err error) error {
	var e *blobs.OffsetError
	if !errors.As(err, &e) {
		return err
	}
	answerUpload(x, x.last, e.Size)
	return refusal(http.StatusRequestedRangeNotSatisfiable, "BLOB_UPLOAD_INVALID", fmt.Sprintf("the upload goes on at byte %d", e.Size))
}

// pieceAt is where the body belongs by its Content-Range, or -1.
func (r *Registry) pieceAt(x *exchanged) (int64, error) {
	text := x.req.Header.Get("Content-Range")
	if text == "" {
		return -1, nil
	}
	first, last, err := parseContentRange(text)
	if err != nil {
		return 0, err
	}
	if n := x.req.ContentLength; n >= 0 && n != last-first+1 {
		return 0, refusal(http.StatusBadRequest, "SIZE_INVALID", "Content-Range and Content-Length differ")
	}
	return first, nil
}

var contentRangeGrammar = regexp.MustCompile(`^(?:bytes )?([0-9]{1,18})-([0-9]{1,18})(?:/(?:[0-9]{1,18}|\*))?$`)

// parseContentRange reads "0-1023" as the specification has it, and "bytes
// 0-1023/2048" as HTTP does.
func parseContentRange(s string) (first, last int64, err error) {
	m := contentRangeGrammar.FindStringSubmatch(s)
	if m == nil {
		return 0, 0, badUpload("Content-Range is not FIRST-LAST")
	}
	first, _ = strconv.ParseInt(m[1], 10, 64) // 18 digits fit
	last, _ = strconv.ParseInt(m[2], 10, 64)
	if last < first {
		return 0, 0, badUpload("Content-Range ends before it begins")
	}
	return first, last, nil
}

// parseAlgorithm is that of the digest which an upload is to have.
func parseAlgorithm(s string) (digest.Algorithm, error) {
	switch a := digest.Algorithm(s); a {
	case "":
		return digest.SHA256, nil
	case digest.SHA256, digest.SHA512:
		return a, nil
	}
	return "", badDigest("digest-algorithm is sha256 or sha512")
}

// answerUpload says where an upload goes on. Of an empty one that is 0-0, as
// clients are used to.
func answerUpload(x *exchanged, id string, size int64) {
	h := x.w.Header()
	h.Set("Location", "/v2/"+x.repo.asked+"/blobs/uploads/"+id)
	h.Set("Range", "0-"+strconv.FormatInt(max(size-1, 0), 10))
	h.Set("Docker-Upload-UUID", id)
	h.Set("Content-Length", "0")
}

// answerBlob says where a blob is now.
func answerBlob(x *exchanged, d digest.Digest) {
	x.w.Header().Set("Location", "/v2/"+x.repo.asked+"/blobs/"+d.String())
	setDigest(x.w.Header(), d)
	created(x)
}
