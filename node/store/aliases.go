package store

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/dockchains/dockchain/ledger"
)

const aliasPrefix = "alias/" // + petname -> aliasRecord

// maxAliases bounds the petnames of a node.
const maxAliases = 10_000

// ErrBadAlias says that a petname is not one: see [Store.SetAlias].
var ErrBadAlias = errors.New("bad petname")

// Alias is a name its user chose for an author. It means something on this
// node only.
type Alias struct {
	Name   string          `json:"name"`
	Author ledger.AuthorID `json:"author"`
	Added  time.Time       `json:"added"`
}

type aliasRecord struct {
	Author ledger.AuthorID `json:"author"`
	Added  time.Time       `json:"added"`
}

var aliasGrammar = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// CheckAlias says whether name can be a petname: one to 64 of a-z, 0-9, ".",
// "_" and "-", beginning with a letter or digit; neither "me", which is this
// node's own author, nor an author id.
func CheckAlias(name string) error {
	switch _, err := ledger.ParseAuthorID(name); {
	case !aliasGrammar.MatchString(name):
		return fmt.Errorf("%w: %q: want 1 to 64 of a-z 0-9 . _ - beginning with a letter or digit", ErrBadAlias, name)
	case name == "me":
		return fmt.Errorf("%w: %q is this node's own author", ErrBadAlias, name)
	case err == nil:
		return fmt.Errorf("%w: %q is an author id", ErrBadAlias, name)
	}
	return nil
}

// SetAlias names author; a name in use moves to the new author. ErrBadAlias
// when [CheckAlias] refuses the name.
func (s *Store) SetAlias(name string, author ledger.AuthorID) error {
	if err := CheckAlias(name); err != nil {
		return err
	}
	if _, err := ledger.ParseAuthorID(string(author)); err != nil {
		return fmt.Errorf("naming %s: %w", name, err)
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.update(func(txn *badger.Txn) error {
		if known, err := exists(txn, aliasPrefix+name); err != nil {
			return err
		} else if !known && count(txn, aliasPrefix) >= maxAliases {
			return fmt.Errorf("naming %s: %w: at most %d petnames", name, ErrInvalid, maxAliases)
		}
		return putJSON(txn, aliasPrefix+name, aliasRecord{author, time.Now().UTC().Truncate(time.Second)})
	})
}

// Alias gives the author of a petname, or ErrNotFound.
func (s *Store) Alias(name string) (ledger.AuthorID, error) {
	var r aliasRecord
	if err := s.get(aliasPrefix+name, &r); err != nil {
		return "", fmt.Errorf("petname %q: %w", name, err)
	}
	return r.Author, nil
}

// Aliases lists the petnames by name.
func (s *Store) Aliases() ([]Alias, error) {
	all := []Alias{}
	err := s.view(func(txn *badger.Txn) error {
		for name, item := range each(txn, aliasPrefix, "", true) {
			var r aliasRecord
			if err := item.Value(func(b []byte) error { return decode(aliasPrefix+name, b, &r) }); err != nil {
				return err
			}
			all = append(all, Alias{name, r.Author, r.Added})
		}
		return nil
	})
	return all, err
}

// NamesOf lists the petnames of an author by name.
func (s *Store) NamesOf(author ledger.AuthorID) ([]string, error) {
	all, err := s.Aliases()
	if err != nil {
		return nil, err
	}
	names := []string{}
	for _, a := range all {
		if a.Author == author {
			names = append(names, a.Name)
		}
	}
	return names, nil
}

// DeleteAlias forgets a petname, or gives ErrNotFound.
func (s *Store) DeleteAlias(name string) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.update(func(txn *badger.Txn) error {
		if known, err := exists(txn, aliasPrefix+name); err != nil {
			return err
		} else if !known {
			return fmt.Errorf("petname %q: %w", name, ErrNotFound)
		}
		return txn.Delete([]byte(aliasPrefix + name))
	})
}

func count(txn *badger.Txn, prefix string) int {
	n := 0
	for range each(txn, prefix, "", false) {
		n++
	}
	return n
}
