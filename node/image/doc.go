// Package image knows what a container image is: references, manifests,
// indexes, platforms, and the order of an image's bytes in its torrents. It
// does no I/O of its own; documents come through a [Getter].
//
// # References
//
// A reference names a release: author/repo[:tag][@digest].
//
//	me/debian:12
//	alice/tools/build
//	bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy/app@sha256:…
//
// The first component is an author (me, a petname, or an author id); the rest
// follows the name grammar of the OCI distribution specification v1.1.
//
// # Documents
//
// Manifests and indexes are those of the OCI image specification v1.1
// (https://github.com/opencontainers/image-spec) and Docker's schema 2. They
// are read strictly: one that reads as both a manifest and an index, repeats
// a key, or spells a known key in another case is refused (CVE-2021-41190),
// and digests are checked before they can become a path (CVE-2024-3727).
// Properties the specification does not know are ignored, as it demands.
//
// # Walk order
//
// Depth first from the root: the document itself, then for an index each
// child in order, for a manifest its config and then its layers in order. The
// first occurrence of a digest wins. Non-distributable layers are left out
// and the urls of a descriptor are never followed. A subject is not part of
// the image that points to it.
//
// # Image torrent
//
// The files of an image's torrent form an OCI image layout, in this order:
//
//	oci-layout           {"imageLayoutVersion":"1.0.0"}
//	index.json           {"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":M,"digest":D,"size":S}]}
//	blobs/<alg>/<hex>    each distinct blob in walk order
//
// so that its infohash, the image's magnet link, is a function of the image's
// bytes alone.
//
// # Torrent map
//
// A torrent map ties an image to its torrents. It is a blob, compact JSON
// with its members in this order; a release commits to its digest.
//
//	{"mediaType":"application/vnd.dockchain.torrents.v1+json",
//	 "image":{"digest":D,"mediaType":M,"size":S},
//	 "infohash":H,
//	 "size":TOTAL,
//	 "blobs":[{"digest":D,"size":N,"infohash":H},…]}
//
// TOTAL is the length of the image torrent: the blobs, oci-layout and
// index.json. The blobs are in walk order; the infohash of an empty blob is
// omitted, since there is nothing to transfer.
package image

import (
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Errors of this package. They are wrapped with what was wrong.
var (
	ErrBadReference = errors.New("bad image reference")
	ErrBadManifest  = errors.New("bad manifest")
	ErrAmbiguous    = errors.New("ambiguous manifest") // reads in two ways; always together with ErrBadManifest
	ErrTooLarge     = errors.New("image exceeds limits")
	ErrNoPlatform   = errors.New("no such platform")
	ErrNotFound     = errors.New("document not found") // for Getters
)

// Limits of what is read from anybody.
const (
	MaxManifest  = 4 << 20  // bytes of one index, manifest, config or torrent map
	MaxChildren  = 10_000   // descriptors in one document
	MaxDepth     = 8        // documents on a path from the root
	MaxBlobs     = 20_000   // distinct blobs of an image
	MaxDocuments = 64 << 20 // bytes of all documents read in one walk
	MaxSize      = 1 << 50  // bytes of an image
)

// Descriptor names a blob by media type, digest and size in bytes.
type Descriptor = ocispec.Descriptor

func badManifest(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrBadManifest, fmt.Errorf(format, args...))
}

func ambiguous(format string, args ...any) error {
	return fmt.Errorf("%w: %w: %w", ErrBadManifest, ErrAmbiguous, fmt.Errorf(format, args...))
}

// CheckDigest reports whether d is a well-formed sha256 or sha512 digest in
// lower case: the only ones that may name a file or go to a peer.
func CheckDigest(d digest.Digest) error {
	if len(d) > 135 {
		return errors.New("digest too long")
	}
	if err := d.Validate(); err != nil {
		return fmt.Errorf("digest %q: %w", string(d), err)
	}
	if a := d.Algorithm(); a != digest.SHA256 && a != digest.SHA512 {
		return fmt.Errorf("digest %q: %w", string(d), digest.ErrDigestUnsupported)
	}
	return nil
}
