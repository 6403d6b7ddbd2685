package notify

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/dockchains/dockchain/node/exchange"
	"github.com/dockchains/dockchain/node/kv"
)

// Prefixes of keys; the package comment tells what is below them.
const (
	metaKey          = "meta"
	idPrefix         = "id/"
	idQueuePrefix    = "idq/"
	repoPrefix       = "repo/"
	dayPrefix        = "day/"
	tagPrefix        = "tag/"
	actorPrefix      = "actor/"
	starPrefix       = "star/"
	windowPrefix     = "win/"
	windowQueue      = "winq/"
	quarantinePrefix = "odd/"
	outPrefix        = "out/"
	boxPrefix        = "outbox/"
	deadPrefix       = "dead/"
)

// meta is what is counted over all records.
type meta struct {
	Seq     uint64 `json:"seq"`     // the last number given to an id, an odd event or one in an outbox
	IDs     int    `json:"ids"`     // remembered
	IDLow   uint64 `json:"id_low"`  // none before this one is
	Repos   int    `json:"repos"`   //
	Windows int    `json:"windows"` //
	Odd     int    `json:"odd"`     // kept
	OddLow  uint64 `json:"odd_low"` //
	Dropped int64  `json:"dropped"` // odd events that gave way to newer ones
}

func number(n uint64) string { return fmt.Sprintf("%020d", n) }

// of joins the name of a repository and what is of it. Names have no spaces.
func of(repo, what string) string { return repo + " " + what }

// idKey is under which an event is known: its id, or where it has none, all of it.
func idKey(e Event) string {
	b := []byte("id\x00" + e.ID)
	if e.ID == "" {
		b, _ = json.Marshal(e) // cannot fail: it was checked
		b = append([]byte("event\x00"), b...)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

// load reads a record. One that is damaged is as good as none: statistics that
// stop for it would block whoever sends.
func load[T any](tx kv.Txn, key string, into *T) (found bool, err error) {
	b, err := tx.Get(key)
	if errors.Is(err, kv.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading %s: %w", key, err)
	}
	var v T
	if err := json.Unmarshal(b, &v); err != nil {
		return false, nil
	}
	*into = v
	return true, nil
}

func save(tx kv.Txn, key string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("writing %s: %w", key, err)
	}
	if err := tx.Set(key, b); err != nil {
		return fmt.Errorf("writing %s: %w", key, err)
	}
	return nil
}

// shelf is the records of one prefix that a transaction changes.
type shelf[T any] struct {
	prefix string
	vals   map[string]*T
}

func newShelf[T any](prefix string) shelf[T] { return shelf[T]{prefix, map[string]*T{}} }

// get gives a record to change, and whether there was one.
func (s *shelf[T]) get(tx kv.Txn, key string) (v *T, found bool, err error) {
	if v, found = s.vals[key]; found {
		return v, true, nil
	}
	v = new(T)
	if found, err = load(tx, s.prefix+key, v); err != nil {
		return nil, false, err
	}
	s.vals[key] = v
	return v, found, nil
}

// flush writes what get gave, and forgets it.
func (s *shelf[T]) flush(tx kv.Txn) error {
	for key, v := range s.vals {
		if err := save(tx, s.prefix+key, v); err != nil {
			return err
		}
	}
	clear(s.vals)
	return nil
}

// The records of a repository. Names are in the keys.
type (
	repoRecord  = exchange.RepositoryStats
	dayRecord   = exchange.StatsDay
	tagRecord   = exchange.StatsTag
	actorRecord = exchange.StatsActor
)

func earlier(t *time.Time, other time.Time) {
	if t.IsZero() || other.Before(*t) {
		*t = other
	}
}

func later(t *time.Time, other time.Time) {
	if other.After(*t) {
		*t = other
	}
}
