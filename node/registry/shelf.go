package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/node/kv"
)

// shelf is what lies in which repository; the package comment has its keys.
type shelf struct {
	bucket kv.Bucket
	writes *batcher
	now    func() time.Time
}

func newShelf(bucket kv.Bucket, now func() time.Time) *shelf {
	return &shelf{bucket: bucket, writes: &batcher{bucket: bucket}, now: now}
}

// Records of the shelf.
type (
	repoRecord struct {
		Created       time.Time `json:"created"`
		PublishOnPush bool      `json:"publish_on_push,omitempty"`
	}
	tagRecord struct {
		Digest digest.Digest `json:"digest"`
		Time   time.Time     `json:"time"`
	}
	manifestRecord struct {
		MediaType    string        `json:"media_type"`
		Size         int64         `json:"size"`
		ArtifactType string        `json:"artifact_type,omitempty"`
		Subject      digest.Digest `json:"subject,omitempty"`
		Time         time.Time     `json:"time"`
	}
)

// Kinds of tombstones.
const (
	goneTag      = ":tag:"
	goneManifest = ":manifest:"
	goneBlob     = ":blob:"
)

func repoKey(name string) string                         { return "repo/" + name }
func tagKey(name, tag string) string                     { return "tag/" + name + ":" + tag }
func manifestKey(name string, d digest.Digest) string    { return "manifest/" + name + ":" + d.String() }
func linkKey(name string, d digest.Digest) string        { return "link/" + name + ":" + d.String() }
func usedKey(d digest.Digest, name string) string        { return "used/" + d.String() + ":" + name }
func referrerKey(name string, s, d digest.Digest) string { return referrersOf(name, s) + d.String() }
func referrersOf(name string, s digest.Digest) string {
	return "referrer/" + name + ":" + s.String() + ":"
}
func goneKey(name, kind, what string) string { return "gone/" + name + kind + what }
func pendingKey(name, tag string) string     { return "pending/" + name + ":" + tag }

// load reads a record; ok says whether there is one.
func load(tx kv.Txn, key string, into any) (ok bool, err error) {
	b, err := tx.Get(key)
	if errors.Is(err, kv.ErrNotFound) {
		return false, nil
	}
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	if err != nil {
		return false, fmt.Errorf("reading %s: %w", key, err)
	}
	return true, nil
}

func save(tx kv.Txn, key string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return tx.Set(key, b)
}

