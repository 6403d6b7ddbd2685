package reputation

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
)

// ErrBadRecord says that bytes are not a record this package wrote.
var ErrBadRecord = errors.New("bad reputation record")

// maxRecord bounds an encoded record in bytes; a full one has about 2,500.
const maxRecord = 8 << 10

// Change is a subject to be stored anew, or to be deleted from the store when
// Record is nil.
type Change struct {
	Subject Subject
	Record  []byte
}

// Changed gives, ordered by subject, what changed since the last call. The
// caller stores it; what a crash loses are the observations since then.
func (b *Book) Changed() []Change {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]Change, 0, len(b.dirty))
	for s := range b.dirty {
		c := Change{Subject: s}
		if h := b.shelves[s.Kind][s.ID]; h != nil { // forgotten and seen again counts as seen
			c.Record = h.encode()
		}
		out = append(out, c)
	}
	clear(b.dirty)
	slices.SortFunc(out, func(x, y Change) int {
		return cmpSubject(x.Subject, y.Subject)
	})
	return out
}

// Restore puts a stored record back, replacing what the book has of the
// subject. Anything but a record of this package is ErrBadRecord and changes
// nothing. A record from the future, written before the clock was set back,
// counts as written now.
func (b *Book) Restore(s Subject, record []byte) error {
	if !s.valid() {
		return fmt.Errorf("restoring %q %q: %w", s.Kind, s.ID, ErrBadRecord)
	}
	h, err := decodeHistory(record)
	if err != nil {
		return fmt.Errorf("restoring %s %s: %w", s.Kind, s.ID, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	h.clampTo(now)
	h.decay(now, b.cfg.HalfLife)
	b.shelves[s.Kind][s.ID] = h
	delete(b.dirty, s)
	if len(b.shelves[s.Kind]) > b.cfg.MaxSubjects {
		b.forget(s.Kind)
	}
	return nil
}

// wire is the record; see the package comment.
type wire struct {
	Version       int        `json:"v"`
	At            int64      `json:"at"`
	Verified      *wireTally `json:"verified,omitempty"`
	BadPiece      *wireTally `json:"bad_piece,omitempty"`
	BadSignature  *wireTally `json:"bad_signature,omitempty"`
	BrokenPromise *wireTally `json:"broken_promise,omitempty"`
	Timeout       *wireTally `json:"timeout,omitempty"`
	Delays        *wireTally `json:"delays,omitempty"`
	Answers       *wireTally `json:"answers,omitempty"`
	Hours         []wireHour `json:"hours,omitempty"`
}

type wireTally struct {
	Weight float64 `json:"w"`
	Last   int64   `json:"last"`
}

type wireHour struct {
	Hour   int64   `json:"h"`
	Counts []int64 `json:"n"`
}

// slots pairs each tally of a history with its field on the wire.
func (w *wire) slots(h *history) map[*tally]**wireTally {
	return map[*tally]**wireTally{
		&h.tallies[Verified]:      &w.Verified,
		&h.tallies[BadPiece]:      &w.BadPiece,
		&h.tallies[BadSignature]:  &w.BadSignature,
		&h.tallies[BrokenPromise]: &w.BrokenPromise,
		&h.tallies[Timeout]:       &w.Timeout,
		&h.delays:                 &w.Delays,
		&h.answers:                &w.Answers,
	}
}

func (h *history) encode() []byte {
	w := wire{Version: 1, At: h.at}
	for t, slot := range w.slots(h) {
		if t.last != 0 {
			*slot = &wireTally{t.weight, t.last}
		}
	}
	for _, x := range h.hours {
		w.Hours = append(w.Hours, wireHour{x.hour, x.counts[:]})
	}
	b, err := json.Marshal(w)
	if err != nil { // only for infinite weights, which maxTally rules out
		panic(fmt.Sprintf("reputation: encoding record: %v", err))
	}
	return b
}

func decodeHistory(b []byte) (*history, error) {
	if len(b) > maxRecord {
		return nil, fmt.Errorf("%d bytes: %w", len(b), ErrBadRecord)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	var w wire
	if err := dec.Decode(&w); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadRecord, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("%w: trailing data", ErrBadRecord)
	}
	if w.Version != 1 || w.At <= 0 || w.At > maxTally || len(w.Hours) > day+1 {
		return nil, fmt.Errorf("%w: out of range", ErrBadRecord)
	}
	h := &history{at: w.At}
	for t, slot := range w.slots(h) {
		if *slot == nil {
			continue
		}
		*t = tally{(*slot).Weight, (*slot).Last}
		if !(t.weight >= 0 && t.weight <= maxTally) || t.last <= 0 || t.last > w.At {
			return nil, fmt.Errorf("%w: tally out of range", ErrBadRecord)
		}
	}
	return h, h.decodeHours(w.Hours)
}

func (h *history) decodeHours(hours []wireHour) error {
	before := int64(math.MinInt64)
	for _, x := range hours {
		if x.Hour <= before || x.Hour < 0 || x.Hour > h.at/3600 || len(x.Counts) != int(numEvents) {
			return fmt.Errorf("%w: hours out of order", ErrBadRecord)
		}
		before = x.Hour
		y := hour{hour: x.Hour}
		for e, n := range x.Counts {
			if n < 0 || n > maxTally {
				return fmt.Errorf("%w: count out of range", ErrBadRecord)
			}
			y.counts[e] = n
		}
		h.hours = append(h.hours, y)
	}
	return nil
}

// clampTo moves a history from the future to now.
func (h *history) clampTo(now int64) {
	if h.at <= now {
		return
	}
	shift := h.at - now
	h.at = now
	for t := range (&wire{}).slots(h) {
		if t.last != 0 {
			t.last = max(t.last-shift, 1)
		}
	}
	if len(h.hours) == 0 {
		return
	}
	hourShift := h.hours[len(h.hours)-1].hour - now/3600
	for i := range h.hours {
		h.hours[i].hour -= hourShift
	}
	h.hours = slices.DeleteFunc(h.hours, func(x hour) bool { return x.hour < 0 })
}

func cmpSubject(x, y Subject) int {
	if x.Kind != y.Kind {
		return bytes.Compare([]byte(x.Kind), []byte(y.Kind))
	}
	return bytes.Compare([]byte(x.ID), []byte(y.ID))
}
