package exchange

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/node/image"
	"github.com/dockchains/dockchain/node/kv"
	"github.com/dockchains/dockchain/node/upstream"
)

// What is kept of third-party registries, in the bucket store.Upstream:
//
//	tag/quay.io/org/app:1.0                  -> {"root":DESCRIPTOR,"checked":TIME}: the last good answer
//	image/quay.io/org/app@sha256:…           -> {"root":DESCRIPTOR,"checked":TIME}: pulled under this name
//	pull/00000000000000000042                -> PullRecord
const (
	tagKey   = "tag/"
	imageKey = "image/"
	pullKey  = "pull/"

	// maxImagesOf bounds the images remembered for each name, the oldest go first.
	maxImagesOf = 64
	// maxAnswers bounds the tags remembered.
	maxAnswers = 10_000
)

type tagAnswer struct {
	Root    image.Descriptor `json:"root"`
	Checked time.Time        `json:"checked"`
}

// lastAnswer is what the registry said last of a tag.
func (x *Exchange) lastAnswer(ref upstream.Ref) (a tagAnswer, ok bool) {
	err := x.Store.Upstream().View(func(tx kv.Txn) error {
		b, err := tx.Get(tagKey + ref.String())
		if err == nil {
			a, err = decodeAnswer(b)
		}
		return err
	})
	return a, err == nil
}

func decodeAnswer(b []byte) (tagAnswer, error) {
	var a tagAnswer
	if err := json.Unmarshal(b, &a); err != nil {
		return a, err
	}
	return a, image.CheckDescriptor(a.Root)
}

func (x *Exchange) keepAnswer(ref upstream.Ref, a tagAnswer) error {
	return x.putBounded(tagKey, ref.String(), a, maxAnswers)
}

// rememberImage notes that an image was pulled under a name.
func (x *Exchange) rememberImage(name string, root image.Descriptor) error {
	root = image.Descriptor{MediaType: root.MediaType, Digest: root.Digest, Size: root.Size}
	return x.putBounded(imageKey+name+"@", root.Digest.String(), tagAnswer{Root: root, Checked: x.now().UTC()}, maxImagesOf)
}

// imagesOf are the images that were pulled under a name.
func (x *Exchange) imagesOf(name string) (roots []image.Descriptor) {
	err := x.Store.Upstream().View(func(tx kv.Txn) error {
		for _, b := range tx.Each(imageKey+name+"@", "") {
			if a, err := decodeAnswer(b); err == nil {
				roots = append(roots, a.Root)
			}
		}
		return tx.Err()
	})
	if err != nil {
		x.log.Warn("images of a registry are not remembered", "err", err)
	}
	return roots
}

// putBounded stores an answer, unless it is there already and of late, and of too
// many below a prefix forgets the oldest.
func (x *Exchange) putBounded(prefix, key string, a tagAnswer, max int) error {
	b, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("encoding an answer: %w", err)
	}
	return x.Store.Upstream().Update(func(tx kv.Txn) error {
		old, err := tx.Get(prefix + key)
		if err == nil {
			was, err := decodeAnswer(old)
			if err == nil && was.Root.Digest == a.Root.Digest && strings.HasPrefix(prefix, imageKey) {
				return nil
			}
			return tx.Set(prefix+key, b)
		}
		if !errors.Is(err, kv.ErrNotFound) {
			return err
		}
		n, oldest, at := 0, "", time.Time{}
		for k, v := range tx.Each(prefix, "") {
			n++
			if w, err := decodeAnswer(v); err != nil || oldest == "" || w.Checked.Before(at) {
				oldest, at = k, w.Checked
			}
		}
		if err := tx.Err(); err != nil {
			return err
		}
		if n >= max {
			if err := tx.Delete(prefix + oldest); err != nil {
				return err
			}
		}
		return tx.Set(prefix+key, b)
	})
}

// layerAnswer tells the torrent of a blob.
type layerAnswer struct {
	Infohash string `json:"infohash"`
	Size     int64  `json:"size"`
}

type layerRequest struct {
	Digest digest.Digest `json:"digest"`
}
