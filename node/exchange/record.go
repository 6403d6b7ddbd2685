package exchange

import (
	"errors"
	"fmt"
	"strings"

	"github.com/dockchains/dockchain/ledger"
)

// ErrForeignRecord is a DHT record that is not its key's to write.
var ErrForeignRecord = errors.New("the record does not belong under this key")

// Records judges the DHT's value records: under
// /release/<infohash>/<author id> stands a proved release of that image by that
// author, and nothing else. So nobody can squat another's key, and a record needs
// no trust in the peer that gave it.
type Records struct {
	// Check says whether the proved entry agrees with what this node has seen
	// of its author's log; see Exchange.CheckRecord. May be nil.
	Check func(*ledger.Proved) error
	// Compare is shown two records of one key, each of them good by itself; see
	// Exchange.CompareRecords. May be nil.
	Compare func(a, b *ledger.Proved)
}

// Validate accepts a value that is its key's.
func (r Records) Validate(key string, value []byte) error {
	_, err := r.read(key, value)
	return err
}

// Select picks the value whose release stands latest in the log.
func (r Records) Select(key string, values [][]byte) (int, error) {
	best, at := -1, uint64(0)
	var last *ledger.Proved
	for i, v := range values {
		p, err := r.read(key, v)
		if err != nil {
			continue
		}
		if r.Compare != nil && last != nil {
			r.Compare(last, p)
		}
		last = p
		if best < 0 || p.Index > at {
			best, at = i, p.Index
		}
	}
	if best < 0 {
		return 0, ErrForeignRecord
	}
	return best, nil
}

func (r Records) read(key string, value []byte) (*ledger.Proved, error) {
	parts := strings.Split(key, "/")
	if len(parts) != 4 || parts[0] != "" || parts[1] != "release" {
		return nil, fmt.Errorf("%w: key %q", ErrForeignRecord, key)
	}
	p, err := ledger.DecodeProved(value)
	if err != nil {
		return nil, err
	}
	entry, _, err := p.Verify()
	if err != nil {
		return nil, err
	}
	if entry.Release == nil || entry.Release.Infohash != parts[2] || string(entry.Author) != parts[3] {
		return nil, ErrForeignRecord
	}
	if r.Check != nil {
		if err := r.Check(p); err != nil {
			return nil, err
		}
	}
	return p, nil
}
