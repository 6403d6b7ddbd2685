package notify

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dockchains/dockchain/node/exchange"
	"github.com/dockchains/dockchain/node/kv"
)

// Bounds of a page.
const (
	defaultLimit = 100
	maxLimit     = 1000
)

// Repositories gives a page of the statistics of repositories.
func (s *Service) Repositories(_ context.Context, req exchange.StatsRequest) (exchange.StatsPage, error) {
	less, err := order(req)
	if err != nil {
		return exchange.StatsPage{}, err
	}
	if req.Limit <= 0 {
		req.Limit = defaultLimit
	}
	req.Limit = min(req.Limit, maxLimit)
	page := exchange.StatsPage{Repositories: []exchange.RepositoryStats{}}
	err = s.bucket.View(func(tx kv.Txn) error {
		list, err := repositoriesIn(tx, strings.ToLower(req.Query))
		if err != nil {
			return err
		}
		slices.SortFunc(list, less)
		page.Total = len(list)
		from := 0
		if req.Last != "" {
			last, err := repositoryIn(tx, req.Last)
			if err != nil {
				return fmt.Errorf("the page after it: %w", err)
			}
			from, _ = slices.BinarySearchFunc(list, last, func(x, y repoRecord) int {
				return cmp.Or(less(x, y), -1) // the first that comes after it
			})
		}
		page.Repositories = append(page.Repositories, list[from:min(from+req.Limit, len(list))]...)
		if n := len(page.Repositories); n > 0 && from+n < len(list) {
			page.Next = page.Repositories[n-1].Name
		}
		if !req.Actors {
			return nil
		}
		for i := range page.Repositories {
			r := &page.Repositories[i]
			for name := range tx.Each(actorPrefix+of(r.Name, ""), "") {
				r.ActorNames = append(r.ActorNames, name)
			}
		}
		return tx.Err()
	})
	return page, err
}

func repositoriesIn(tx kv.Txn, query string) ([]repoRecord, error) {
	var list []repoRecord
	for name, value := range tx.Each(repoPrefix, "") {
		if !strings.Contains(name, query) {
			continue
		}
		var r repoRecord
		if err := json.Unmarshal(value, &r); err == nil {
			list = append(list, shown(r))
		}
	}
	return list, tx.Err()
}

// repositoryIn gives the record of a repository, or ErrNotFound.
func repositoryIn(tx kv.Txn, name string) (repoRecord, error) {
	var r repoRecord
	if err := checkRepository(name); err != nil {
		return r, fmt.Errorf("%w: %w", exchange.ErrBadRequest, err)
	}
	found, err := load(tx, repoPrefix+name, &r)
	if err == nil && !found {
		err = fmt.Errorf("%w: there are no statistics of %s", exchange.ErrNotFound, name)
	}
	return shown(r), err
}

// shown is a record as others see it: what was pushed again is not deleted.
func shown(r repoRecord) repoRecord {
	if r.LastPush.After(r.Deleted) {
		r.Deleted = time.Time{}
	}
	return r
}

// order gives the comparison that a request asks for; names settle ties.
func order(req exchange.StatsRequest) (func(x, y repoRecord) int, error) {
	by := map[string]func(x, y repoRecord) int{
		exchange.SortPulls:    func(x, y repoRecord) int { return cmp.Compare(x.Pulls, y.Pulls) },
		exchange.SortPushes:   func(x, y repoRecord) int { return cmp.Compare(x.Pushes, y.Pushes) },
		exchange.SortStars:    func(x, y repoRecord) int { return cmp.Compare(x.Stars, y.Stars) },
		exchange.SortLastPull: func(x, y repoRecord) int { return x.LastPull.Compare(y.LastPull) },
		exchange.SortLastPush: func(x, y repoRecord) int { return x.LastPush.Compare(y.LastPush) },
		exchange.SortName:     func(x, y repoRecord) int { return cmp.Compare(x.Name, y.Name) },
	}
	sort := cmp.Or(req.Sort, exchange.SortPulls)
	compare, ok := by[sort]
	if !ok {
		return nil, fmt.Errorf("%w: sort: %q is not one of pulls, pushes, stars, name, last_pull, last_push", exchange.ErrBadRequest, text(sort, 64))
	}
	sign := -1
	switch req.Order {
	case "asc":
		sign = 1
	case "desc":
	case "":
		if sort == exchange.SortName {
			sign = 1
		}
	default:
		return nil, fmt.Errorf("%w: order: asc or desc is wanted", exchange.ErrBadRequest)
	}
	return func(x, y repoRecord) int {
		return cmp.Or(sign*compare(x, y), cmp.Compare(x.Name, y.Name))
	}, nil
}

