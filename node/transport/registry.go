package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	registry "github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/dockchains/dockchain/node/image"
)

// RegistryOptions says how to read from a registry.
type RegistryOptions struct {
	// Insecure allows plain HTTP and certificates that nobody vouches for.
	// Registries on localhost are asked over HTTP anyway.
	Insecure bool
	// Platform keeps only this platform of a multi-platform image; nil keeps
	// all of them, and with them the image's digest.
	Platform *ocispec.Platform
	// Keychain finds credentials; nil reads anonymously.
	Keychain authn.Keychain
	// UserAgent introduces us; "" leaves the client's own.
	UserAgent string
	// Transport carries the requests; nil is a guarded one of our own, which
	// never follows a public registry to loopback or private addresses.
	Transport http.RoundTripper
}

// ReadRegistry copies an image out of a registry: ref is REPO[:TAG][@DIGEST]
// as Docker reads it, so docker.io and latest where it does not say. All
// platforms come along, foreign layers do not.
func ReadRegistry(ctx context.Context, ref string, o RegistryOptions, dst Blobs, p Progress) (image.Descriptor, error) {
	d, err := readRegistry(ctx, ref, o, dst, p)
	if err != nil {
		return image.Descriptor{}, fmt.Errorf("reading %s from its registry: %w", ref, registryError(err))
	}
	return d, nil
}

func readRegistry(ctx context.Context, ref string, o RegistryOptions, dst Blobs, p Progress) (image.Descriptor, error) {
	var opts []name.Option
	if o.Insecure {
		opts = append(opts, name.Insecure)
	}
	parsed, err := name.ParseReference(ref, opts...)
	if err != nil {
		return image.Descriptor{}, fmt.Errorf("%w: %w", image.ErrBadReference, err)
	}
	r, err := newRemoteRepo(parsed.Context(), o)
	if err != nil {
		return image.Descriptor{}, err
	}
	root, err := r.root(ctx, parsed)
	if err != nil {
		return image.Descriptor{}, err
	}
	if o.Platform != nil {
		if root, err = image.Select(ctx, root, *o.Platform, r.document); err != nil {
			return image.Descriptor{}, err
		}
	}
	img, err := image.Walk(ctx, root, r.document)
	if err != nil {
		return image.Descriptor{}, err
	}
	return img.Root, putAll(ctx, img, &meter{report: p}, dst, r.open)
}

// remoteRepo is one repository of a registry.
type remoteRepo struct {
	repo   name.Repository
	puller *remote.Puller
	mu     sync.Mutex
	// known holds what document read, as the walk and the copy both ask and
	// some registries count. The walk bounds it to image.MaxDocuments.
	known map[digest.Digest][]byte
}

func newRemoteRepo(repo name.Repository, o RegistryOptions) (*remoteRepo, error) {
	rt := o.Transport
	if rt == nil {
		rt = guardedTransport(repo.RegistryStr(), o.Insecure, stallTimeout)
	}
	opts := []remote.Option{remote.WithTransport(limitDocuments{rt}), remote.WithJobs(copyJobs)}
	if o.Keychain != nil {
		opts = append(opts, remote.WithAuthFromKeychain(o.Keychain))
	}
	if o.UserAgent != "" {
		opts = append(opts, remote.WithUserAgent(o.UserAgent))
	}
	puller, err := remote.NewPuller(opts...)
	if err != nil {
		return nil, err
	}
	return &remoteRepo{repo: repo, puller: puller, known: make(map[digest.Digest][]byte)}, nil
}

// root asks for the document that a tag or digest means. What comes under a
// tag is what the registry says; all below is bound to it by digests.
func (r *remoteRepo) root(ctx context.Context, ref name.Reference) (image.Descriptor, error) {
	got, err := r.puller.Get(ctx, ref)
	if err != nil {
		return image.Descriptor{}, err
	}
	d := image.Descriptor{MediaType: string(got.MediaType), Digest: digest.Digest(got.Digest.String()), Size: got.Size}
	return d, d.Digest.Validate()
}

// document reads an index, a manifest or a config.
func (r *remoteRepo) document(ctx context.Context, d image.Descriptor) ([]byte, error) {
	if b := r.recall(d.Digest); b != nil {
		return b, nil
	}
	b, err := r.request(ctx, d)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known[d.Digest] = b
	return b, nil
}

func (r *remoteRepo) recall(d digest.Digest) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.known[d]
}

func (r *remoteRepo) request(ctx context.Context, d image.Descriptor) ([]byte, error) {
	if image.IsIndex(d.MediaType) || image.IsManifest(d.MediaType) {
		got, err := r.puller.Get(ctx, r.repo.Digest(d.Digest.String()))
		if err != nil {
			return nil, err
		}
		return got.Manifest, nil
	}
	rc, err := r.blob(ctx, d)
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	return readDocument(rc, d.Size)
}

func (r *remoteRepo) blob(ctx context.Context, d image.Descriptor) (io.ReadCloser, error) {
	layer, err := r.puller.Layer(ctx, r.repo.Digest(d.Digest.String()))
	if err != nil {
		return nil, err
	}
	return layer.Compressed()
}

// open gives a blob of the image. Its request is made at the first read, so
// that what the store has already costs none.
func (r *remoteRepo) open(ctx context.Context, d image.Descriptor) (io.ReadCloser, error) {
	return &lazyReader{open: func() (io.ReadCloser, error) {
		if b := r.recall(d.Digest); b != nil {
			return io.NopCloser(bytes.NewReader(b)), nil
		}
		if image.IsIndex(d.MediaType) || image.IsManifest(d.MediaType) {
			b, err := r.request(ctx, d)
			return io.NopCloser(bytes.NewReader(b)), err
		}
		return r.blob(ctx, d)
	}}, nil
}

// registryError puts names of ours on the answers that a person can act on.
func registryError(err error) error {
	var te *registry.Error
	if !errors.As(err, &te) {
		return err
	}
	switch te.StatusCode {
	case http.StatusNotFound:
		return fmt.Errorf("%w: %w", ErrNoSuchImage, err)
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%w: %w", ErrDenied, err)
	}
	return err
}
