// Package registry is the pull side of the OCI distribution specification on
// localhost (https://github.com/opencontainers/distribution-spec, v1.1), so that
//
//	docker pull localhost:5000/alice/app:1.0
//
// fetches an author's release through the swarm. The first component of a name is
// the author: "me", a petname or an author id.
//
//	GET  /v2/                                 200
//	GET  /v2/<author>/<repo>/manifests/<ref>  the document, fetched if need be
//	GET  /v2/<author>/<repo>/blobs/<digest>   the bytes, with ranges
//
// each also as HEAD. A manifest is answered once its whole image is here and
// accepted; a verdict against it is 403 DENIED with the reasons. What no accepted
// release covers is 404, even if its bytes are here. Writing is answered 405
// UNSUPPORTED: publishing is what `dockchain publish` does.
package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/node/exchange"
	"github.com/dockchains/dockchain/node/image"
)

// Exchange is what the registry needs of the roads.
type Exchange interface {
	Fetch(ctx context.Context, req exchange.FetchRequest, report func(exchange.Progress)) (exchange.Fetched, error)
	OpenBlob(d digest.Digest) (*os.File, error)
}

// findTimeout bounds the time without progress of a pull. Docker waits 100
// seconds and more for a manifest, so this end gives up first, with a reason.
const findTimeout = 30 * time.Second

// Handler serves /v2/ without guards: put api.GuardClients before it.
func Handler(x Exchange, log *slog.Logger) http.Handler {
	r := &registry{x: x, log: log.With("component", "registry")}
	mux := http.NewServeMux()
	mux.HandleFunc("/v2/", r.serve)
	return mux
}

type registry struct {
	x   Exchange
	log *slog.Logger
}

// Error is a refusal in the words of the specification.
type Error struct {
	Status  int
	Code    string
	Message string
}

func (e *Error) Error() string { return e.Message }

func (r *registry) serve(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	if err := r.route(w, req); err != nil {
		r.refuse(w, req, err)
	}
}

// route splits a path: names may contain slashes, so the verb is sought from the
// right.
func (r *registry) route(w http.ResponseWriter, req *http.Request) error {
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		return &Error{http.StatusMethodNotAllowed, "UNSUPPORTED", "this registry only answers pulls; to publish, use: dockchain publish"}
	}
	path := strings.TrimPrefix(req.URL.Path, "/v2/")
	if path == "" {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	parts := strings.Split(path, "/")
	if len(parts) < 4 {
		return &Error{http.StatusNotFound, "NAME_UNKNOWN", "names here are <author>/<repository>"}
	}
	// The server's time limit is for short answers; a fetch and a layer take as
	// long as they make progress.
	if err := http.NewResponseController(w).SetWriteDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	name := strings.Join(parts[:len(parts)-2], "/")
	last := parts[len(parts)-1]
	switch parts[len(parts)-2] {
	case "manifests":
		return r.manifest(w, req, name, last)
	case "blobs":
		return r.blob(w, req, name, last)
	}
	return &Error{http.StatusNotFound, "UNSUPPORTED", "this registry has no such endpoint"}
}

// manifest answers a document by tag, which fetches the image it names, or by
// digest, which may be of a document inside an image that is here.
func (r *registry) manifest(w http.ResponseWriter, req *http.Request, name, reference string) error {
	sep := ":"
	if strings.Contains(reference, ":") {
		sep = "@"
	}
	ref, err := image.ParseRef(name + sep + reference)
	if err != nil {
		return &Error{http.StatusBadRequest, "NAME_INVALID", err.Error()}
	}
	if ref.Digest != "" {
		if f, err := r.x.OpenBlob(ref.Digest); err == nil {
			defer f.Close()
			return document(w, req, f, ref.Digest)
		}
	}
	got, err := r.x.Fetch(req.Context(), exchange.FetchRequest{Target: ref.String(), Timeout: findTimeout}, nil)
	if err != nil {
		return fmt.Errorf("pulling %s: %w", ref, err)
	}
	d := digest.Digest(got.Digest)
	f, err := r.x.OpenBlob(d)
	if err != nil {
		return err
	}
	defer f.Close()
	return document(w, req, f, d)
}

func document(w http.ResponseWriter, req *http.Request, f *os.File, d digest.Digest) error {
	b, err := io.ReadAll(io.LimitReader(f, image.MaxManifest+1))
	if err != nil {
		return err
	}
	if d.Algorithm().FromBytes(b) != d {
		return fmt.Errorf("document %s is damaged on disk", d)
	}
	doc, err := image.Parse("", b)
	if err != nil {
		return &Error{http.StatusNotFound, "MANIFEST_UNKNOWN", fmt.Sprintf("%s is no manifest", d)}
	}
	h := w.Header()
	h.Set("Content-Type", doc.MediaType)
	h.Set("Docker-Content-Digest", d.String())
	h.Set("ETag", strconv.Quote(d.String()))
	h.Set("Content-Length", strconv.Itoa(len(b)))
	if req.Method == http.MethodGet {
		_, _ = w.Write(b) // a client that went away is no error of ours
	}
	return nil
}

func (r *registry) blob(w http.ResponseWriter, req *http.Request, name, text string) error {
	if _, err := image.ParseRef(name); err != nil {
		return &Error{http.StatusBadRequest, "NAME_INVALID", err.Error()}
	}
	d := digest.Digest(text)
	if err := image.CheckDigest(d); err != nil {
		return &Error{http.StatusBadRequest, "DIGEST_INVALID", err.Error()}
	}
	f, err := r.x.OpenBlob(d)
	if errors.Is(err, exchange.ErrNotFound) {
		return &Error{http.StatusNotFound, "BLOB_UNKNOWN", err.Error()}
	}
	if err != nil {
		return err
	}
	defer f.Close()
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Docker-Content-Digest", d.String())
	h.Set("ETag", strconv.Quote(d.String()))
	http.ServeContent(w, req, "", time.Time{}, f)
	return nil
}

// refuse maps errors to the specification's codes, in this one place.
func (r *registry) refuse(w http.ResponseWriter, req *http.Request, err error) {
	var e *Error
	switch {
	case errors.As(err, &e):
	case errors.Is(err, exchange.ErrRejected):
		e = &Error{http.StatusForbidden, "DENIED", err.Error()}
	case errors.Is(err, exchange.ErrNotFound), errors.Is(err, exchange.ErrTimeout), errors.Is(err, exchange.ErrNoAlias):
		e = &Error{http.StatusNotFound, "MANIFEST_UNKNOWN", err.Error()}
	case errors.Is(err, exchange.ErrBadRequest):
		e = &Error{http.StatusBadRequest, "NAME_INVALID", err.Error()}
	default:
		r.log.Error("request failed", "method", req.Method, "path", req.URL.Path, "err", err)
		e = &Error{http.StatusInternalServerError, "UNKNOWN", "the node could not answer; its log says why"}
	}
	body, _ := json.Marshal(map[string]any{ // strings always encode
		"errors": []map[string]any{{"code": e.Code, "message": e.Message, "detail": nil}},
	})
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(e.Status)
	if req.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}