// Repository gives all that is known of one.
func (s *Service) Repository(_ context.Context, name string) (exchange.RepositoryDetail, error) {
	d := exchange.RepositoryDetail{History: []exchange.StatsDay{}, ByTag: []exchange.StatsTag{}, ByActor: []exchange.StatsActor{}}
	err := s.bucket.View(func(tx kv.Txn) (err error) {
		if d.RepositoryStats, err = repositoryIn(tx, name); err != nil {
			return err
		}
		d.History = below[exchange.StatsDay](tx, dayPrefix+of(name, ""), d.History)
		d.ByTag = below[exchange.StatsTag](tx, tagPrefix+of(name, ""), d.ByTag)
		d.ByActor = below[exchange.StatsActor](tx, actorPrefix+of(name, ""), d.ByActor)
		return tx.Err()
	})
	slices.SortFunc(d.History, func(x, y exchange.StatsDay) int { return cmp.Compare(y.Day, x.Day) })
	for i := range d.ByTag {
		if t := &d.ByTag[i]; t.LastPush.After(t.Deleted) {
			t.Deleted = time.Time{}
		}
	}
	slices.SortFunc(d.ByTag, func(x, y exchange.StatsTag) int {
		return cmp.Or(y.LastPush.Compare(x.LastPush), y.LastPull.Compare(x.LastPull), cmp.Compare(x.Tag, y.Tag))
	})
	slices.SortFunc(d.ByActor, func(x, y exchange.StatsActor) int {
		return cmp.Or(y.Last.Compare(x.Last), cmp.Compare(x.Name, y.Name))
	})
	for _, a := range d.ByActor {
		d.ActorNames = append(d.ActorNames, a.Name)
	}
	slices.Sort(d.ActorNames)
	return d, err
}

// below gives the records below a prefix that can be read.
func below[T any](tx kv.Txn, prefix string, list []T) []T {
	for _, value := range tx.Each(prefix, "") {
		var v T
		if err := json.Unmarshal(value, &v); err == nil {
			list = append(list, v)
		}
	}
	return list
}

// me is who sets stars here.
const me = "me"

// Star gives a repository the star of this node's user, or takes it back.
func (s *Service) Star(_ context.Context, name string, on bool) error {
	if err := checkRepository(name); err != nil {
		return fmt.Errorf("%w: %w", exchange.ErrBadRequest, err)
	}
	return s.bucket.Update(func(tx kv.Txn) error {
		key := starPrefix + of(name, me)
		_, err := tx.Get(key)
		has := err == nil
		if err != nil && !errors.Is(err, kv.ErrNotFound) {
			return fmt.Errorf("reading a star: %w", err)
		}
		if has == on {
			return nil
		}
		b, err := s.newBatch(tx)
		if err != nil {
			return err
		}
		r, err := b.repository(name)
		if errors.Is(err, errFull) {
			return fmt.Errorf("%w: %w", exchange.ErrOverQuota, err)
		}
		if err != nil {
			return err
		}
		if on {
			r.Stars++
			err = tx.Set(key, nil)
		} else {
			r.Stars = max(r.Stars-1, 0)
			err = tx.Delete(key)
		}
		if err != nil {
			return fmt.Errorf("writing a star: %w", err)
		}
		return b.finish()
	})
}
