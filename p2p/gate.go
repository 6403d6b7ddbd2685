package p2p

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"time"
)

// recordGate bounds records before the application's validator sees them.
type recordGate struct {
	app   Validator
	stats *counters
	good  recentRecords
}

func (g *recordGate) Validate(key string, value []byte) error {
	if g.good.has(key, value) {
		return nil
	}
	err := g.check(key, value)
	if err != nil {
		g.stats.badRecords.Add(1)
	} else {
		g.good.note(key, value)
	}
	return err
}

func (g *recordGate) check(key string, value []byte) error {
	if err := checkRecord(key, value); err != nil {
		return err
	}
	if g.app == nil {
		return fmt.Errorf("%w: none are kept here", ErrBadRecord)
	}
	return g.app.Validate(key, value)
}

func (g *recordGate) Select(key string, values [][]byte) (int, error) {
	if g.app == nil || len(values) == 0 {
		return 0, fmt.Errorf("%w: nothing to select from", ErrBadRecord)
	}
	if len(values) == 2 && bytes.Equal(values[0], values[1]) && g.good.has(key, values[0]) {
		return 0, nil // announced again
	}
	i, err := g.app.Select(key, values)
	if err == nil && (i < 0 || i >= len(values)) {
		return 0, fmt.Errorf("%w: selected %d of %d", ErrBadRecord, i, len(values))
	}
	return i, err
}

func checkRecord(key string, value []byte) error {
	ns, rest, ok := strings.Cut(strings.TrimPrefix(key, "/"), "/")
	if len(key) > MaxKey || !strings.HasPrefix(key, "/") || !ok || ns == "" || rest == "" {
		return fmt.Errorf("%w: key of %d bytes, want /namespace/rest of at most %d", ErrBadRecord, len(key), MaxKey)
	}
	if len(value) > MaxValue {
		return fmt.Errorf("%w: value of %d bytes: %w", ErrBadRecord, len(value), ErrTooLarge)
	}
	return nil
}

// goodFor is how long a record that was found good passes without being looked at
// again: kad-dht asks about each that it puts four times in a row.
const goodFor = time.Second

// recentRecords are the last records that were found good.
type recentRecords struct {
	mu   sync.Mutex
	last [32]recentRecord // a ring
	next int
}

type recentRecord struct {
	sum [sha256.Size]byte
	at  time.Time
}

func recordSum(key string, value []byte) [sha256.Size]byte {
	b := binary.AppendUvarint(make([]byte, 0, len(key)+len(value)+binary.MaxVarintLen64), uint64(len(key)))
	return sha256.Sum256(append(append(b, key...), value...))
}

func (g *recentRecords) has(key string, value []byte) bool {
	if len(key) > MaxKey || len(value) > MaxValue {
		return false
	}
	sum := recordSum(key, value)
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range g.last {
		if g.last[i].sum == sum && time.Since(g.last[i].at) < goodFor {
			return true
		}
	}
	return false
}

func (g *recentRecords) note(key string, value []byte) {
	sum := recordSum(key, value)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.last[g.next] = recentRecord{sum, time.Now()}
	g.next = (g.next + 1) % len(g.last)
}
