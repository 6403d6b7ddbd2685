package registry

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/node/exchange"
	"github.com/dockchains/dockchain/node/image"
)

// getManifest answers a document by tag or digest.
func (r *Registry) getManifest(x *exchanged) error {
	ref, err := parseReference(x.last)
	if err != nil {
		return err
	}
	m, open, err := r.findManifest(x, ref)
	if err != nil {
		return err
	}
	h := x.w.Header()
	h.Set("Content-Type", m.MediaType)
	setDigest(h, m.digest)
	if matches(x.req, m.digest) {
		x.w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("Content-Length", strconv.FormatInt(m.Size, 10))
	if x.req.Method == http.MethodGet {
		err = r.sendDocument(x, m, open)
	} else {
		x.w.WriteHeader(http.StatusOK)
	}
	if err != nil {
		h.Del("Content-Length")
		return err
	}
	r.observe(x, event{action: exchange.ActionPull, tag: ref.tag, mediaType: m.MediaType, digest: m.digest, size: m.Size})
	return nil
}

// setDigest says what content an answer is about.
func setDigest(h http.Header, d digest.Digest) {
	h.Set("Docker-Content-Digest", d.String())
	h.Set("ETag", strconv.Quote(d.String()))
}

// matches tells whether a client has this content already.
func matches(req *http.Request, d digest.Digest) bool {
	for _, tag := range strings.Split(req.Header.Get("If-None-Match"), ",") {
		if strings.Trim(strings.TrimPrefix(strings.TrimSpace(tag), "W/"), `"`) == d.String() {
			return true
		}
	}
	return false
}

// opener opens the bytes of what was found.
type opener func() (io.ReadCloser, error)

// findManifest looks on the shelf, and where that is not all there is, beyond it.
func (r *Registry) findManifest(x *exchanged, ref reference) (found, opener, error) {
	repo := x.repo
	if repo.writable() {
		m, ok, gone, err := r.shelf.manifest(repo.name, ref)
		if err != nil {
			return found{}, nil, err
		}
		if ok {
			return m, func() (io.ReadCloser, error) { return r.Blobs.Open(m.digest) }, nil
		}
		if gone || repo.owner == ownLocal {
			return found{}, nil, r.unknownManifest(repo, ref)
		}
	}
	m, err := r.pull(x, ref)
	if err != nil {
		return found{}, nil, err
	}
	return m, func() (io.ReadCloser, error) { return r.Exchange.OpenContent(x.req.Context(), repo.name, m.digest) }, nil
}

func (r *Registry) unknownManifest(repo repository, ref reference) error {
	known, err := r.shelf.known(repo.name)
	if err != nil {
		return err
	}
	if !known {
		return noRepo(repo.asked)
	}
	return noManifest(ref.String())
}

// pull resolves a reference that was not pushed here.
func (r *Registry) pull(x *exchanged, ref reference) (found, error) {
	target := x.repo.name + ":" + ref.tag
	if ref.tag == "" {
		target = x.repo.name + "@" + ref.digest.String()
	}
	if x.repo.owner == ownMine {
		if here, err := r.releasedHere(x, target, ref); err != nil || !here {
			return found{}, errors.Join(err, noManifest(ref.String()))
		}
	}
	x.w.long()
	got, err := r.Exchange.Pull(x.req.Context(), exchange.PullRequest{
		Target: target, Client: x.req.UserAgent(), Peek: x.req.Method != http.MethodGet,
	})
	if err != nil {
		return found{}, fmt.Errorf("pulling %s: %w", target, err)
	}
	if stale := got.Stale; !stale.IsZero() {
		x.w.Header().Set("Warning", fmt.Sprintf(`299 - "the registry cannot be asked; this is its answer of %s"`, stale.UTC().Format(time.RFC3339)))
	}
	return found{manifestRecord{MediaType: got.Root.MediaType, Size: got.Root.Size}, got.Root.Digest}, nil
}

// releasedHere tells whether this node's own ledger knows a reference: nobody else
// needs to be asked about that.
func (r *Registry) releasedHere(x *exchanged, target string, ref reference) (bool, error) {
	here, err := r.Exchange.Released(x.req.Context(), target)
	if here || err != nil || ref.tag != "" {
		return here, err
	}
	c, err := r.Exchange.OpenContent(x.req.Context(), x.repo.name, ref.digest) // inside of one
	if err != nil {
		return false, nil //nolint:nilerr // then it is not known
	}
	return true, c.Close()
}

// sendDocument reads a document whole and verifies it before it is sent: clients
// do not all check what they get by a tag.
func (r *Registry) sendDocument(x *exchanged, m found, open opener) error {
	if m.Size > image.MaxManifest {
		return fmt.Errorf("document %s: %w", m.digest, image.ErrTooLarge)
	}
	if err := r.documents.Acquire(x.req.Context(), m.Size); err != nil {
		return fmt.Errorf("%w: %w", errClient, err)
	}
	defer r.documents.Release(m.Size)
	b, err := readDocument(m, open)
	if err != nil {
		return err
	}
	x.w.WriteHeader(http.StatusOK)
	_, _ = x.w.Write(b) // a client that went away is no error of ours
	return nil
}

func readDocument(m found, open opener) (_ []byte, err error) {
	f, err := open()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, ignoreClosed(f.Close())) }()
	b := make([]byte, m.Size)
	if _, err := io.ReadFull(f, b); err != nil {
		return nil, fmt.Errorf("reading document %s: %w", m.digest, err)
	}
	if m.digest.Algorithm().FromBytes(b) != m.digest {
		return nil, fmt.Errorf("document %s is damaged on disk", m.digest)
	}
	return b, nil
}

func ignoreClosed(err error) error {
	if errors.Is(err, fs.ErrClosed) {
		return nil
	}
	return err
}
