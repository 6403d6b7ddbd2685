package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/distribution/reference"

	"github.com/dockchains/dockchain/node/image"
	"github.com/dockchains/dockchain/node/transport"
)

// Import copies an image out of the Engine: ref is a name as the docker
// command takes it, or an image id. Layers stream into dst as the Engine sends
// them. Importing the same image again gives the same digest.
func (e *Engine) Import(ctx context.Context, ref string, dst transport.Blobs, p transport.Progress) (image.Descriptor, error) {
	d, err := e.save(ctx, ref, dst, p)
	if err != nil {
		return image.Descriptor{}, fmt.Errorf("importing %s from the Docker Engine: %w", ref, err)
	}
	return d, nil
}

func (e *Engine) save(ctx context.Context, ref string, dst transport.Blobs, p transport.Progress) (_ image.Descriptor, err error) {
	name, err := e.saveName(ctx, ref)
	if err != nil {
		return image.Descriptor{}, err
	}
	// Ends the Engine's work when reading ends early.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tar, err := e.api.ImageSave(ctx, []string{name})
	if err != nil {
		return image.Descriptor{}, imageError(err)
	}
	defer func() { err = errors.Join(err, tar.Close()) }()
	return transport.ReadStream(ctx, tar, "", dst, p)
}

// saveName is how to ask for this one image. A name without a tag would bring
// every tag of the repository; an id brings exactly one image.
func (e *Engine) saveName(ctx context.Context, ref string) (string, error) {
	got, err := e.api.ImageInspect(ctx, ref)
	if err != nil {
		return "", imageError(err)
	}
	if n, err := reference.ParseDockerRef(ref); err == nil {
		if name := reference.FamiliarString(n); slices.Contains(got.RepoTags, name) {
			return name, nil
		}
	}
	return got.ID, nil
}