func has(tx kv.Txn, key string) (bool, error) {
	_, err := tx.Get(key)
	if errors.Is(err, kv.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// found is a manifest under a name.
type found struct {
	manifestRecord
	digest digest.Digest
}

// manifest looks a reference up. Gone says that it was deleted here.
func (s *shelf) manifest(name string, ref reference) (m found, ok, gone bool, err error) {
	err = s.bucket.View(func(tx kv.Txn) error {
		m.digest = ref.digest
		if ref.tag != "" {
			var t tagRecord
			if ok, err = load(tx, tagKey(name, ref.tag), &t); err != nil {
				return err
			}
			if !ok {
				gone, err = has(tx, goneKey(name, goneTag, ref.tag))
				return err
			}
			m.digest = t.Digest
		}
		if ok, err = load(tx, manifestKey(name, m.digest), &m.manifestRecord); ok || err != nil {
			return err
		}
		gone, err = has(tx, goneKey(name, goneManifest, m.digest.String()))
		return err
	})
	return m, ok, gone, err
}

// linked tells whether a blob may be read under a name, and its size in bytes.
func (s *shelf) linked(name string, d digest.Digest) (size int64, ok, gone bool, err error) {
	err = s.bucket.View(func(tx kv.Txn) error {
		if size, ok, err = linkOf(tx, name, d); ok || err != nil {
			return err
		}
		gone, err = has(tx, goneKey(name, goneBlob, d.String()))
		return err
	})
	return size, ok, gone, err
}

func linkOf(tx kv.Txn, name string, d digest.Digest) (int64, bool, error) {
	b, err := tx.Get(linkKey(name, d))
	if errors.Is(err, kv.ErrNotFound) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	size, _, err := parseLink(b)
	return size, err == nil, err
}

// link lets a blob be read under a name.
func (s *shelf) link(name string, d digest.Digest, size int64) error {
	return s.writes.update(func(tx kv.Txn) error { return s.addLink(tx, name, d, size) })
}

func (s *shelf) addLink(tx kv.Txn, name string, d digest.Digest, size int64) error {
	known, err := s.knows(tx, name)
	if err != nil {
		return err
	}
	return errors.Join(
		s.greet(tx, name, known),
		tx.Set(linkKey(name, d), encodeLink(size, s.now())),
		tx.Set(usedKey(d, name), nil),
		tx.Delete(goneKey(name, goneBlob, d.String())),
	)
}

func (s *shelf) knows(tx kv.Txn, name string) (bool, error) { return has(tx, repoKey(name)) }

// greet makes a repository that is not known yet.
func (s *shelf) greet(tx kv.Txn, name string, known bool) error {
	if known {
		return nil
	}
	return save(tx, repoKey(name), repoRecord{Created: s.now().UTC()})
}

// mount links a blob that another repository has, or any if from is empty. The
// answer says which.
func (s *shelf) mount(name, from string, d digest.Digest) (source string, size int64, err error) {
	err = s.writes.update(func(tx kv.Txn) error {
		source, size = "", 0
		var ok bool
		for _, candidate := range s.holders(tx, from, d) {
			if size, ok, err = linkOf(tx, candidate, d); err != nil {
				return err
			}
			if ok {
				source = candidate
				return s.addLink(tx, name, d, size)
			}
		}
		return tx.Err()
	})
	return source, size, err
}

// holders are the repositories that a blob may be mounted from.
func (s *shelf) holders(tx kv.Txn, from string, d digest.Digest) []string {
	if from != "" {
		return []string{from}
	}
	for name := range tx.Each("used/"+d.String()+":", "") {
		return []string{name}
	}
	return nil
}

// unlink takes a blob out of a repository. With a tombstone it stays away.
func (s *shelf) unlink(name string, d digest.Digest, tombstone bool) (ok bool, err error) {
	err = s.writes.update(func(tx kv.Txn) error {
		if ok, err = has(tx, linkKey(name, d)); err != nil || !ok && !tombstone {
			return err
		}
		errs := []error{tx.Delete(linkKey(name, d)), tx.Delete(usedKey(d, name))}
		if tombstone {
			errs = append(errs, s.bury(tx, name, goneBlob, d.String()))
		}
		return errors.Join(errs...)
	})
	return ok, err
}

func (s *shelf) bury(tx kv.Txn, name, kind, what string) error {
	return tx.Set(goneKey(name, kind, what), s.now().UTC().AppendFormat(nil, time.RFC3339))
}

// known tells whether there is a repository.
func (s *shelf) known(name string) (ok bool, err error) {
	err = s.bucket.View(func(tx kv.Txn) error {
		ok, err = s.knows(tx, name)
		return err
	})
	return ok, err
}

// list is a page of keys below a prefix, from the first after last. More says that
// there is another page.
func (s *shelf) list(prefix, last string, n int, keep func(key string, value []byte) bool) (keys []string, more bool, err error) {
	keys = []string{}
	from := ""
	if last != "" {
		from = last + "\x00" // the least that is greater
	}
	err = s.bucket.View(func(tx kv.Txn) error {
		for key, value := range tx.Each(prefix, from) {
			if !keep(key, value) {
				continue
			}
			if more = len(keys) == n; more {
				break
			}
			keys = append(keys, key)
		}
		return tx.Err()
	})
	return keys, more, err
}

// isTag passes over what cannot be the rest of a tag's key.
func isTag(key string, _ []byte) bool { return !strings.ContainsAny(key, "/:") }

// referrers are a page of the manifests that refer to a subject, of one artifact
// type if that is given.
func (s *shelf) referrers(name string, subject digest.Digest, last string, n int, artifactType string) (all []found, more bool, err error) {
	from := ""
	if last != "" {
		from = last + "\x00"
	}
	err = s.bucket.View(func(tx kv.Txn) error {
		for key := range tx.Each(referrersOf(name, subject), from) {
			m := found{digest: digest.Digest(key)}
			ok, err := load(tx, manifestKey(name, m.digest), &m.manifestRecord)
			if err != nil {
				return err
			}
			if !ok || artifactType != "" && m.ArtifactType != artifactType {
				continue
			}
			if more = len(all) == n; more {
				break
			}
			all = append(all, m)
		}
		return tx.Err()
	})
	return all, more, err
}
