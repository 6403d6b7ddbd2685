package swarm

import (
	"context"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
)

// hashPrefix follows the verified start of a download and hashes it as it grows,
// so that the digest of the whole is known the moment the last piece is right.
// also sees the same bytes; it may be nil.
func hashPrefix(ctx context.Context, p *partial, alg digest.Algorithm, also io.Writer) (digest.Digest, error) {
	h := alg.Hash()
	w := io.Writer(h)
	if also != nil {
		w = io.MultiWriter(h, also)
	}
	buf := make([]byte, blockSize)
	for off := int64(0); off < p.layout.size; {
		have, err := p.waitPrefix(ctx, off)
		if err != nil {
			return "", err
		}
		if err := copyRange(ctx, w, p, buf, off, have); err != nil {
			return "", err
		}
		off = have
	}
	return digest.NewDigest(alg, h), nil
}

func copyRange(ctx context.Context, w io.Writer, p *partial, buf []byte, from, to int64) error {
	for from < to {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		b := buf[:min(int64(len(buf)), to-from)]
		if _, err := p.f.ReadAt(b, from); err != nil {
			return fmt.Errorf("reading download back at byte %d: %w", from, eofIsUnexpected(err))
		}
		if _, err := w.Write(b); err != nil {
			return fmt.Errorf("passing download on at byte %d: %w", from, err)
		}
		from += int64(len(b))
	}
	return nil
}
