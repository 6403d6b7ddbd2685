package registry

import (
	"context"
	"errors"
	"fmt"

	"github.com/dockchains/dockchain/node/exchange"
	"github.com/dockchains/dockchain/node/kv"
)

// Repos lists the repositories of this node, by name.
func (r *Registry) Repos(ctx context.Context) ([]exchange.Repository, error) {
	all := []exchange.Repository{}
	err := r.shelf.bucket.View(func(tx kv.Txn) error {
		for name := range tx.Each("repo/", "") {
			if err := ctx.Err(); err != nil {
				return err
			}
			repo, err := r.shelf.describe(tx, name, false)
			if err != nil {
				return err
			}
			all = append(all, repo)
		}
		return tx.Err()
	})
	return all, err
}

// Repo describes one with its tags, or gives exchange.ErrNotFound.
func (r *Registry) Repo(_ context.Context, name string) (repo exchange.Repository, err error) {
	parsed, err := r.localName(name)
	if err != nil {
		return repo, err
	}
	err = r.shelf.bucket.View(func(tx kv.Txn) error {
		repo, err = r.shelf.describe(tx, parsed.name, true)
		return err
	})
	return repo, err
}

// SetRepo changes settings. A repository that is not there yet is made.
func (r *Registry) SetRepo(ctx context.Context, name string, set exchange.RepositorySettings) (exchange.Repository, error) {
	parsed, err := r.localName(name)
	if err != nil {
		return exchange.Repository{}, err
	}
	if set.PublishOnPush != nil && *set.PublishOnPush && parsed.owner != ownMine {
		return exchange.Repository{}, fmt.Errorf("%w: only what is under me/ can be published on push: %s", exchange.ErrBadRequest, name)
	}
	err = r.shelf.writes.update(func(tx kv.Txn) error {
		rec := repoRecord{Created: r.Now().UTC()}
		if _, err := load(tx, repoKey(parsed.name), &rec); err != nil {
			return err
		}
		if set.PublishOnPush != nil {
			rec.PublishOnPush = *set.PublishOnPush
		}
		return save(tx, repoKey(parsed.name), rec)
	})
	if err != nil {
		return exchange.Repository{}, err
	}
	return r.Repo(ctx, name)
}

// RemoveRepo forgets everything that was pushed to a repository, and what
// was deleted of it. Releases stay, and are seen again.
func (r *Registry) RemoveRepo(ctx context.Context, name string) error {
	parsed, err := r.localName(name)
	if err != nil {
		return err
	}
	known, err := r.shelf.known(parsed.name)
	if err != nil {
		return err
	}
	if !known {
		return fmt.Errorf("%w: repository %s", exchange.ErrNotFound, name)
	}
	return r.shelf.clear(ctx, parsed.name)
}

// localName is that of a repository that can be pushed to.
func (r *Registry) localName(name string) (repository, error) {
	parsed, err := r.parseRepository(name)
	if refused := asRefusal(err); refused != nil {
		return parsed, fmt.Errorf("%w: %s", exchange.ErrBadRequest, refused.Message)
	}
	if err == nil && !parsed.writable() {
		err = fmt.Errorf("%w: %s is not a repository of this node", exchange.ErrNotFound, name)
	}
	return parsed, err
}

func (s *shelf) describe(tx kv.Txn, name string, whole bool) (exchange.Repository, error) {
	var rec repoRecord
	ok, err := load(tx, repoKey(name), &rec)
	if err == nil && !ok {
		err = fmt.Errorf("%w: repository %s", exchange.ErrNotFound, name)
	}
	if err != nil {
		return exchange.Repository{}, err
	}
	repo := exchange.Repository{Name: name, Created: rec.Created, PublishOnPush: rec.PublishOnPush}
	for tag := range tx.Each(tagKey(name, ""), "") {
		repo.TagCount++
		if !whole {
			continue
		}
		t, err := s.describeTag(tx, name, tag)
		if err != nil {
			return repo, err
		}
		repo.Tags = append(repo.Tags, t)
	}
	for range tx.Each(pendingKey(name, ""), "") {
		repo.Waiting++
	}
	return repo, tx.Err()
}

func (s *shelf) describeTag(tx kv.Txn, name, tag string) (exchange.RepositoryTag, error) {
	var rec tagRecord
	var m manifestRecord
	var p pendingRecord
	_, err := load(tx, tagKey(name, tag), &rec)
	if err == nil {
		_, err = load(tx, manifestKey(name, rec.Digest), &m)
	}
	t := exchange.RepositoryTag{Tag: tag, Digest: rec.Digest.String(), MediaType: m.MediaType, Size: m.Size, Pushed: rec.Time}
	if err == nil {
		t.Waiting, err = load(tx, pendingKey(name, tag), &p)
		t.Tries, t.Error = p.Tries, p.Error
	}
	return t, err
}

// clearStep is how many records go in one transaction.
const clearStep = 2000

// clear forgets a repository. Its record goes last, so that what a crash leaves
// can be cleared again.
func (s *shelf) clear(ctx context.Context, name string) error {
	for _, prefix := range []string{"tag/", "pending/", "referrer/", "manifest/", "link/", "gone/"} {
		for more := true; more; {
			if err := ctx.Err(); err != nil {
				return err
			}
			err := s.writes.update(func(tx kv.Txn) (err error) {
				more, err = clearSome(tx, prefix+name+":", prefix == "link/", name)
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return s.writes.update(func(tx kv.Txn) error { return tx.Delete(repoKey(name)) })
}

func clearSome(tx kv.Txn, prefix string, links bool, name string) (more bool, err error) {
	var keys []string
	for key := range tx.Each(prefix, "") {
		if more = len(keys) == clearStep; more {
			break
		}
		keys = append(keys, key)
	}
	if err := tx.Err(); err != nil {
		return false, err
	}
	var errs []error
	for _, key := range keys {
		errs = append(errs, tx.Delete(prefix+key))
		if links {
			errs = append(errs, tx.Delete("used/"+key+":"+name))
		}
	}
	return more, errors.Join(errs...)
}
