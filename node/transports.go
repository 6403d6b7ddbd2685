package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/dockchains/dockchain/node/blobs"
	"github.com/dockchains/dockchain/node/engine"
	"github.com/dockchains/dockchain/node/exchange"
	"github.com/dockchains/dockchain/node/image"
	"github.com/dockchains/dockchain/node/transport"
)

// importers are where images come from, by skopeo's names.
func importers(b *blobs.Store) map[string]exchange.Importer {
	archive := func(ctx context.Context, ref string, _ exchange.PublishRequest, report func(string, int64, int64)) (image.Descriptor, error) {
		path, name := splitPath(ref)
		return transport.ReadArchive(ctx, path, name, b, report)
	}
	return map[string]exchange.Importer{
		"oci": func(ctx context.Context, ref string, _ exchange.PublishRequest, report func(string, int64, int64)) (image.Descriptor, error) {
			dir, name := splitPath(ref)
			return transport.ReadLayout(ctx, dir, name, b, report)
		},
		"oci-archive":    archive,
		"docker-archive": archive,
		"blobs": func(_ context.Context, ref string, _ exchange.PublishRequest, _ func(string, int64, int64)) (image.Descriptor, error) {
			return storedRoot(b, ref)
		},
		"docker": func(ctx context.Context, ref string, req exchange.PublishRequest, report func(string, int64, int64)) (image.Descriptor, error) {
			return transport.ReadRegistry(ctx, ref, transport.RegistryOptions{Insecure: req.Insecure}, b, report)
		},
		exchange.EngineTransport: func(ctx context.Context, ref string, _ exchange.PublishRequest, report func(string, int64, int64)) (image.Descriptor, error) {
			e, err := openEngine(ctx)
			if err != nil {
				return image.Descriptor{}, err
			}
			defer e.Close()
			root, err := e.Import(ctx, ref, b, report)
			if errors.Is(err, engine.ErrNoSuchImage) {
				err = fmt.Errorf("%w: %w", exchange.ErrNotFound, err)
			}
			return root, err
		},
	}
}

// storedRoot describes a manifest or index that is in the blob store already.
func storedRoot(b *blobs.Store, ref string) (image.Descriptor, error) {
	d := digest.Digest(ref)
	if err := image.CheckDigest(d); err != nil {
		return image.Descriptor{}, fmt.Errorf("%w: %w", exchange.ErrBadRequest, err)
	}
	if _, err := b.Use(d); err != nil && !errors.Is(err, blobs.ErrNotFound) {
		return image.Descriptor{}, err
	}
	f, err := b.Open(d)
	if errors.Is(err, blobs.ErrNotFound) {
		return image.Descriptor{}, fmt.Errorf("%w: %w", exchange.ErrNotFound, err)
	}
	if err != nil {
		return image.Descriptor{}, err
	}
	defer f.Close()
	doc, err := io.ReadAll(io.LimitReader(f, image.MaxManifest+1))
	if err != nil {
		return image.Descriptor{}, err
	}
	parsed, err := image.Parse("", doc)
	if err != nil {
		return image.Descriptor{}, fmt.Errorf("%w: %s: %w", exchange.ErrBadRequest, d, err)
	}
	return image.Descriptor{MediaType: parsed.MediaType, Digest: d, Size: int64(len(doc))}, nil
}

func openEngine(ctx context.Context) (*engine.Engine, error) {
	e, err := engine.Open(ctx)
	if errors.Is(err, engine.ErrNoEngine) {
		err = fmt.Errorf("%w: %w", exchange.ErrNoEngine, err)
	}
	return e, err
}

// exporters are where a fetched image can be written to.
func exporters() map[string]exchange.Exporter {
	return map[string]exchange.Exporter{
		"oci": func(ctx context.Context, root image.Descriptor, src exchange.Source, path, refName, platform string, report func(string, int64, int64)) error {
			root, err := pick(ctx, root, platform, src)
			if err != nil {
				return err
			}
			return transport.WriteLayout(ctx, path, root, refName, src, report)
		},
		"docker-archive": func(ctx context.Context, root image.Descriptor, src exchange.Source, path, refName, platform string, report func(string, int64, int64)) (err error) {
			p, err := parsePlatform(platform)
			if err != nil {
				return err
			}
			return writeWhole(path, func(w io.Writer) error {
				return transport.WriteArchive(ctx, w, root, refName, p, src, report)
			})
		},
	}
}

// writeWhole makes a file that is there when it is whole, and not before; what is
// not a file, as a pipe, is written to.
func writeWhole(path string, write func(io.Writer) error) (err error) {
	if st, err := os.Stat(path); err == nil && !st.Mode().IsRegular() {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return errors.Join(write(f), f.Close())
	}
	part := path + "." + rand.Text()[:6] + ".part"
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	if err = errors.Join(write(f), f.Close()); err == nil {
		err = os.Rename(part, path)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(part))
	}
	return err
}

// pick is the manifest of one platform, or the whole where none is asked for.
func pick(ctx context.Context, root image.Descriptor, platform string, src exchange.Source) (image.Descriptor, error) {
	p, err := parsePlatform(platform)
	if err != nil || p == nil {
		return root, err
	}
	return image.Select(ctx, root, *p, transport.Documents(src))
}

func parsePlatform(s string) (*ocispec.Platform, error) {
	if s == "" {
		return nil, nil
	}
	p, err := image.ParsePlatform(s)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", exchange.ErrBadRequest, err)
	}
	return &p, nil
}

// splitPath splits "PATH[:REF]", as skopeo writes it. A path that exists with its
// colon is a path.
func splitPath(s string) (path, ref string) {
	if _, err := os.Stat(s); err == nil {
		return s, ""
	}
	for i := len(s) - 1; i > 0; i-- {
		if s[i] == '/' {
			break
		}
		if s[i] == ':' {
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

// dockerEngine is the Docker Engine, opened for each use: it may be started and
// stopped while the node runs.
type dockerEngine struct{}

func (dockerEngine) Load(ctx context.Context, root image.Descriptor, src exchange.Source, name, platform string, report func(done, total int64)) error {
	e, err := openEngine(ctx)
	if err != nil {
		return err
	}
	defer e.Close()
	p, err := parsePlatform(platform)
	if err != nil {
		return err
	}
	_, err = e.Load(ctx, root, name, src, p, func(_ string, done, total int64) { report(done, total) })
	return err
}
