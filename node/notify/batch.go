package notify

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dockchains/dockchain/node/exchange"
	"github.com/dockchains/dockchain/node/kv"
)

// roomBytes is what a batch writes at most, about, before it is given to the
// database, and maxBytes with what it forgets: a transaction holds 2 MB.
const (
	roomBytes = 768 << 10
	maxBytes  = 1 << 20
)

// maxForget bounds the records that a transaction forgets at once.
const maxForget = 400

// item is an event on its way into the records.
type item struct {
	event    Event
	own      bool // of our registry: it goes to the outboxes too
	received time.Time
}

// batch is one transaction: that an event was seen, what it counts for, and that
// it is to be sent, are written together or not at all.
type batch struct {
	s       *Service
	tx      kv.Txn
	meta    meta
	repos   shelf[repoRecord]
	days    shelf[dayRecord]
	tags    shelf[tagRecord]
	actors  shelf[actorRecord]
	windows shelf[window]
	boxes   shelf[box]
	full    map[string]bool // repositories with more of something than they may have
	size    int             // bytes, about

	seen, known, odds int // events that are new, that were seen before, odd ones
}

func (s *Service) newBatch(tx kv.Txn) (*batch, error) {
	b := &batch{
		s: s, tx: tx, full: map[string]bool{},
		repos: newShelf[repoRecord](repoPrefix), days: newShelf[dayRecord](dayPrefix), tags: newShelf[tagRecord](tagPrefix),
		actors: newShelf[actorRecord](actorPrefix), windows: newShelf[window](windowPrefix), boxes: newShelf[box](boxPrefix),
	}
	_, err := load(tx, metaKey, &b.meta)
	return b, err
}

// add takes an event in, unless it is known.
func (b *batch) add(it item) error {
	key := idKey(it.event)
	switch _, err := b.tx.Get(idPrefix + key); {
	case err == nil:
		b.known++
		return nil
	case !errors.Is(err, kv.ErrNotFound):
		return fmt.Errorf("reading the id of an event: %w", err)
	}
	if err := b.remember(key, it.received); err != nil {
		return err
	}
	if t := it.event.Timestamp; t.IsZero() || t.After(it.received.Add(24*time.Hour)) {
		it.event.Timestamp = it.received // nobody's clock is that wrong
	}
	it.event.Timestamp = it.event.Timestamp.UTC()
	switch err := b.fold(it.event, key); {
	case errors.Is(err, errFull):
		raw, _ := json.Marshal(it.event) // cannot fail: it was checked
		if err := b.addOdd(odd(raw, err), it.received); err != nil {
			return err
		}
	case err != nil:
		return err
	}
	if it.own {
		return b.post(it.event)
	}
	return nil
}

func (b *batch) next() uint64 {
	b.meta.Seq++
	return b.meta.Seq
}

// remember notes that an event was seen, and forgets the oldest that were.
func (b *batch) remember(key string, now time.Time) error {
	seq := b.next()
	b.size += 256
	err := errors.Join(
		b.tx.Set(idPrefix+key, []byte(strconv.FormatUint(seq, 10))),
		b.tx.Set(idQueuePrefix+number(seq), []byte(strconv.FormatInt(now.Unix(), 10)+" "+key)),
	)
	if err != nil {
		return fmt.Errorf("noting the id of an event: %w", err)
	}
	b.meta.IDs++
	b.seen++
	return nil
}

// forgetIDs forgets ids that are too many or too old, if any were added.
func (b *batch) forgetIDs() error {
	if b.seen == 0 {
		return nil
	}
	most := 2*b.seen + 16
	oldest := b.s.cfg.Now().Add(-b.s.cfg.IDAge).Unix()
	type entry struct{ queued, key string }
	var gone []entry
	for queued, value := range b.tx.Each(idQueuePrefix, number(b.meta.IDLow)) {
		at, key, _ := strings.Cut(string(value), " ")
		seen, _ := strconv.ParseInt(at, 10, 64)
		if len(gone) == most || b.meta.IDs-len(gone) <= b.s.cfg.IDs && seen >= oldest {
			break
		}
		gone = append(gone, entry{queued, key})
	}
	for _, e := range gone {
		if err := errors.Join(b.tx.Delete(idQueuePrefix+e.queued), b.tx.Delete(idPrefix+e.key)); err != nil {
			return fmt.Errorf("forgetting the id of an event: %w", err)
		}
		seq, _ := strconv.ParseUint(e.queued, 10, 64)
		b.meta.IDs, b.meta.IDLow = b.meta.IDs-1, seq+1
	}
	return b.tx.Err()
}

// addOdd keeps what cannot be counted, in place of the oldest such.
func (b *batch) addOdd(o Odd, now time.Time) error {
	seq := b.next()
	b.size += len(o.Raw)*4/3 + 256
	if b.meta.Odd == 0 {
		b.meta.OddLow = seq
	}
	b.meta.Odd++
	b.odds++
	if err := save(b.tx, quarantinePrefix+number(seq), oddRecord{now, o.Reason, o.Raw}); err != nil {
		return err
	}
	return nil
}

