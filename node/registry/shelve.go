package registry

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/node/image"
	"github.com/dockchains/dockchain/node/kv"
)

// push is a manifest to be put on the shelf.
type push struct {
	name     string
	mine     bool
	digest   digest.Digest
	size     int64
	document *image.Document
	tags     []string
	// adopted are blobs of this node's releases that the manifest refers to: clients
	// see them under the name, and do not push them again.
	adopted map[digest.Digest]int64
}

// put checks that what a manifest refers to is in its repository, and makes its
// records. Queued says that it is to be published.
func (s *shelf) put(p push) (queued bool, err error) {
	err = s.writes.update(func(tx kv.Txn) error {
		queued = false
		if err := s.checkReferences(tx, p); err != nil {
			return err
		}
		var repo repoRecord
		known, err := load(tx, repoKey(p.name), &repo)
		if err != nil {
			return err
		}
		queued = p.mine && repo.PublishOnPush && len(p.tags) > 0
		errs := []error{s.greet(tx, p.name, known), s.write(tx, p), s.writeTags(tx, p, queued)}
		for d, size := range p.adopted {
			errs = append(errs, s.addLink(tx, p.name, d, size))
		}
		return errors.Join(errs...)
	})
	return queued, err
}

func (s *shelf) write(tx kv.Txn, p push) error {
	m := manifestRecord{
		MediaType: p.document.MediaType, Size: p.size, ArtifactType: artifactType(p.document), Time: s.now().UTC(),
	}
	errs := []error{tx.Delete(goneKey(p.name, goneManifest, p.digest.String()))}
	if p.document.Subject != nil {
		m.Subject = p.document.Subject.Digest
		errs = append(errs, tx.Set(referrerKey(p.name, m.Subject, p.digest), nil))
	}
	return errors.Join(append(errs, save(tx, manifestKey(p.name, p.digest), m))...)
}

func (s *shelf) writeTags(tx kv.Txn, p push, queued bool) error {
	var errs []error
	for _, tag := range p.tags {
		errs = append(errs,
			tx.Delete(goneKey(p.name, goneTag, tag)),
			save(tx, tagKey(p.name, tag), tagRecord{Digest: p.digest, Time: s.now().UTC()}),
		)
		if queued {
			errs = append(errs, save(tx, pendingKey(p.name, tag), pendingRecord{Digest: p.digest, Since: s.now().UTC()}))
		}
	}
	return errors.Join(errs...)
}

// artifactType is what referrers are filtered by: that of the document, else of a
// manifest's config.
func artifactType(doc *image.Document) string {
	if doc.ArtifactType == "" && doc.Config != nil {
		return doc.Config.MediaType
	}
	return doc.ArtifactType
}

// checkReferences wants everything in the repository that a manifest refers to,
// but for its subject and for layers that may not be distributed. Their urls are
// nothing to us (CVE-2020-15157).
func (s *shelf) checkReferences(tx kv.Txn, p push) error {
	for _, d := range references(p.document) {
		if image.IsForeign(d.MediaType) {
			continue
		}
		size, ok, err := linkOf(tx, p.name, d.Digest)
		if err != nil {
			return err
		}
		if !ok {
			size, ok = p.adopted[d.Digest]
		}
		if !ok {
			var m manifestRecord
			if ok, err = load(tx, manifestKey(p.name, d.Digest), &m); err != nil {
				return err
			}
			size = m.Size
		}
		if !ok {
			return refusal(http.StatusNotFound, "MANIFEST_BLOB_UNKNOWN", "the manifest refers to what was not pushed here: "+d.Digest.String())
		}
		if size != d.Size {
			return badManifest(fmt.Sprintf("%s has %d bytes, not %d", d.Digest, size, d.Size))
		}
	}
	return nil
}

// references are the descriptors in a document.
func references(doc *image.Document) []image.Descriptor {
	var all []image.Descriptor
	if doc.Config != nil {
		all = append(all, *doc.Config)
	}
	return append(append(all, doc.Layers...), doc.Manifests...)
}

// untag deletes a tag. With a tombstone it stays away.
func (s *shelf) untag(name, tag string, tombstone bool) (ok bool, err error) {
	err = s.writes.update(func(tx kv.Txn) error {
		if ok, err = has(tx, tagKey(name, tag)); err != nil || !ok && !tombstone {
			return err
		}
		errs := []error{tx.Delete(tagKey(name, tag)), tx.Delete(pendingKey(name, tag))}
		if tombstone {
			errs = append(errs, s.bury(tx, name, goneTag, tag))
		}
		return errors.Join(errs...)
	})
	return ok, err
}

// maxUntag is how many tags are deleted in one transaction.
const maxUntag = 2000

// remove deletes a manifest with the tags that mean it. Tags go first, should they
// be too many for one transaction: the manifest goes with the last of them.
func (s *shelf) remove(name string, d digest.Digest, tombstone bool) (ok bool, err error) {
	for more := true; more; {
		err = s.writes.update(func(tx kv.Txn) error {
			var m manifestRecord
			var tags []string
			if ok, err = load(tx, manifestKey(name, d), &m); err != nil || !ok && !tombstone {
				more = false
				return err
			}
			if tags, more, err = tagsOf(tx, name, d); err != nil {
				return err
			}
			var errs []error
			for _, tag := range tags {
				errs = append(errs, tx.Delete(tagKey(name, tag)), tx.Delete(pendingKey(name, tag)))
				if tombstone {
					errs = append(errs, s.bury(tx, name, goneTag, tag))
				}
			}
			if !more {
				errs = append(errs, s.removeRecord(tx, name, d, m, tombstone))
			}
			return errors.Join(errs...)
		})
		if err != nil {
			return false, err
		}
	}
	return ok, err
}

func (s *shelf) removeRecord(tx kv.Txn, name string, d digest.Digest, m manifestRecord, tombstone bool) error {
	errs := []error{tx.Delete(manifestKey(name, d))}
	if m.Subject != "" {
		errs = append(errs, tx.Delete(referrerKey(name, m.Subject, d)))
	}
	if tombstone {
		errs = append(errs, s.bury(tx, name, goneManifest, d.String()))
	}
	return errors.Join(errs...)
}

// tagsOf are those of a repository that mean a manifest, as many as go into one
// transaction.
func tagsOf(tx kv.Txn, name string, d digest.Digest) (tags []string, more bool, err error) {
	prefix := tagKey(name, "")
	for tag := range tx.Each(prefix, "") {
		var t tagRecord
		if _, err := load(tx, prefix+tag, &t); err != nil {
			return nil, false, err
		}
		if t.Digest != d {
			continue
		}
		if len(tags) == maxUntag {
			return tags, true, nil
		}
		tags = append(tags, tag)
	}
	return tags, false, tx.Err()
}
