package store

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/dgraph-io/badger/v4"
	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/ledger"
)

// releasePrefix + infohash or digest + "/" + author + "/" + index in 16 hex
// digits; no value. Unlike the catalogue it remembers releases that a later one
// of the same tag has superseded: magnet links and digests do not expire.
const releasePrefix = "release-of/"

// maxReleases bounds the answers of ReleasesOf.
const maxReleases = 1000

// ReleaseAt is the place of a release in the network's ledger.
type ReleaseAt struct {
	Author ledger.AuthorID
	Index  uint64
}

// NoteReleases remembers under which infohash and digest the releases among
// these entries stand. It may be told the same again.
func (s *Store) NoteReleases(entries ...*ledger.Entry) error {
	if err := room(s.dir); err != nil {
		return fmt.Errorf("noting releases: %w", err)
	}
	defer s.hold()()
	if s.closed {
		return ErrClosed
	}
	batch := s.db.NewWriteBatch()
	defer batch.Cancel()
	for _, e := range entries {
		for _, key := range releaseKeys(e) {
			if err := batch.Set(key, nil); err != nil {
				return fmt.Errorf("noting a release: %w", err)
			}
		}
	}
	return batch.Flush()
}

// releaseKeys are those that an entry stands under; none if it is no release.
func releaseKeys(e *ledger.Entry) (keys [][]byte) {
	if e.Release == nil {
		return nil
	}
	for _, of := range []string{e.Release.Infohash, e.Release.Image.Digest.String()} {
		keys = append(keys, fmt.Appendf(nil, "%s%s/%s/%016x", releasePrefix, of, e.Author, e.Index))
	}
	return keys
}

// ReleasesOf finds the releases of an image torrent, ordered by author, the
// latest of each author first; none is no error.
func (s *Store) ReleasesOf(infohash string) ([]ReleaseAt, error) { return s.releasesOf(infohash) }

// ReleasesOfDigest finds the releases of an image by its root digest, in the
// same order.
func (s *Store) ReleasesOfDigest(d digest.Digest) ([]ReleaseAt, error) {
	return s.releasesOf(d.String())
}

func (s *Store) releasesOf(key string) ([]ReleaseAt, error) {
	var all []ReleaseAt
	err := s.view(func(txn *badger.Txn) error {
		start := 0 // of the present author's
		for rest := range each(txn, releasePrefix+key+"/", "", false) {
			author, hex, _ := strings.Cut(rest, "/")
			n, err := strconv.ParseUint(hex, 16, 64)
			if err != nil {
				return fmt.Errorf("reading %s%s/%s: %w", releasePrefix, key, rest, ErrCorrupt)
			}
			at := ReleaseAt{ledger.AuthorID(author), n}
			if start < len(all) && all[start].Author != at.Author {
				start = len(all)
			}
			all = append(all[:start], append([]ReleaseAt{at}, all[start:]...)...)
			if len(all) >= maxReleases {
				return nil
			}
		}
		return nil
	})
	return all, err
}
