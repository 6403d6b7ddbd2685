// Package reputation keeps what this node itself saw of peers and authors, and
// turns it into one decaying score with reasons a person can read.
//
// It is pure: no files, no network, no clock of its own. Nothing here was told
// by somebody else, so nobody can talk a score up or down; a peer moves its
// score only by what it delivers to this node.
//
// # Score
//
// Every observation adds to a tally that halves each [Config.HalfLife]. From
// the tallies of a subject come two saturating quantities between 0 and 1,
//
//	good = v / (v + 64 MiB)           v: bytes that verified
//	bad  = 1 - 2^-b                   b: misdeeds, each with its weight
//
// and from these the score in [-1, 1], with 0 for neutral and unknown:
//
//	score = good*(1-bad) - bad
//
// Verified bytes always raise it, misdeeds always lower it, and both fade. No
// amount of good bytes outweighs misdeeds: one wrong piece (weight 1) caps the
// best peer at 0 until it has faded. The weights are in [Event]. The shape is
// that of gossipsub's peer score (capped positive part, unbounded negative
// counters, exponential decay; libp2p specs, pubsub/gossipsub-v1.1.md) and the
// figures are choices of ours, not of the literature.
//
// # Record
//
// A subject is kept between runs as one JSON document; see [Book.Changed] and
// [Book.Restore]. Decoding is strict:
//
//	{"v":1,"at":1795190400,"verified":{"w":1048576,"last":1795190400},
//	 "bad_piece":{"w":0.5,"last":1795104000},"hours":[{"h":498664,"n":[1048576,0,0,0,0]}]}
package reputation

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// Kind says what sort of subject is observed.
type Kind string

// The kinds of subjects.
const (
	Peer   Kind = "peer"
	Author Kind = "author"
)

// Subject is a peer (its peer id) or an author (its author id).
type Subject struct {
	Kind Kind   `json:"kind"`
	ID   string `json:"id"`
}

// Config sets up a [Book]. The zero value is usable.
type Config struct {
	// HalfLife is the time in which an observation loses half of its weight.
	// Default 24 hours.
	HalfLife time.Duration
	// MaxSubjects bounds the subjects remembered, of each kind. Default 4096.
	MaxSubjects int
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Book holds the observations of one node. Its methods may be called
// concurrently.
type Book struct {
	cfg Config

	mu       sync.Mutex
	shelves  map[Kind]map[string]*history // each at most cfg.MaxSubjects
	dirty    map[Subject]struct{}         // changed or forgotten since the last Changed
	lastTime int64                        // the latest time seen, unix seconds: the clock never runs backwards here
}

// New returns an empty book.
func New(cfg Config) *Book {
	if cfg.HalfLife <= 0 {
		cfg.HalfLife = 24 * time.Hour
	}
	if cfg.MaxSubjects <= 0 {
		cfg.MaxSubjects = 4096
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Book{
		cfg:     cfg,
		shelves: map[Kind]map[string]*history{Peer: {}, Author: {}},
		dirty:   map[Subject]struct{}{},
	}
}

// Observe notes that the subject did e, n times; for Verified, n is bytes.
// Unknown kinds and events, empty or overlong ids and n < 1 are ignored.
func (b *Book) Observe(s Subject, e Event, n int64) {
	if !s.valid() || e < 0 || e >= numEvents || n < 1 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	b.open(s, now).note(e, n, now)
	b.touch(s)
}

// ObserveLatency notes how long the subject took to answer. Values outside
// (0, 10 minutes] are clamped.
func (b *Book) ObserveLatency(s Subject, d time.Duration) {
	if !s.valid() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	b.open(s, now).noteLatency(min(max(d, time.Microsecond), 10*time.Minute))
	b.touch(s)
}

// Score gives the present score in [-1, 1]; 0 for a subject never seen.
func (b *Book) Score(s Subject) float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.shelves[s.Kind][s.ID]
	if h == nil {
		return 0
	}
	h.decay(b.now(), b.cfg.HalfLife)
	return h.score()
}

// Standing is the score of a subject with its reasons.
type Standing struct {
	Subject
	Score   float64       `json:"score"`
	Latency time.Duration `json:"latency,omitempty"` // average; 0 when never measured
	Reasons []string      `json:"reasons"`           // worst first; empty when nothing is known
}

// Standing explains the present score. A subject never seen is neutral,
// without reasons.
func (b *Book) Standing(s Subject) Standing {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.standing(s, b.now())
}

// Standings lists every remembered subject of a kind, best score first, ties
// by id.
func (b *Book) Standings(k Kind) []Standing {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	all := make([]Standing, 0, len(b.shelves[k]))
	for id := range b.shelves[k] {
		all = append(all, b.standing(Subject{k, id}, now))
	}
	slices.SortFunc(all, func(x, y Standing) int {
		return cmp.Or(cmp.Compare(y.Score, x.Score), cmp.Compare(x.ID, y.ID))
	})
	return all
}

func (b *Book) standing(s Subject, now int64) Standing {
	st := Standing{Subject: s, Reasons: []string{}}
	if h := b.shelves[s.Kind][s.ID]; h != nil {
		h.decay(now, b.cfg.HalfLife)
		st.Score, st.Latency, st.Reasons = h.score(), h.latency(), h.reasons(s.Kind, now)
	}
	return st
}

// nearness is the most that latency counts for in Rank: it orders peers that
// have proved about equally much, and never lifts a bad peer over a good one.
const nearness = 0.05

// Rank orders sources for a fetch, best first, without changing ids. Strangers
// come after proven peers and before those with misdeeds. Ties keep the
// caller's order, and a repeated id keeps its place.
func (b *Book) Rank(k Kind, ids []string) []string {
	type ranked struct {
		id    string
		value float64
	}
	b.mu.Lock()
	now := b.now()
	rs := make([]ranked, len(ids))
	for i, id := range ids {
		rs[i].id = id
		if h := b.shelves[k][id]; h != nil {
			h.decay(now, b.cfg.HalfLife)
			rs[i].value = h.score() + nearness*h.near()
		}
	}
	b.mu.Unlock()
	slices.SortStableFunc(rs, func(x, y ranked) int { return cmp.Compare(y.value, x.value) })
	out := make([]string, len(ids))
	for i, r := range rs {
		out[i] = r.id
	}
	return out
}

// Len is the number of remembered subjects of a kind.
func (b *Book) Len(k Kind) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.shelves[k])
}

// now is the clock in unix seconds, held back from running backwards.
func (b *Book) now() int64 {
	b.lastTime = max(b.lastTime, b.cfg.Now().Unix(), 1)
	return b.lastTime
}

// open gives the history of s, decayed to now, making one where there is none.
func (b *Book) open(s Subject, now int64) *history {
	h := b.shelves[s.Kind][s.ID]
	if h == nil {
		h = &history{at: now}
		b.shelves[s.Kind][s.ID] = h
	}
	h.decay(now, b.cfg.HalfLife)
	return h
}

// touch marks s as changed and makes room when its shelf is over its bound.
func (b *Book) touch(s Subject) {
	b.dirty[s] = struct{}{}
	if len(b.shelves[s.Kind]) > b.cfg.MaxSubjects {
		b.forget(s.Kind)
	}
}

// maxID bounds a subject's id in bytes; peer and author ids have about 60.
const maxID = 128

func (s Subject) valid() bool {
	return (s.Kind == Peer || s.Kind == Author) && s.ID != "" && len(s.ID) <= maxID
}
