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
	// Check verifies a proved entry, and that it agrees with what this node has
	// seen of its author's log; see Exchange.CheckRecord. nil verifies only.
	Check func(*ledger.Proved) (*ledger.Entry, error)
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
	check := r.Check
	if check == nil {
		check = verify
	}
	entry, err := check(p)
	if err != nil {
		return nil, err
	}
	if entry.Release == nil || entry.Release.Infohash != parts[2] || string(entry.Author) != parts[3] {
		return nil, ErrForeignRecord
	}
	return p, nil
}

func verify(p *ledger.Proved) (*ledger.Entry, error) {
	e, _, err := p.Verify()
	return e, err
}
