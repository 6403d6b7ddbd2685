package image

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/opencontainers/go-digest"
)

// MediaTypeTorrents is the media type of a torrent map.
const MediaTypeTorrents = "application/vnd.dockchain.torrents.v1+json"

// TorrentMap ties an image to its torrents; see the package comment.
type TorrentMap struct {
	MediaType string        `json:"mediaType"`
	Image     TorrentImage  `json:"image"`
	Infohash  string        `json:"infohash"` // of the image torrent: 40 lower-case hex digits
	Size      int64         `json:"size"`     // bytes of the image torrent
	Blobs     []TorrentBlob `json:"blobs"`    // in walk order
}

// TorrentImage is the root of the image.
type TorrentImage struct {
	Digest    digest.Digest `json:"digest"`
	MediaType string        `json:"mediaType"`
	Size      int64         `json:"size"`
}

// TorrentBlob is one blob and its layer torrent.
type TorrentBlob struct {
	Digest   digest.Digest `json:"digest"`
	Size     int64         `json:"size"`
	Infohash string        `json:"infohash,omitempty"` // none when Size is 0
}

// NewTorrentMap makes the map of an image, given the infohash of its image
// torrent and those of its blobs. Errors wrap [ErrBadManifest] when one is
// missing, [ErrTooLarge] when the map would exceed [MaxManifest].
func NewTorrentMap(img *Image, infohash string, blobs map[digest.Digest]string) (TorrentMap, error) {
	m := TorrentMap{
		MediaType: MediaTypeTorrents,
		Image:     TorrentImage{img.Root.Digest, img.Root.MediaType, img.Root.Size},
		Infohash:  infohash,
		Size:      LayoutSize(img),
		Blobs:     make([]TorrentBlob, 0, len(img.Blobs)),
	}
	for _, b := range img.Blobs {
		entry := TorrentBlob{Digest: b.Digest, Size: b.Size}
		if b.Size > 0 {
			entry.Infohash = blobs[b.Digest]
		}
		m.Blobs = append(m.Blobs, entry)
	}
	if err := m.check(); err != nil {
		return TorrentMap{}, err
	}
	if n := len(m.Encode()); n > MaxManifest {
		return TorrentMap{}, fmt.Errorf("%w: torrent map of %d bytes", ErrTooLarge, n)
	}
	return m, nil
}

// Encode returns the map's one encoding.
func (m TorrentMap) Encode() []byte {
	b, err := json.Marshal(m)
	if err != nil {
		panic(err) // strings and integers always marshal
	}
	return b
}

// ParseTorrentMap reads a map and accepts only the bytes that
// [TorrentMap.Encode] writes. Errors wrap [ErrBadManifest] or [ErrTooLarge].
func ParseTorrentMap(b []byte) (TorrentMap, error) {
	if len(b) > MaxManifest {
		return TorrentMap{}, fmt.Errorf("%w: torrent map of %d bytes", ErrTooLarge, len(b))
	}
	var m TorrentMap
	if err := json.Unmarshal(b, &m); err != nil {
		return TorrentMap{}, badManifest("reading torrent map: %w", err)
	}
	if err := m.check(); err != nil {
		return TorrentMap{}, err
	}
	if !bytes.Equal(m.Encode(), b) {
		return TorrentMap{}, badManifest("torrent map is not in its one encoding")
	}
	return m, nil
}

func (m TorrentMap) check() error {
	root := Descriptor{MediaType: m.Image.MediaType, Digest: m.Image.Digest, Size: m.Image.Size}
	if err := CheckDescriptor(root); err != nil {
		return err
	}
	switch {
	case m.MediaType != MediaTypeTorrents:
		return badManifest("media type %q is not that of a torrent map", clip(m.MediaType))
	case !isDocument(root.MediaType):
		return badManifest("image of media type %q", clip(root.MediaType))
	case !isInfohash(m.Infohash):
		return badManifest("infohash %q", clip(m.Infohash))
	case len(m.Blobs) == 0 || m.Blobs[0].Digest != root.Digest || m.Blobs[0].Size != root.Size:
		return badManifest("torrent map does not begin with the image's root")
	case len(m.Blobs) > MaxBlobs:
		return badManifest("%w: more than %d blobs", ErrTooLarge, MaxBlobs)
	}
	total, err := checkBlobs(m.Blobs)
	if err != nil {
		return err
	}
	if want := layoutSize(root, total); m.Size != want {
		return badManifest("torrent map of %d bytes in place of %d", m.Size, want)
	}
	return nil
}

// checkBlobs checks each blob, and that none is there twice, and adds them up.
func checkBlobs(blobs []TorrentBlob) (total int64, err error) {
	seen := make(map[digest.Digest]struct{}, len(blobs))
	for _, b := range blobs {
		if err := checkContent(b.Digest, b.Size); err != nil {
			return 0, err
		}
		if _, dup := seen[b.Digest]; dup {
			return 0, badManifest("%s is in the torrent map twice", b.Digest)
		}
		seen[b.Digest] = struct{}{}
		if b.Size == 0 && b.Infohash != "" || b.Size > 0 && !isInfohash(b.Infohash) {
			return 0, badManifest("infohash %q of %s", clip(b.Infohash), b.Digest)
		}
		if total += b.Size; total > MaxSize {
			return 0, badManifest("%w: more than %d bytes", ErrTooLarge, int64(MaxSize))
		}
	}
	return total, nil
}

func isInfohash(s string) bool {
	if len(s) != 40 {
		return false
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
