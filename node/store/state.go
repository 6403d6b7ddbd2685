package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/dgraph-io/badger/v4"

	"github.com/dockchains/dockchain/ledger"
)

// State implements ledger.Store.
func (l Ledgers) State(author ledger.AuthorID, key string) ([]byte, error) {
	var value []byte
	err := l.s.view(func(txn *badger.Txn) error {
		pending, err := exists(txn, applyPrefix+string(author))
		if err != nil {
			return err
		}
		if pending {
			change, err := getBytes(txn, redoPrefix+string(author)+"/"+key)
			if err == nil {
				value, err = decodeChange(change)
				if err == nil && value == nil {
					err = ErrNotFound
				}
			}
			if !errors.Is(err, ErrNotFound) || change != nil {
				return err
			}
		}
		value, err = getBytes(txn, itemPrefix+string(author)+"/"+key)
		return err
	})
	if errors.Is(err, ErrNotFound) {
		return nil, fmt.Errorf("%w: state of %s", ledger.ErrNotFound, author)
	}
	if err != nil {
		return nil, fmt.Errorf("reading state of %s: %w", author, err)
	}
	return value, nil
}

// States implements ledger.Store.
func (l Ledgers) States(author ledger.AuthorID) ([]ledger.Item, error) {
	items := map[string][]byte{}
	err := l.s.view(func(txn *badger.Txn) error {
		for key, item := range each(txn, itemPrefix+string(author)+"/", "", true) {
			value, err := item.ValueCopy(nil)
			if err != nil {
				return err
			}
			items[key] = value
		}
		pending, err := exists(txn, applyPrefix+string(author))
		if err != nil || !pending {
			return err
		}
		for key, item := range each(txn, redoPrefix+string(author)+"/", "", true) {
			change, err := item.ValueCopy(nil)
			if err != nil {
				return err
			}
			if items[key], err = decodeChange(change); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading state of %s: %w", author, err)
	}
	out := make([]ledger.Item, 0, len(items))
	for _, key := range slices.Sorted(maps.Keys(items)) {
		if items[key] != nil {
			out = append(out, ledger.Item{Key: key, Value: items[key]})
		}
	}
	return out, nil
}

func encodeChange(value []byte) []byte {
	if value == nil {
		return []byte{0}
	}
	return append([]byte{1}, value...)
}

// decodeChange gives nil for a key that is gone.
func decodeChange(b []byte) ([]byte, error) {
	switch {
	case len(b) == 1 && b[0] == 0:
		return nil, nil
	case len(b) > 0 && b[0] == 1:
		return b[1:], nil
	default:
		return nil, fmt.Errorf("%w: change of a state", ErrCorrupt)
	}
}

// Changes beyond these, in records and in bytes, are spilled.
const (
	maxDirect      = 4096
	maxDirectBytes = 512 << 10
)

func weight(changes map[string][]byte) int {
	n := 0
	for key, value := range changes {
		n += len(key) + len(value)
	}
	return n
}

// spill writes changes that are too many for the transaction of the head. They
// do not count before the head says so.
func (g *groupWrite) spill(author ledger.AuthorID, changes map[string][]byte) error {
	prefix := redoPrefix + string(author) + "/"
	if err := g.clear(prefix); err != nil { // what a crash left
		return err
	}
	for key, value := range changes {
		if err := g.set(prefix+key, encodeChange(value)); err != nil {
			return err
		}
	}
	return nil
}

// redo moves the spilled changes of an author to where they belong. A crash
// anywhere in it is made up for by doing it again.
func (g *groupWrite) redo(author ledger.AuthorID) error {
	pending, err := exists(g.txn, applyPrefix+string(author))
	if err != nil || !pending {
		return err
	}
	prefix := redoPrefix + string(author) + "/"
	keys, err := g.keys(prefix)
	if err != nil {
		return err
	}
	for _, key := range keys {
		b, err := getBytes(g.txn, prefix+key)
		if err != nil {
			return err
		}
		value, err := decodeChange(b)
		if err != nil {
			return err
		}
		if err := g.change(author, key, value); err != nil {
			return err
		}
	}
	// All of it is there before the note that it has to be is gone.
	if err := g.flush(); err != nil {
		return err
	}
	if err := g.delete(applyPrefix + string(author)); err != nil {
		return err
	}
	if err := g.flush(); err != nil {
		return err
	}
	return g.clear(prefix)
}

func (g *groupWrite) change(author ledger.AuthorID, key string, value []byte) error {
	key = itemPrefix + string(author) + "/" + key
	if value == nil {
		return g.delete(key)
	}
	return g.set(key, value)
}

// keys are those under a prefix, without it.
func (g *groupWrite) keys(prefix string) ([]string, error) {
	if err := g.flush(); err != nil { // so that an iterator sees everything, and is the only one
		return nil, err
	}
	var out []string
	for key := range each(g.txn, prefix, "", false) {
		out = append(out, key)
	}
	return out, nil
}

func (g *groupWrite) clear(prefix string) error {
	keys, err := g.keys(prefix)
	if err != nil {
		return err
	}
	for _, key := range keys {
		if err := g.delete(prefix + key); err != nil {
			return err
		}
	}
	return nil
}

// SetFault implements ledger.Store.
func (l Ledgers) SetFault(ctx context.Context, author ledger.AuthorID, f ledger.Fault) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l.s.writing.Lock()
	defer l.s.writing.Unlock()
	key := faultPrefix + string(author)
	err := l.s.update(func(txn *badger.Txn) error {
		return txn.Set([]byte(key), append(fmt.Appendf(nil, "%s\n%d\n", f.Kind, f.Common), f.Evidence...))
	})
	if err != nil {
		return fmt.Errorf("keeping a fault of %s: %w", author, err)
	}
	return nil
}

// Fault implements ledger.Store.
func (l Ledgers) Fault(author ledger.AuthorID) (ledger.Fault, error) {
	var f ledger.Fault
	err := l.s.view(func(txn *badger.Txn) error {
		b, err := getBytes(txn, faultPrefix+string(author))
		if err != nil {
			return err
		}
		kind, rest, _ := bytes.Cut(b, []byte("\n"))
		common, evidence, ok := bytes.Cut(rest, []byte("\n"))
		n, err := strconv.ParseUint(string(common), 10, 64)
		if !ok || err != nil {
			return ErrCorrupt
		}
		f = ledger.Fault{Kind: string(kind), Common: n, Evidence: evidence}
		return nil
	})
	if errors.Is(err, ErrNotFound) {
		return f, fmt.Errorf("%w: fault of %s", ledger.ErrNotFound, author)
	}
	if err != nil {
		return f, fmt.Errorf("reading fault of %s: %w", author, err)
	}
	return f, nil
}
