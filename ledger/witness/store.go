package witness

import (
	"context"
	"slices"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/tlog"
)

// Record is the largest tree of a log that this witness cosigned. The zero
// Record is that of a log of which it cosigned none.
type Record struct {
	Size       uint64 // entries
	Root       tlog.Hash
	Time       int64  // POSIX seconds, of the latest cosignature
	Checkpoint []byte // the note as its log signed it
}

func (r Record) isZero() bool {
	return r.Size == 0 && r.Root == tlog.Hash{} && r.Time == 0 && len(r.Checkpoint) == 0
}

// same reports whether r says what s says, to the byte.
func (r Record) same(s Record) bool {
	return r.Size == s.Size && r.Root == s.Root && r.Time == s.Time && string(r.Checkpoint) == string(s.Checkpoint)
}

// Latest is the record of a log.
type Latest struct {
	Origin string
	Record Record
}

// Store keeps one record per origin. All methods may be called concurrently,
// by several processes if the store allows that at all. Byte slices that go in
// or come out are not written to by anybody afterwards.
//
// The conformance suite is in witnesstest.
type Store interface {
	// Record returns the record of an origin; the zero Record when there is
	// none.
	Record(ctx context.Context, origin string) (Record, error)

	// Swap replaces the record of an origin, if it still is old, or fails
	// with ErrConflict and changes nothing. When it returns nil, the new
	// record is durable.
	Swap(ctx context.Context, origin string, old, new Record) error

	// Records returns up to limit records of the origins after the given one
	// ("": from the first), in ascending order of their bytes.
	Records(ctx context.Context, after string, limit int) ([]Latest, error)
}

// Mem is a Store in memory, which forgets its promises with the process: for
// tests.
type Mem struct {
	mu      sync.Mutex
	records map[string]Record
}

var _ Store = (*Mem)(nil)

// NewMem returns an empty store.
func NewMem() *Mem { return &Mem{records: map[string]Record{}} }

// Record implements Store.
func (m *Mem) Record(ctx context.Context, origin string) (Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.records[origin], ctx.Err()
}

// Swap implements Store.
func (m *Mem) Swap(ctx context.Context, origin string, old, new Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.records[origin].same(old) {
		return ErrConflict
	}
	m.records[origin] = new
	return nil
}

// Records implements Store.
func (m *Mem) Records(ctx context.Context, after string, limit int) ([]Latest, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Latest
	for origin, r := range m.records {
		if origin > after {
			out = append(out, Latest{origin, r})
		}
	}
	slices.SortFunc(out, func(a, b Latest) int { return strings.Compare(a.Origin, b.Origin) })
	return out[:min(max(limit, 0), len(out))], ctx.Err()
}
