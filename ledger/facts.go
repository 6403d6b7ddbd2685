package ledger

import (
	"fmt"
	"maps"
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/ledger/statemap"
)

// Item is one key of an author's state with its value, as the package comment
// lists them.
type Item struct {
	Key   string
	Value []byte // nil in a change: the key is gone
}

// facts are what the entries of a log add up to.
type facts struct {
	keys    keyLog
	items   map[string][]byte // as committed; shared by branches, and changed by none
	changed map[string][]byte // on top of that; nil: gone
	tree    statemap.Map      // of both
}

// history calls fn with the entries 0 to to-1 of the log.
type history func(to uint64, fn func(*Entry) error) error

func newFacts() *facts {
	return &facts{items: map[string][]byte{}, changed: map[string][]byte{}}
}

// inceptionFacts is how every log begins.
func inceptionFacts(in *Inception) *facts {
	f := newFacts()
	f.keys = keyLog{KeyState: in.KeyState(), events: []uint64{0}, spent: in.keySet().cost()}
	f.set(itemKeys, f.keys.encode())
	return f
}

// loadFacts is what was committed.
func loadFacts(items []Item) (*facts, error) {
	f := newFacts()
	for _, it := range items {
		f.items[it.Key] = it.Value
		f.tree.Set([]byte(it.Key), it.Value)
	}
	var err error
	f.keys, err = decodeKeyLog(f.items[itemKeys])
	return f, err
}

// branch is a copy to try entries on.
func (f *facts) branch() *facts {
	return &facts{keys: f.keys, items: f.items, changed: maps.Clone(f.changed), tree: f.tree}
}

// changes are what has changed since the last settle, in the order of the keys.
func (f *facts) changes() []Item {
	out := make([]Item, 0, len(f.changed))
	for _, key := range slices.Sorted(maps.Keys(f.changed)) {
		out = append(out, Item{key, f.changed[key]})
	}
	return out
}

// settle takes the changes as committed. Other branches of the same origin
// cannot be used any more.
func (f *facts) settle() {
	for key, value := range f.changed {
		if value == nil {
			delete(f.items, key)
		} else {
			f.items[key] = value
		}
	}
	f.changed = map[string][]byte{}
}

func (f *facts) get(key string) []byte {
	if value, ok := f.changed[key]; ok {
		return value
	}
	return f.items[key]
}

func (f *facts) set(key string, value []byte) {
	f.changed[key] = value
	f.tree.Set([]byte(key), value)
}

// all is every key with its value.
func (f *facts) all() map[string][]byte {
	out := maps.Clone(f.items)
	for key, value := range f.changed {
		if value == nil {
			delete(out, key)
		} else {
			out[key] = value
		}
	}
	return out
}

// apply makes the facts those after an entry of index. Statements that the
// author was not entitled to change nothing; an error means that no log may
// have this entry there, and that nothing was changed.
func (f *facts) apply(index uint64, s Statement, past history) error {
	if f.get(itemRetired) != nil {
		return fmt.Errorf("%w: entry %d comes after its end", ErrRetired, index)
	}
	switch s := s.(type) {
	case keyEvent:
		return f.changeKeys(index, s, past)
	case *Release:
		f.release(index, s)
	case *Revoke:
		f.revoke(index, s)
	case *Transfer:
		if f.owns(s.Repo) {
			f.set(itemRepo+s.Repo, ownership{is: isTransferred, other: s.To, index: index}.encode())
		}
	case *Accept:
		if f.repo(s.Repo).is != isAccepted {
			f.set(itemRepo+s.Repo, ownership{is: isAccepted, other: s.From, transfer: s.Transfer, index: index}.encode())
		}
	}
	return nil
}

