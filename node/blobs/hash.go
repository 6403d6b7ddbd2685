package blobs

import (
	"context"
	"fmt"
	"io"

	// The hashes behind the algorithms of go-digest.
	_ "crypto/sha256"
	_ "crypto/sha512"

	"github.com/opencontainers/go-digest"
)

// chunk is how much is read at once, and how soon a context is obeyed.
const chunk = 256 << 10

// hash reads r to its end.
func hash(ctx context.Context, alg digest.Algorithm, r io.Reader) (digest.Digest, int64, error) {
	h := alg.Hash()
	n, err := io.CopyBuffer(h, contextReader{ctx, r}, make([]byte, chunk))
	if err != nil {
		return "", n, err
	}
	return digest.NewDigest(alg, h), n, nil
}

// contextReader ends with the error of its context.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

func compare(got, want digest.Digest) error {
	if got != want {
		return fmt.Errorf("%w: %s has the content of %s", ErrDigestMismatch, want, got)
	}
	return nil
}

// compareSize compares sizes in bytes; a want of -1 is any.
func compareSize(d digest.Digest, got, want int64) error {
	if want >= 0 && got != want {
		return fmt.Errorf("%w: %s has %d bytes in place of %d", ErrSizeMismatch, d, got, want)
	}
	return nil
}
