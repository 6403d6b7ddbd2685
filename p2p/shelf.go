package p2p

import (
	"container/list"
	"context"
	"path"
	"strings"
	"sync"

	ds "github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"
)

// Bounds of what this node keeps for the DHT.
const (
	maxValueEntries    = 20_000
	maxValueBytes      = 24 << 20
	maxProviderEntries = 50_000
	maxProviderBytes   = 12 << 20
	shareOfOwner       = 8 // one owner may fill at most an eighth
)

// shelf is a datastore in memory, bounded in entries and bytes; the entry
// written longest ago makes room. Anybody may put records into the DHT, so an
// owner who fills more than a share of the shelf drops only own entries.
// Entries are kept by their parent key, because the DHT asks for all providers
// of one key.
type shelf struct {
	maxEntries, maxBytes int
	owner                func(key string) string

	mu    sync.Mutex
	bytes int
	depth int                                 // of the deepest parent key so far
	dirs  map[string]map[string]*list.Element // parent key, name
	age   *list.List                          // of *book, oldest first
	owned map[string]*list.List               // of *book, oldest first, by owner
}

type book struct {
	key     string
	value   []byte
	owner   string
	inOwned *list.Element
}

var _ ds.Batching = (*shelf)(nil)

func newShelf(maxEntries, maxBytes int, owner func(string) string) *shelf {
	return &shelf{
		maxEntries: maxEntries, maxBytes: maxBytes, owner: owner,
		dirs: map[string]map[string]*list.Element{}, age: list.New(), owned: map[string]*list.List{},
	}
}

// providerOf is the owner of a provider record, whose last part is the peer.
func providerOf(key string) string { return path.Base(key) }

// wholeShelf is for records whose owner their key does not tell.
func wholeShelf(string) string { return "" }

func split(key string) (dir, name string) {
	dir, name = path.Split(key)
	return strings.TrimSuffix(dir, "/"), name
}

func (s *shelf) find(key string) *list.Element {
	dir, name := split(key)
	return s.dirs[dir][name]
}

func (s *shelf) Get(_ context.Context, key ds.Key) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.find(key.String()); e != nil {
		return e.Value.(*book).value, nil
	}
	return nil, ds.ErrNotFound
}

func (s *shelf) Has(ctx context.Context, key ds.Key) (bool, error) {
	_, err := s.Get(ctx, key)
	return err == nil, nil
}

func (s *shelf) GetSize(ctx context.Context, key ds.Key) (int, error) {
	v, err := s.Get(ctx, key)
	if err != nil {
		return -1, err
	}
	return len(v), nil
}

func (s *shelf) Put(_ context.Context, key ds.Key, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := key.String()
	if e := s.find(k); e != nil {
		s.drop(e)
	}
	b := &book{key: k, value: append([]byte(nil), value...), owner: s.owner(k)}
	if b.size() > s.maxBytes {
		return nil // would push out everything and still not fit
	}
	s.makeRoom(b)
	dir, name := split(k)
	s.depth = max(s.depth, strings.Count(dir, "/"))
	if s.dirs[dir] == nil {
		s.dirs[dir] = map[string]*list.Element{}
	}
	s.dirs[dir][name] = s.age.PushBack(b)
	if s.owned[b.owner] == nil {
		s.owned[b.owner] = list.New()
	}
	b.inOwned = s.owned[b.owner].PushBack(b)
	s.bytes += b.size()
	return nil
}

func (b *book) size() int { return len(b.key) + len(b.value) }

func (s *shelf) makeRoom(b *book) {
	own := s.owned[b.owner]
	if b.owner != "" && own != nil && own.Len() >= max(1, s.maxEntries/shareOfOwner) {
		s.drop(s.find(own.Front().Value.(*book).key))
	}
	for s.age.Len() >= s.maxEntries || s.bytes+b.size() > s.maxBytes {
		s.drop(s.age.Front())
	}
}

func (s *shelf) drop(e *list.Element) {
	b := s.age.Remove(e).(*book)
	s.bytes -= b.size()
	dir, name := split(b.key)
	if delete(s.dirs[dir], name); len(s.dirs[dir]) == 0 {
		delete(s.dirs, dir)
	}
	own := s.owned[b.owner]
	if own.Remove(b.inOwned); own.Len() == 0 {
		delete(s.owned, b.owner)
	}
}

func (s *shelf) Delete(_ context.Context, key ds.Key) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.find(key.String()); e != nil {
		s.drop(e)
	}
	return nil
}

// Query answers with a copy of what is there now.
func (s *shelf) Query(_ context.Context, q query.Query) (query.Results, error) {
	prefix := strings.TrimSuffix(ds.NewKey(q.Prefix).String(), "/")
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.entries(nil, s.dirs[prefix], q.KeysOnly)
	if strings.Count(prefix, "/") < s.depth { // else there is nothing below
		for dir, names := range s.dirs {
			if strings.HasPrefix(dir, prefix+"/") {
				found = s.entries(found, names, q.KeysOnly)
			}
		}
	}
	q.Prefix = "" // applied
	return query.NaiveQueryApply(q, query.ResultsWithEntries(q, found)), nil
}

func (s *shelf) entries(dst []query.Entry, names map[string]*list.Element, keysOnly bool) []query.Entry {
	for _, e := range names {
		b := e.Value.(*book)
		entry := query.Entry{Key: b.key, Size: len(b.value)}
		if !keysOnly {
			entry.Value = b.value
		}
		dst = append(dst, entry)
	}
	return dst
}

func (s *shelf) Sync(context.Context, ds.Key) error { return nil }
func (s *shelf) Close() error                       { return nil }

func (s *shelf) Batch(context.Context) (ds.Batch, error) { return ds.NewBasicBatch(s), nil }
