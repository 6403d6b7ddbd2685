package transport

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/node/image"
)

const (
	maxArchiveItems  = 1000
	maxArchiveLayers = 1000
)

// archiveItem is one image of a manifest.json.
type archiveItem struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// parseArchive reads a manifest.json.
func parseArchive(b []byte) ([]archiveItem, error) {
	var items []archiveItem
	if err := decodeJSON(b, &items); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadArchive, err)
	}
	if len(items) == 0 {
		return nil, fmt.Errorf("no image in it: %w", ErrBadArchive)
	}
	if len(items) > maxArchiveItems {
		return nil, fmt.Errorf("%d images: %w", len(items), image.ErrTooLarge)
	}
	for i := range items {
		if err := items[i].clean(); err != nil {
			return nil, err
		}
	}
	return items, nil
}

// clean checks the item's paths and gives them the spelling of a tarTree.
func (it *archiveItem) clean() (err error) {
	if len(it.Layers) > maxArchiveLayers {
		return fmt.Errorf("%d layers: %w", len(it.Layers), image.ErrTooLarge)
	}
	if it.Config, err = cleanName(it.Config); err != nil {
		return err
	}
	for i := range it.Layers {
		if it.Layers[i], err = cleanName(it.Layers[i]); err != nil {
			return err
		}
	}
	return nil
}

// configDigest is the digest that the config's path promises, "" for none:
// <hex>.json, sha256:<hex> or blobs/sha256/<hex>.
func (it *archiveItem) configDigest() digest.Digest {
	if d, ok := blobName(it.Config); ok {
		return d
	}
	base := path.Base(it.Config)
	for _, d := range []digest.Digest{digest.Digest(base), digest.Digest("sha256:" + strings.TrimSuffix(base, ".json"))} {
		if image.CheckDigest(d) == nil {
			return d
		}
	}
	return ""
}

func (it *archiveItem) named(ref string) bool {
	return it.configDigest() == digest.Digest(ref) && ref != "" ||
		slices.ContainsFunc(it.RepoTags, func(tag string) bool { return sameName(tag, ref) })
}

// selectItem picks the image that ref means, or the only one.
func selectItem(items []archiveItem, ref string) (archiveItem, error) {
	var found []archiveItem
	var names []string
	for _, it := range items {
		if ref == "" || it.named(ref) {
			found = append(found, it)
		}
		names = append(names, append(slices.Clone(it.RepoTags), it.Config)[0])
	}
	if err := checkSelection(len(found), ref, names); err != nil {
		return archiveItem{}, err
	}
	return found[0], nil
}

// rootFS is what this package needs to know of an image config.
type rootFS struct {
	RootFS struct {
		Type    string          `json:"type"`
		DiffIDs []digest.Digest `json:"diff_ids"`
	} `json:"rootfs"`
}

// parseDiffIDs reads the digests of the uncompressed layers from a config.
func parseDiffIDs(config []byte) ([]digest.Digest, error) {
	var c rootFS
	if err := json.Unmarshal(config, &c); err != nil {
		return nil, err
	}
	if c.RootFS.Type != "layers" {
		return nil, errors.New("image config has no rootfs of layers")
	}
	for _, d := range c.RootFS.DiffIDs {
		if err := image.CheckDigest(d); err != nil {
			return nil, fmt.Errorf("diff id: %w", err)
		}
	}
	return c.RootFS.DiffIDs, nil
}

// checkSameImage refuses a hybrid archive that is one image to docker load and
// another to us.
func checkSameImage(img *image.Image, t tree, items []archiveItem, refName string) error {
	candidates := items
	if named := slices.DeleteFunc(slices.Clone(items), func(it archiveItem) bool { return !it.named(refName) }); len(named) > 0 {
		candidates = named
	}
	for _, it := range candidates {
		b, err := readFile(t, it.Config)
		if err != nil {
			return fmt.Errorf("reading config of %s: %w", archiveFile, err)
		}
		ours := func(x image.Blob) bool {
			return x.Role == image.RoleConfig && x.Digest == x.Digest.Algorithm().FromBytes(b)
		}
		if slices.ContainsFunc(img.Blobs, ours) {
			return nil
		}
	}
	return fmt.Errorf("%s and %s mean different images: %w", indexFile, archiveFile, ErrAmbiguous)
}
