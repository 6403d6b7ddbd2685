package store

import (
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"
	"github.com/opencontainers/go-digest"
)

const (
	torrentPrefix   = "torrent/"    // + infohash -> torrentRecord
	infoPrefix      = "info/"       // + infohash -> the info dictionary, raw
	torrentOfPrefix = "torrent-of/" // + kind + "/" + digest -> infohash, raw
)

// TorrentKind says what a torrent carries.
type TorrentKind string

// The kinds of torrents.
const (
	LayerTorrent TorrentKind = "layer" // one blob
	ImageTorrent TorrentKind = "image" // a whole image in the OCI layout
)

// maxInfo bounds an info dictionary in bytes.
const maxInfo = 16 << 20

// Torrent is a torrent this node can seed, or knew how to.
type Torrent struct {
	Infohash string        // 40 lower-case hex characters
	Info     []byte        // the bencoded info dictionary whose SHA-1 is Infohash
	Digest   digest.Digest // of the blob, or of the image's root document
	Kind     TorrentKind
	Size     int64 // of the content in bytes
}

type torrentRecord struct {
	Digest digest.Digest `json:"digest"`
	Kind   TorrentKind   `json:"kind"`
	Size   int64         `json:"size"`
}

// PutTorrent stores t, replacing one of the same infohash; atomic. The caller
// vouches that Info hashes to Infohash.
func (s *Store) PutTorrent(t Torrent) error {
	if err := t.validate(); err != nil {
		return fmt.Errorf("storing torrent %s: %w", t.Infohash, err)
	}
	return s.update(func(txn *badger.Txn) error {
		return errors.Join(
			putJSON(txn, torrentPrefix+t.Infohash, torrentRecord{t.Digest, t.Kind, t.Size}),
			txn.Set([]byte(infoPrefix+t.Infohash), t.Info),
			txn.Set([]byte(torrentOf(t.Kind, t.Digest)), []byte(t.Infohash)),
		)
	})
}

func (t Torrent) validate() error {
	switch {
	case checkInfohash(t.Infohash) != nil:
		return checkInfohash(t.Infohash)
	case t.Digest.Validate() != nil:
		return fmt.Errorf("%w: digest", ErrInvalid)
	case t.Kind != LayerTorrent && t.Kind != ImageTorrent:
		return fmt.Errorf("%w: kind", ErrInvalid)
	case len(t.Info) == 0 || len(t.Info) > maxInfo || t.Size < 0:
		return fmt.Errorf("%w: size", ErrInvalid)
	}
	return nil
}

func checkInfohash(ih string) error {
	if b, err := hex.DecodeString(ih); err != nil || len(b) != 20 || hex.EncodeToString(b) != ih {
		return fmt.Errorf("%w: infohash", ErrInvalid)
	}
	return nil
}

func torrentOf(k TorrentKind, d digest.Digest) string {
	return torrentOfPrefix + string(k) + "/" + d.String()
}

// Torrent gives the torrent of an infohash, or ErrNotFound.
func (s *Store) Torrent(infohash string) (Torrent, error) {
	var t Torrent
	err := s.view(func(txn *badger.Txn) (err error) {
		t, err = torrent(txn, infohash)
		return err
	})
	if err != nil {
		return Torrent{}, fmt.Errorf("torrent %s: %w", infohash, err)
	}
	return t, nil
}

// TorrentOf gives the torrent of a blob, or of an image, or ErrNotFound.
func (s *Store) TorrentOf(kind TorrentKind, d digest.Digest) (Torrent, error) {
	var t Torrent
	err := s.view(func(txn *badger.Txn) error {
		ih, err := getBytes(txn, torrentOf(kind, d))
		if err != nil {
			return err
		}
		t, err = torrent(txn, string(ih))
		return err
	})
	if err != nil {
		return Torrent{}, fmt.Errorf("%s torrent of %s: %w", kind, d, err)
	}
	return t, nil
}

func torrent(txn *badger.Txn, infohash string) (Torrent, error) {
	var r torrentRecord
	if err := getJSON(txn, torrentPrefix+infohash, &r); err != nil {
		return Torrent{}, err
	}
	info, err := getBytes(txn, infoPrefix+infohash)
	if err != nil {
		return Torrent{}, err
	}
	return Torrent{infohash, info, r.Digest, r.Kind, r.Size}, nil
}

// AllTorrents lists the torrents by infohash, without their info dictionaries.
func (s *Store) AllTorrents() ([]Torrent, error) {
	var all []Torrent
	err := s.view(func(txn *badger.Txn) error {
		for ih, item := range each(txn, torrentPrefix, "", true) {
			var r torrentRecord
			if err := item.Value(func(b []byte) error { return decode(torrentPrefix+ih, b, &r) }); err != nil {
				return err
			}
			all = append(all, Torrent{Infohash: ih, Digest: r.Digest, Kind: r.Kind, Size: r.Size})
		}
		return nil
	})
	return all, err
}

// DeleteTorrents forgets torrents, each as a whole. What is not there is no error.
func (s *Store) DeleteTorrents(ts ...Torrent) error {
	const step = 256 // in one transaction
	for ; len(ts) > 0; ts = ts[min(step, len(ts)):] {
		err := s.delete(func(txn *badger.Txn) error {
			for _, t := range ts[:min(step, len(ts))] {
				if err := deleteTorrent(txn, t); err != nil {
					return fmt.Errorf("forgetting torrent %s: %w", t.Infohash, err)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func deleteTorrent(txn *badger.Txn, t Torrent) error {
	errs := []error{txn.Delete([]byte(torrentPrefix + t.Infohash)), txn.Delete([]byte(infoPrefix + t.Infohash))}
	of, err := getBytes(txn, torrentOf(t.Kind, t.Digest))
	if err == nil && string(of) == t.Infohash {
		errs = append(errs, txn.Delete([]byte(torrentOf(t.Kind, t.Digest))))
	} else if !errors.Is(err, ErrNotFound) {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
