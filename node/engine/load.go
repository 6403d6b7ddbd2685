package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/dockchains/dockchain/node/image"
	"github.com/dockchains/dockchain/node/transport"
)

const (
	maxLoadOutput  = 1 << 20
	maxLoadMessage = 500 // bytes of an Engine's message that are passed on
)

// Load puts one platform of an image into the Engine and tells its id there.
// name is what docker images will show, "alice/debian:12"; it may be empty.
// A nil platform is the Engine's own, which the image must be for then.
func (e *Engine) Load(ctx context.Context, root image.Descriptor, name string, src transport.Source, platform *ocispec.Platform, p transport.Progress) (string, error) {
	id, err := e.load(ctx, root, name, src, platform, p)
	if err != nil {
		return "", fmt.Errorf("loading %s into the Docker Engine: %w", root.Digest, err)
	}
	return id, nil
}

func (e *Engine) load(ctx context.Context, root image.Descriptor, name string, src transport.Source, platform *ocispec.Platform, p transport.Progress) (string, error) {
	if name != "" {
		n, err := reference.ParseDockerRef(name)
		if err != nil {
			return "", fmt.Errorf("%w: %q: %w", image.ErrBadReference, name, err)
		}
		name = reference.FamiliarString(n)
	}
	manifest, config, err := e.choose(ctx, root, platform, src)
	if err != nil {
		return "", err
	}
	if err := e.send(ctx, manifest, name, src, p); err != nil {
		return "", err
	}
	// The id is the config's digest, or the manifest's where the Engine keeps
	// images in containerd's store.
	for _, id := range []string{config.Digest.String(), manifest.Digest.String()} {
		if _, err := e.api.ImageInspect(ctx, id); err == nil {
			return id, nil
		}
	}
	return "", fmt.Errorf("the Engine does not have the image after loading it: %w", ErrRefused)
}

// choose finds the manifest to load, and its config.
func (e *Engine) choose(ctx context.Context, root image.Descriptor, platform *ocispec.Platform, src transport.Source) (manifest, config image.Descriptor, err error) {
	if platform == nil {
		v, err := e.api.ServerVersion(ctx, client.ServerVersionOptions{})
		if err != nil {
			return manifest, config, err
		}
		platform = &ocispec.Platform{OS: v.Os, Architecture: v.Arch}
	}
	get := transport.Documents(src)
	if manifest, err = image.Select(ctx, root, *platform, get); err != nil {
		return manifest, config, err
	}
	b, err := get(ctx, manifest)
	if err != nil {
		return manifest, config, err
	}
	doc, err := image.Parse(manifest.MediaType, b)
	if err != nil {
		return manifest, config, err
	}
	switch doc.Config.MediaType {
	case ocispec.MediaTypeImageConfig, image.MediaTypeDockerConfig:
		return manifest, *doc.Config, nil
	}
	return manifest, config, fmt.Errorf("it is an artifact: %w", ErrRefused)
}

// send streams the archive while it is being written.
func (e *Engine) send(ctx context.Context, manifest image.Descriptor, name string, src transport.Source, p transport.Progress) error {
	pr, pw := io.Pipe()
	written := make(chan error, 1)
	go func() {
		err := transport.WriteArchive(ctx, pw, manifest, name, nil, src, p)
		pw.CloseWithError(err)
		written <- err
	}()
	loaded := e.post(ctx, pr)
	pr.CloseWithError(errEngineDone)
	err := <-written
	switch {
	case err != nil && !errors.Is(err, errEngineDone):
		return err
	case loaded != nil:
		return loaded
	}
	return nil
}

// errEngineDone ends the writing when the Engine wants no more of the archive;
// it does not always read the zeros at the end.
var errEngineDone = errors.New("the Docker Engine stopped reading")

func (e *Engine) post(ctx context.Context, tar io.Reader) error {
	res, err := e.api.ImageLoad(ctx, tar, client.ImageLoadWithQuiet(true))
	if err != nil {
		return err
	}
	return errors.Join(loadResult(res), res.Close())
}

// loadResult reads the messages that follow a status of 200: {"stream":…}
// for what went well and {"errorDetail":{"message":…}} for what did not.
func loadResult(r io.Reader) error {
	dec := json.NewDecoder(io.LimitReader(r, maxLoadOutput))
	for {
		var m jsonstream.Message
		err := dec.Decode(&m)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the Engine's answer: %w", err)
		}
		if m.Error != nil {
			return fmt.Errorf("%w: the Engine says %q", ErrRefused, clip(m.Error.Message))
		}
	}
}

func clip(s string) string {
	if len(s) > maxLoadMessage {
		return strings.ToValidUTF8(s[:maxLoadMessage], "") + "…"
	}
	return s
}
