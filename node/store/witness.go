package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"github.com/dockchains/dockchain/ledger/witness"
)

const (
	witnessPrefix = "witness/" // + origin -> witness.Record, as it encodes itself

	maxOrigin = 1024 // bytes
)

// Witness is what this node has cosigned.
type Witness struct{ s *Store }

var _ witness.Store = Witness{}

// Witness returns the records of this node as a witness.
func (s *Store) Witness() Witness { return Witness{s} }

// swap is one call of Swap on its way.
type swap struct {
	ctx       context.Context
	key       string
	old, next []byte // nil: no record
	err       error
}

// Record implements witness.Store.
func (w Witness) Record(ctx context.Context, origin string) (witness.Record, error) {
	if err := ctx.Err(); err != nil {
		return witness.Record{}, err
	}
	var r witness.Record
	err := w.s.view(func(txn *badger.Txn) error {
		b, err := getBytes(txn, witnessPrefix+origin)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		r, err = decodeWitness(origin, b)
		return err
	})
	return r, err
}

func decodeWitness(origin string, b []byte) (witness.Record, error) {
	r, err := witness.DecodeRecord(b)
	if err != nil {
		return witness.Record{}, fmt.Errorf("reading %s%s: %w: %w", witnessPrefix, origin, ErrCorrupt, err)
	}
	return r, nil
}

// Swap implements witness.Store.
func (w Witness) Swap(ctx context.Context, origin string, old, next witness.Record) error {
	if origin == "" || len(origin) > maxOrigin {
		return fmt.Errorf("recording what was cosigned: %w: origin of %d bytes", ErrInvalid, len(origin))
	}
	r := &swap{ctx: ctx, key: witnessPrefix + origin, next: next.Encode()}
	if b := old.Encode(); !bytes.Equal(b, witness.Record{}.Encode()) {
		r.old = b
	}
	if err := w.s.witnessed.do(r); err != nil {
		return err
	}
	return r.err
}

// Records implements witness.Store.
func (w Witness) Records(ctx context.Context, after string, limit int) ([]witness.Latest, error) {
	from := after
	if after != "" {
		from += "\x00" // no origin has one
	}
	var all []witness.Latest
	err := w.s.view(func(txn *badger.Txn) error {
		for origin, item := range each(txn, witnessPrefix, from, true) {
			if err := ctx.Err(); err != nil || len(all) >= limit {
				return err
			}
			b, err := item.ValueCopy(nil)
			if err != nil {
				return err
			}
			r, err := decodeWitness(origin, b)
			if err != nil {
				return err
			}
			all = append(all, witness.Latest{Origin: origin, Record: r})
		}
		return nil
	})
	return all, err
}

// maxSwapped bounds the bytes of a transaction of swaps, well below what Badger
// takes.
const maxSwapped = 1 << 20

// writeSwaps writes a group and sets the err of each. Nobody else writes these
// keys meanwhile.
func writeSwaps(update func(func(*badger.Txn) error) error, group []*swap) {
	for len(group) > 0 {
		n := 0
		for size := 0; n < len(group) && (n == 0 || size+len(group[n].next) <= maxSwapped); n++ {
			size += len(group[n].next)
		}
		some := group[:n]
		err := update(func(txn *badger.Txn) error {
			for _, r := range some {
				r.err = r.apply(txn)
			}
			return nil
		})
		for _, r := range some {
			if err != nil && r.err == nil {
				r.err = fmt.Errorf("recording what was cosigned: %w", err)
			}
		}
		group = group[n:]
	}
}

// apply compares with what is there, in this transaction or before it.
func (r *swap) apply(txn *badger.Txn) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	have, err := getBytes(txn, r.key)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if !bytes.Equal(have, r.old) {
		return witness.ErrConflict
	}
	return txn.Set([]byte(r.key), r.next)
}