// forgetOdd forgets the oldest odd events.
func (b *batch) forgetOdd() error {
	if b.odds == 0 || b.meta.Odd <= b.s.cfg.Quarantine {
		return nil
	}
	var gone []string
	for key := range b.tx.Each(quarantinePrefix, number(b.meta.OddLow)) {
		if len(gone) == min(b.meta.Odd-b.s.cfg.Quarantine, b.odds+maxForget) {
			break
		}
		gone = append(gone, key)
	}
	for _, key := range gone {
		if err := b.tx.Delete(quarantinePrefix + key); err != nil {
			return fmt.Errorf("forgetting an odd event: %w", err)
		}
		seq, _ := strconv.ParseUint(key, 10, 64)
		b.meta.Odd, b.meta.OddLow, b.meta.Dropped = b.meta.Odd-1, seq+1, b.meta.Dropped+1
	}
	return b.tx.Err()
}

type oddRecord struct {
	Received time.Time `json:"received"`
	Reason   string    `json:"reason"`
	Raw      []byte    `json:"raw"`
}

// errFull says that there is no room for another repository.
var errFull = errors.New("there is no room for the statistics of another repository")

// finish writes what was changed.
func (b *batch) finish() error {
	err := errors.Join(
		b.days.flush(b.tx), b.tags.flush(b.tx), b.actors.flush(b.tx), b.windows.flush(b.tx), b.boxes.flush(b.tx),
	)
	if err != nil {
		return err
	}
	for name := range b.full {
		if b.size > maxBytes {
			break // it is looked at again when it next grows
		}
		if err := b.prune(name); err != nil {
			return err
		}
	}
	if err := errors.Join(b.forgetIDs(), b.forgetOdd(), b.forgetWindows()); err != nil {
		return err
	}
	return errors.Join(b.repos.flush(b.tx), save(b.tx, metaKey, b.meta), b.tx.Err())
}

// over tells that a number is so far above its limit that it is worth to bring it
// down.
func over(n, limit int) bool { return n > limit+min(max(limit/10, 8), 100) }

// prune forgets the oldest days, tags and actors of a repository.
func (b *batch) prune(name string) error {
	r, _, err := b.repos.get(b.tx, name)
	if err != nil {
		return err
	}
	if r.Tags, err = trim(b, tagPrefix+of(name, ""), r.Tags, b.s.cfg.Tags, func(t tagRecord) time.Time {
		latest := t.LastPush
		later(&latest, t.LastPull)
		return latest
	}); err != nil {
		return err
	}
	if r.Actors, err = trim(b, actorPrefix+of(name, ""), r.Actors, b.s.cfg.Actors, func(a actorRecord) time.Time { return a.Last }); err != nil {
		return err
	}
	_, err = trim(b, dayPrefix+of(name, ""), b.s.cfg.Days*2, b.s.cfg.Days, func(d dayRecord) time.Time {
		t, _ := time.Parse(time.DateOnly, d.Day)
		return t
	})
	return err
}

// trim leaves the newest records below a prefix, if there are too many, and tells
// how many there are.
func trim[T any](b *batch, prefix string, have, limit int, when func(T) time.Time) (int, error) {
	if !over(have, limit) {
		return have, nil
	}
	type entry struct {
		key  string
		when time.Time
	}
	var all []entry
	for key, value := range b.tx.Each(prefix, "") {
		var v T
		_ = json.Unmarshal(value, &v) // a damaged one is the oldest
		all = append(all, entry{key, when(v)})
	}
	if err := b.tx.Err(); err != nil {
		return 0, err
	}
	slices.SortFunc(all, func(x, y entry) int { return cmp.Or(x.when.Compare(y.when), cmp.Compare(x.key, y.key)) })
	gone := min(max(len(all)-limit, 0), maxForget)
	for _, e := range all[:gone] {
		b.size += len(prefix) + len(e.key) + 64
		if err := b.tx.Delete(prefix + e.key); err != nil {
			return 0, fmt.Errorf("forgetting %s: %w", prefix+e.key, err)
		}
	}
	return len(all) - gone, nil
}

// forgetWindows forgets the clients that were not heard of for longest.
func (b *batch) forgetWindows() error {
	if !over(b.meta.Windows, b.s.cfg.Windows) {
		return nil
	}
	var gone []string
	for key := range b.tx.Each(windowQueue, "") {
		if len(gone) == min(b.meta.Windows-b.s.cfg.Windows, maxForget) {
			break
		}
		gone = append(gone, key)
	}
	for _, key := range gone {
		_, win, _ := strings.Cut(key, " ")
		if err := errors.Join(b.tx.Delete(windowQueue+key), b.tx.Delete(windowPrefix+win)); err != nil {
			return fmt.Errorf("forgetting a client: %w", err)
		}
	}
	b.meta.Windows -= len(gone)
	return b.tx.Err()
}

// day is that of an event, in UTC.
func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

func isHead(e Event) bool { return e.Action == exchange.ActionPull && e.Request.Method == "HEAD" }
