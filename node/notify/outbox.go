package notify

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dockchains/dockchain/node/kv"
)

// box counts what is in an outbox.
type box struct {
	Pending int64  `json:"pending"`
	Low     uint64 `json:"low"` // no event before this one waits
	Dropped int64  `json:"dropped"`
	Dead    int64  `json:"dead"` // ever
	Kept    int64  `json:"kept"` // of the dead
}

// maxSent is what an event may take up with its references, in bytes; without them
// it is always less.
const maxSent = 32 << 10

// post puts an event of our registry into the outboxes.
func (b *batch) post(e Event) error {
	refs := e.Target.References
	e.Target.References = nil
	plain, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("writing an event: %w", err)
	}
	full := plain
	if e.Target.References = refs; len(refs) > 0 {
		if full, err = json.Marshal(e); err != nil {
			return fmt.Errorf("writing an event: %w", err)
		}
		if len(full) > maxSent {
			full = plain
		}
	}
	for _, ep := range b.s.endpoints {
		if ep.Disabled || slices.Contains(ep.IgnoredActions, e.Action) || e.Target.MediaType != "" && slices.Contains(ep.IgnoredMediaTypes, e.Target.MediaType) {
			continue
		}
		body := plain
		if ep.References {
			body = full
		}
		if err := b.enqueue(ep.Name, body); err != nil {
			return err
		}
	}
	return nil
}

func (b *batch) enqueue(name string, body []byte) error {
	o, _, err := b.boxes.get(b.tx, name)
	if err != nil {
		return err
	}
	seq := b.next()
	if o.Pending == 0 {
		o.Low = seq
	}
	o.Pending++
	b.size += len(body) + 256
	if err := b.tx.Set(outPrefix+of(name, number(seq)), body); err != nil {
		return fmt.Errorf("writing an event: %w", err)
	}
	for n := 0; o.Pending > int64(b.s.cfg.Outbox) && n < 2; n++ {
		if err := dropOldest(b.tx, name, o); err != nil {
			return err
		}
	}
	return nil
}

// dropOldest makes room in an outbox.
func dropOldest(tx kv.Txn, name string, o *box) error {
	for key := range tx.Each(outPrefix+of(name, ""), number(o.Low)) {
		o.Dropped++
		return o.remove(tx, name, key)
	}
	return tx.Err()
}

// remove takes an event out of an outbox, if it is there.
func (o *box) remove(tx kv.Txn, name, key string) error {
	full := outPrefix + of(name, key)
	if _, err := tx.Get(full); errors.Is(err, kv.ErrNotFound) {
		return nil // it gave way meanwhile
	} else if err != nil {
		return fmt.Errorf("reading an outbox: %w", err)
	}
	if err := tx.Delete(full); err != nil {
		return fmt.Errorf("emptying an outbox: %w", err)
	}
	seq, _ := strconv.ParseUint(key, 10, 64)
	o.Pending, o.Low = o.Pending-1, max(o.Low, seq+1)
	return nil
}

// waits is an event in an outbox.
type waits struct {
	key   string
	event Event
	raw   []byte
}

// first gives the first events of an outbox.
func (s *Service) first(name string, most int) ([]waits, error) {
	var list []waits
	err := s.bucket.View(func(tx kv.Txn) error {
		var o box
		if _, err := load(tx, boxPrefix+name, &o); err != nil {
			return err
		}
		for key, raw := range tx.Each(outPrefix+of(name, ""), number(o.Low)) {
			w := waits{key: key, raw: raw}
			_ = json.Unmarshal(raw, &w.event) // a damaged one is refused by the endpoint, or too old
			list = append(list, w)
			if len(list) == most {
				break
			}
		}
		return tx.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("reading an outbox: %w", err)
	}
	return list, nil
}

// letter is an event that could not be delivered.
type letter struct {
	Given  time.Time       `json:"given_up"`
	Reason string          `json:"reason"`
	Event  json.RawMessage `json:"event"`
}

// settle takes out of an outbox what was delivered, and what was given up.
func (s *Service) settle(name string, delivered []string, dead []waits, why string) error {
	if len(delivered)+len(dead) == 0 {
		return nil
	}
	err := s.bucket.Update(func(tx kv.Txn) error {
		var o box
		if _, err := load(tx, boxPrefix+name, &o); err != nil {
			return err
		}
		for _, key := range delivered {
			if err := o.remove(tx, name, key); err != nil {
				return err
			}
		}
		for _, w := range dead {
			if err := o.bury(tx, name, w, letter{s.cfg.Now(), why, w.raw}, s.cfg.DeadLetters); err != nil {
				return err
			}
		}
		return save(tx, boxPrefix+name, o)
	})
	if err != nil {
		return fmt.Errorf("emptying an outbox: %w", err)
	}
	return nil
}

// bury puts an event among the dead letters.
func (o *box) bury(tx kv.Txn, name string, w waits, l letter, most int) error {
	if !json.Valid(l.Event) {
		l.Event, _ = json.Marshal(string(l.Event))
	}
	if err := o.remove(tx, name, w.key); err != nil {
		return err
	}
	prefix := deadPrefix + of(name, "")
	if err := save(tx, prefix+w.key, l); err != nil {
		return err
	}
	o.Dead, o.Kept = o.Dead+1, o.Kept+1
	for n := 0; o.Kept > int64(most) && n < 2; n++ {
		oldest := ""
		for key := range tx.Each(prefix, "") {
			oldest = key
			break
		}
		if oldest == "" {
			return tx.Err()
		}
		if err := tx.Delete(prefix + oldest); err != nil {
			return fmt.Errorf("forgetting a dead letter: %w", err)
		}
		o.Kept--
	}
	return nil
}

// dropOutboxes removes those of endpoints that are no longer configured.
func (s *Service) dropOutboxes() error {
	configured := map[string]bool{}
	for _, ep := range s.endpoints {
		configured[ep.Name] = true
	}
	for _, prefix := range []string{outPrefix, deadPrefix, boxPrefix} {
		for more := true; more; {
			more = false
			err := s.bucket.Update(func(tx kv.Txn) error {
				var gone []string
				for key := range tx.Each(prefix, "") {
					if name, _, _ := strings.Cut(key, " "); configured[name] {
						continue
					}
					gone = append(gone, key)
					if more = len(gone) == 1000; more {
						break
					}
				}
				for _, key := range gone {
					if err := tx.Delete(prefix + key); err != nil {
						return err
					}
				}
				return tx.Err()
			})
			if err != nil {
				return fmt.Errorf("emptying outboxes: %w", err)
			}
		}
	}
	return nil
}
