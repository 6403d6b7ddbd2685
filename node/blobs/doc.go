// Package blobs keeps content files, named by their digests.
//
//	DIR/blobs/sha256/<hex>       whole and verified, mode 0400
//	DIR/blobs/sha512/<hex>
//	DIR/staging/put/<random>     being written by Put and Ingest
//	DIR/staging/fetch/<alg>-<hex>  being downloaded; survives a restart
//	DIR/staging/upload/<scope>-<id>  being uploaded by a client; survives a restart
//
// DIR/blobs has the shape of the blobs directory of an OCI image layout
// (https://github.com/opencontainers/image-spec, image-layout.md).
//
// A blob appears in one step: its bytes are written to staging while they are
// hashed, the digest is compared, the file is synced, renamed into place, and
// its directory synced. A crash at any point leaves either no blob or a whole
// one, and besides at most a file in staging, which Open removes if it is a
// torn write and keeps if it is a download. Once a call has returned without
// an error, the blob also survives a loss of power.
//
// What nobody needs goes by [Store.Collect]; who needs what is for its caller to say,
// and who relies on what right now is known here ([Store.Use], [Store.Lease]). The
// bytes of all files are bounded by [Limits].
//
// Only sha256 and sha512 digests in lower-case hex are names here; anything
// else is [ErrBadDigest] before it can become a path (CVE-2024-3727).
package blobs

import (
	"errors"
	"fmt"
	"slices"
	"syscall"

	"github.com/opencontainers/go-digest"
)

// Errors of this package. They are wrapped with the digest concerned.
var (
	ErrNotFound       = errors.New("blob not found")
	ErrBadDigest      = errors.New("bad digest")
	ErrDigestMismatch = errors.New("content does not match its digest")
	ErrSizeMismatch   = errors.New("content does not have its size")
	ErrNoSpace        = errors.New("no space left for blobs")      // wraps the system's error too, if there is one
	ErrQuota          = errors.New("the storage quota is used up") // a QuotaError says by how much

	ErrNoUpload       = errors.New("no such upload")
	ErrOffset         = errors.New("upload goes on elsewhere") // an OffsetError says where
	ErrUploadBusy     = errors.New("upload is being written to")
	ErrTooManyUploads = errors.New("too many uploads under way")
)

// checkDigest accepts what may name a file.
func checkDigest(d digest.Digest) error {
	if len(d) > len("sha512:")+128 {
		return fmt.Errorf("%w: %d bytes long", ErrBadDigest, len(d))
	}
	if err := d.Validate(); err != nil {
		return fmt.Errorf("%w %q: %w", ErrBadDigest, string(d), err)
	}
	return checkAlgorithm(d.Algorithm())
}

func checkAlgorithm(a digest.Algorithm) error {
	if !slices.Contains(algorithms, a) {
		return fmt.Errorf("%w: algorithm %q", ErrBadDigest, string(a))
	}
	return nil
}

// noSpace marks a full disk, or quota, as [ErrNoSpace].
func noSpace(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	}
	return err
}
