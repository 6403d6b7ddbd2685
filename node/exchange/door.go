package exchange

import (
	"context"
	"fmt"
	"os"

	"github.com/opencontainers/go-digest"
)

// OpenBlob opens a blob that an accepted image covers, for a door that hands it
// to somebody: what lies here without an accepted release stays here.
func (x *Exchange) OpenBlob(d digest.Digest) (*os.File, error) {
	if err := d.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	if !x.mayGiveBlob(context.Background(), d) {
		return nil, fmt.Errorf("%w: %s", ErrNotFound, d)
	}
	f, err := x.Blobs.Open(d)
	if notFound(err) {
		return nil, fmt.Errorf("%w: %s", ErrNotFound, d)
	}
	return f, err
}