// allowed says why the author should not sign a statement, although the log
// would take it.
func (f *facts) allowed(index uint64, s Statement) error {
	switch s := s.(type) {
	case *Release:
		if o := f.repo(s.Repo); o.is == isTransferred {
			return fmt.Errorf("%w: %s went to %s in entry %d", ErrTransferred, s.Repo, o.other, o.index)
		}
		if r, ok := f.revocation(itemRevokedDigest + string(s.Image.Digest)); ok {
			return fmt.Errorf("%w: %s, in entry %d", ErrRevoked, s.Image.Digest, r.index)
		}
	case *Revoke:
		if s.LastValid >= index {
			return fmt.Errorf("%w: revoking up to entry %d in entry %d", ErrBadEntry, s.LastValid, index)
		}
		if s.Key != "" && !f.keys.canLose(s.Key) {
			return fmt.Errorf("%w: too few keys would be left; rotate or recover instead", ErrBadEntry)
		}
	case *Transfer:
		if !f.owns(s.Repo) {
			return fmt.Errorf("%w: %s is not the author's to give", ErrTransferred, s.Repo)
		}
	case *Accept:
		if o := f.repo(s.Repo); o.is == isAccepted {
			return fmt.Errorf("%w: %s was accepted from %s in entry %d", ErrTransferred, s.Repo, o.other, o.index)
		}
	}
	return nil
}

func (f *facts) release(index uint64, r *Release) {
	switch o := f.repo(r.Repo); o.is {
	case isTransferred:
		return
	case "":
		f.set(itemRepo+r.Repo, ownership{is: isOwned, index: index}.encode())
	}
	f.set(tagItem(r.Repo, r.Tag), tagged{r.Image.Digest, r.Infohash, index}.encode())
}

func (f *facts) revoke(index uint64, s *Revoke) {
	var key string
	switch {
	case s.Digest != "":
		key = itemRevokedDigest + string(s.Digest)
	case s.Key != "":
		if !f.keys.canLose(s.Key) {
			return
		}
		if f.keys.lose(s.Key) {
			f.set(itemKeys, f.keys.encode())
		}
		key = itemRevokedKey + s.Key
	default:
		key = itemRevokedTag + s.Repo + ":" + s.Tag
	}
	r := revocation{index, s.LastValid}
	if before, ok := f.revocation(key); ok {
		r.lastValid = min(r.lastValid, before.lastValid)
	}
	f.set(key, r.encode())
}

func (f *facts) changeKeys(index uint64, s keyEvent, past history) error {
	next, err := f.keys.after(index, s)
	if err != nil {
		return err
	}
	if r, ok := s.(*Recover); ok && r.VoidFrom < index {
		if err := f.rewind(r.VoidFrom, past); err != nil {
			return fmt.Errorf("taking back entries from %d: %w", r.VoidFrom, err)
		}
	}
	f.keys = next
	f.set(itemKeys, f.keys.encode())
	if _, ok := s.(*Retire); ok {
		f.set(itemRetired, retired{index}.encode())
	}
	return nil
}

// rewind makes the facts those before entry to, which no key event follows.
func (f *facts) rewind(to uint64, past history) error {
	was := newFacts()
	err := past(to, func(e *Entry) error {
		if e.Inception != nil {
			was = inceptionFacts(e.Inception)
			return nil
		}
		if k, ok := e.Statement.(keyEvent); ok {
			was.keys, _ = was.keys.after(e.Index, k) // as it was when the log took it
			was.set(itemKeys, was.keys.encode())
			return nil
		}
		if f.keys.isVoid(e.Index) {
			return nil
		}
		return was.apply(e.Index, e.Statement, nil)
	})
	if err != nil {
		return err
	}
	have, want := f.all(), was.all()
	for key := range have {
		if want[key] == nil {
			f.changed[key] = nil
		}
	}
	for key, value := range want {
		if string(have[key]) != string(value) {
			f.changed[key] = value
		}
	}
	f.tree = was.tree
	return nil
}

func (f *facts) owns(repo string) bool {
	is := f.repo(repo).is
	return is == isOwned || is == isAccepted
}

// repo, tag and revocation read items that were written here, or that an
// author's signature and the root cover.
func (f *facts) repo(name string) ownership {
	o, _ := decodeOwnership(f.get(itemRepo + name))
	return o
}

func (f *facts) revocation(key string) (revocation, bool) {
	b := f.get(key)
	if b == nil {
		return revocation{}, false
	}
	r, err := decodeRevocation(b)
	return r, err == nil
}

func tagItem(repo, tag string) string { return itemTag + repo + ":" + tag }

// tagged is the value of a tag.
type tagged struct {
	digest   digest.Digest
	infohash string
	index    uint64
}
