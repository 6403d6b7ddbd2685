package store

import (
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const heldPrefix = "held/" // + infohash -> Held

// Held is an image that is here whole and that some accepted release covers:
// the stock of what this node seeds. Names are the ledger's business.
type Held struct {
	Infohash string             `json:"infohash"` // of the image torrent
	Root     ocispec.Descriptor `json:"root"`     // its first document
	Map      digest.Digest      `json:"map"`      // of its torrent map
	Size     int64              `json:"size"`     // of the layout in bytes
	Added    time.Time          `json:"added"`
}

func (h Held) validate() error {
	switch {
	case checkInfohash(h.Infohash) != nil:
		return checkInfohash(h.Infohash)
	case h.Root.Digest.Validate() != nil || h.Map.Validate() != nil:
		return fmt.Errorf("%w: digest", ErrInvalid)
	case h.Size < 0:
		return fmt.Errorf("%w: size", ErrInvalid)
	}
	return nil
}

// PutHeld adds an image to the stock, or replaces its record.
func (s *Store) PutHeld(h Held) error {
	if err := h.validate(); err != nil {
		return fmt.Errorf("storing image %s: %w", h.Infohash, err)
	}
	return s.update(func(txn *badger.Txn) error { return putJSON(txn, heldPrefix+h.Infohash, h) })
}

// DeleteHeld removes an image from the stock. One that is not there is no error.
func (s *Store) DeleteHeld(infohash string) error {
	return s.delete(func(txn *badger.Txn) error { return txn.Delete([]byte(heldPrefix + infohash)) })
}

// AllHeld lists the stock by infohash.
func (s *Store) AllHeld() ([]Held, error) {
	var all []Held
	err := s.view(func(txn *badger.Txn) error {
		for ih, item := range each(txn, heldPrefix, "", true) {
			var h Held
			if err := item.Value(func(b []byte) error { return decode(heldPrefix+ih, b, &h) }); err != nil {
				return err
			}
			all = append(all, h)
		}
		return nil
	})
	return all, err
}
