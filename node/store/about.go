package store

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/dgraph-io/badger/v4"

	"github.com/dockchains/dockchain/ledger"
)

// aboutPrefix + digest or author + "/" + author + "/" + index in 16 hex digits;
// no value: who endorsed or attested content, and who vouched for an author.
const aboutPrefix = "about/"

// maxAbout bounds the answers of About.
const maxAbout = 1000

// EntryAt is the place of an entry in the network's ledger.
type EntryAt struct {
	Author ledger.AuthorID
	Index  uint64
}

// aboutOf is what a statement by somebody else than its subject is about.
func aboutOf(e *ledger.Entry) (subject string, ok bool) {
	switch s := e.Statement.(type) {
	case *ledger.Endorse:
		return string(s.Digest), true
	case *ledger.Attest:
		return string(s.Subject), true
	case *ledger.Vouch:
		return string(s.For), true
	}
	return "", false
}

// NoteAbout remembers what the endorsements, attestations and vouches among these
// entries are about. It may be told the same again.
func (s *Store) NoteAbout(entries ...*ledger.Entry) error {
	var keys [][]byte
	for _, e := range entries {
		if subject, ok := aboutOf(e); ok {
			keys = append(keys, fmt.Appendf(nil, "%s%s/%s/%016x", aboutPrefix, subject, e.Author, e.Index))
		}
	}
	if len(keys) == 0 {
		return nil
	}
	if err := room(s.dir); err != nil {
		return fmt.Errorf("noting statements: %w", err)
	}
	defer s.hold()()
	if s.closed {
		return ErrClosed
	}
	batch := s.db.NewWriteBatch()
	defer batch.Cancel()
	for _, key := range keys {
		if err := batch.Set(key, nil); err != nil {
			return fmt.Errorf("noting a statement: %w", err)
		}
	}
	return batch.Flush()
}

// About finds the endorsements and attestations of a digest, or the vouches for an
// author, made by one author or, with "", by all: ordered by who made them and then
// as they were made, at most 1,000 and at most 16, the newest, of each author; none
// is no error.
func (s *Store) About(subject string, by ledger.AuthorID) ([]EntryAt, error) {
	const ofEach = 16
	prefix := aboutPrefix + subject + "/"
	if by != "" {
		prefix += string(by) + "/"
	}
	var all []EntryAt
	err := s.view(func(txn *badger.Txn) error {
		start := 0 // of the present author's
		for rest := range each(txn, prefix, "", false) {
			key := strings.TrimPrefix(prefix+rest, aboutPrefix+subject+"/")
			author, hex, _ := strings.Cut(key, "/")
			n, err := strconv.ParseUint(hex, 16, 64)
			if err != nil {
				return fmt.Errorf("reading %s%s: %w", prefix, rest, ErrCorrupt)
			}
			at := EntryAt{ledger.AuthorID(author), n}
			switch {
			case start < len(all) && all[start].Author != at.Author:
				start = len(all)
			case len(all)-start == ofEach:
				all = append(all[:start], all[start+1:]...)
			}
			if len(all) >= maxAbout {
				return nil
			}
			all = append(all, at)
		}
		return nil
	})
	return all, err
}
