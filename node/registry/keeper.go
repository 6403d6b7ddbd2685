package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/node/blobs"
	"github.com/dockchains/dockchain/node/image"
	"github.com/dockchains/dockchain/node/kv"
)

// Keeper tells the collector of files (package exchange) what the shelf needs. It
// has records and files alone, so that it can be there before a Registry is.
type Keeper struct {
	shelf *shelf
	blobs *blobs.Store
}

// NewKeeper reads the shelf in a bucket.
func NewKeeper(bucket kv.Bucket, b *blobs.Store) *Keeper {
	return &Keeper{shelf: newShelf(bucket, time.Now), blobs: b}
}

// maxUnlink is how many links go in one transaction.
const maxUnlink = 500

// Needs tells need what the shelf needs: all manifests, tagged or not, and what is
// linked to a repository because a manifest there refers to it, or because it came
// after before and its manifest may be on its way. Other links are taken away and
// told to unlinked; with dry they are only told.
//
// A client that looked for a blob and found it may count on it: that is what
// blobs.Store.Use is asked for on the way of every request. A push of a manifest and
// what is taken away here are in order, because both are transactions.
func (k *Keeper) Needs(ctx context.Context, before time.Time, dry bool, need func(digest.Digest), unlinked func(repo string, d digest.Digest)) error {
	repos, err := k.repositories()
	if err != nil {
		return fmt.Errorf("reading the shelf: %w", err)
	}
	for _, name := range repos {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := k.needsOf(name, before, dry, need, unlinked); err != nil {
			return fmt.Errorf("reading repository %s: %w", name, err)
		}
	}
	return nil
}

func (k *Keeper) repositories() (names []string, err error) {
	seen := map[string]bool{}
	err = k.shelf.bucket.View(func(tx kv.Txn) error {
		for _, prefix := range []string{"repo/", "manifest/", "link/"} {
			for key := range tx.Each(prefix, "") {
				name, _, _ := strings.Cut(key, ":") // names have no colon
				if !seen[name] {
					seen[name] = true
					names = append(names, name)
				}
			}
		}
		return tx.Err()
	})
	return names, err
}

func (k *Keeper) needsOf(name string, before time.Time, dry bool, need func(digest.Digest), unlinked func(string, digest.Digest)) error {
	referred, whole := map[digest.Digest]bool{}, true
	var candidates []digest.Digest
	err := k.shelf.bucket.View(func(tx kv.Txn) error {
		for key := range tx.Each(manifestKey(name, ""), "") {
			d := digest.Digest(key)
			need(d)
			if err := k.refer(d, referred); err != nil {
				whole = false // what it refers to is not known: no link goes
			}
		}
		for key, value := range tx.Each(linkKey(name, ""), "") {
			d := digest.Digest(key)
			if _, at, err := parseLink(value); whole && err == nil && !referred[d] && at.Before(before) && k.blobs.IsIdle(d, before) {
				candidates = append(candidates, d)
				continue
			}
			need(d)
		}
		return tx.Err()
	})
	if err != nil {
		return err
	}
	for len(candidates) > 0 {
		n := min(len(candidates), maxUnlink)
		if err := k.unlink(name, candidates[:n], before, dry, need, unlinked); err != nil {
			return err
		}
		candidates = candidates[n:]
	}
	return nil
}

// unlink takes links away that nobody came to rely on meanwhile.
func (k *Keeper) unlink(name string, ds []digest.Digest, before time.Time, dry bool, need func(digest.Digest), unlinked func(string, digest.Digest)) error {
	going := ds
	if !dry {
		err := k.shelf.writes.update(func(tx kv.Txn) error {
			going = nil
			var errs []error
			for _, d := range ds {
				value, err := tx.Get(linkKey(name, d))
				if errors.Is(err, kv.ErrNotFound) {
					continue
				}
				if err != nil {
					return err
				}
				if _, at, err := parseLink(value); err != nil || !at.Before(before) || !k.blobs.IsIdle(d, before) {
					continue
				}
				going = append(going, d)
				errs = append(errs, tx.Delete(linkKey(name, d)), tx.Delete(usedKey(d, name)))
			}
			return errors.Join(errs...)
		})
		if err != nil {
			return err
		}
	}
	gone := map[digest.Digest]bool{}
	for _, d := range going {
		gone[d] = true
		unlinked(name, d)
	}
	for _, d := range ds {
		if !gone[d] {
			need(d)
		}
	}
	return nil
}

// refer adds what a manifest refers to.
func (k *Keeper) refer(d digest.Digest, referred map[digest.Digest]bool) error {
	size, err := k.blobs.Stat(d)
	if err == nil && size > image.MaxManifest {
		err = image.ErrTooLarge
	}
	if err != nil {
		return err
	}
	b, err := readDocument(found{manifestRecord{Size: size}, d}, func() (io.ReadCloser, error) { return k.blobs.Open(d) })
	if err != nil {
		return err
	}
	doc, err := image.Parse("", b)
	if err != nil {
		return err
	}
	for _, r := range references(doc) {
		referred[r.Digest] = true
	}
	return nil
}

// encodeLink is the value of a link: the size of the blob in bytes, and when it was
// linked in seconds since 1970.
func encodeLink(size int64, at time.Time) []byte {
	return strconv.AppendInt(append(strconv.AppendInt(nil, size, 10), ' '), at.Unix(), 10)
}

// parseLink reads it; an older program did not say when.
func parseLink(b []byte) (size int64, at time.Time, err error) {
	first, second, dated := strings.Cut(string(b), " ")
	if size, err = strconv.ParseInt(first, 10, 64); err != nil || !dated {
		return size, time.Time{}, err
	}
	seconds, err := strconv.ParseInt(second, 10, 64)
	return size, time.Unix(seconds, 0), err
}
