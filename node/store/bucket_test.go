package store

import (
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/dockchains/dockchain/node/kv"
)

// Both implementations do the same.
func TestBuckets(t *testing.T) {
	t.Parallel()
	s := open(t)
	for name, b := range map[string]kv.Bucket{"badger": s.Registry(), "mem": &kv.Mem{}} {
		t.Run(name, func(t *testing.T) {
			set := func(keys ...string) error {
				return b.Update(func(tx kv.Txn) error {
					for _, key := range keys {
						if err := tx.Set(key, []byte("of "+key)); err != nil {
							return err
						}
					}
					return nil
				})
			}
			if err := set("a/1", "a/3", "a/2", "b/1", "a"); err != nil {
				t.Fatal(err)
			}
			broken := errors.New("broken")
			err := b.Update(func(tx kv.Txn) error { return errors.Join(tx.Set("a/9", nil), tx.Delete("a/1"), broken) })
			if !errors.Is(err, broken) {
				t.Errorf("an update that fails: %v", err)
			}
			err = b.Update(func(tx kv.Txn) error {
				if err := tx.Delete("a/3"); err != nil {
					return err
				}
				if got := keysOf(tx, "a/", "2"); !slices.Equal(got, []string{"2"}) {
					t.Errorf("after its own delete it has %q", got)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			err = b.View(func(tx kv.Txn) error {
				if got := keysOf(tx, "a/", ""); !slices.Equal(got, []string{"1", "2"}) {
					t.Errorf("keys %q", got)
				}
				if v, err := tx.Get("a/2"); err != nil || string(v) != "of a/2" {
					t.Errorf("%q, %v", v, err)
				}
				if _, err := tx.Get("a/3"); !errors.Is(err, kv.ErrNotFound) {
					t.Errorf("of what is not there: %v", err)
				}
				if err := tx.Set("c", nil); err == nil {
					t.Error("wrote in a view")
				}
				return tx.Err()
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
	err := s.Notify().View(func(tx kv.Txn) error {
		if got := keysOf(tx, "", ""); len(got) > 0 {
			t.Errorf("another bucket has %q", got)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func keysOf(tx kv.Txn, prefix, from string) []string {
	var keys []string
	for key := range tx.Each(prefix, from) {
		keys = append(keys, key)
	}
	return keys
}

// Updates that read before they write do not cross.
func TestBucketCounts(t *testing.T) {
	t.Parallel()
	s := open(t)
	for name, b := range map[string]kv.Bucket{"badger": s.Notify(), "mem": &kv.Mem{}} {
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				err := b.Update(func(tx kv.Txn) error {
					v, err := tx.Get("n")
					if err != nil && !errors.Is(err, kv.ErrNotFound) {
						return err
					}
					return tx.Set("n", append(v, 1))
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		err := b.View(func(tx kv.Txn) error {
			v, err := tx.Get("n")
			if len(v) != 50 {
				t.Errorf("%s counted %d", name, len(v))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
