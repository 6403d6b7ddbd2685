package quota

import (
	"fmt"
	"maps"
	"sync"
	"time"
)

// Cost is what is to be charged. Negative numbers count as none.
type Cost struct {
	Entries, Bytes int64
}

// Author is what a decision on an author rests on, all of it verified by the
// caller.
type Author struct {
	ID       string
	WorkBits int  // that its inception says and CheckWork confirmed
	Vouches  int  // distinct trusted authors whose vouches for it are in force
	Held     Room // what is stored of it here; zero: its log is new here
	Exempt   bool // this node's own, or followed by choice: no limits
}

// Rule is the limit that decided. Its values are fit for labels of metrics.
type Rule string

// The rules.
const (
	PeerEntries   Rule = "peer_entries"
	PeerBytes     Rule = "peer_bytes"
	AuthorEntries Rule = "author_entries"
	AuthorBytes   Rule = "author_bytes"
	NewAuthors    Rule = "new_authors"
	PeerAuthors   Rule = "peer_authors"
	PeerEvidence  Rule = "peer_evidence"
	TooLittleWork Rule = "work"
	RoomEntries   Rule = "room_entries"
	RoomBytes     Rule = "room_bytes"
	TotalAuthors  Rule = "total_authors"
	TotalBytes    Rule = "total_bytes"
)

func rules() []Rule {
	return []Rule{
		PeerEntries, PeerBytes, AuthorEntries, AuthorBytes, NewAuthors, PeerAuthors, PeerEvidence,
		TooLittleWork, RoomEntries, RoomBytes, TotalAuthors, TotalBytes,
	}
}

// Decision is the answer to one question.
type Decision struct {
	OK     bool
	Rule   Rule          // that refused; "" if OK
	Reason string        // for a person; "" if OK
	Wait   time.Duration // after which the same may pass; 0 if OK, or if waiting does not help
}

// Stats are for metrics. Counters count since New.
type Stats struct {
	Peers, Authors int             // remembered now
	Displaced      uint64          // subjects forgotten while their buckets were not full
	Heard          Cost            // let through by Hear
	Published      Cost            // let through by Publish
	Kept           Cost            // let through by Keep
	Begun          int64           // logs let through by Begin
	Refused        map[Rule]uint64 // questions, by the limit that refused; all rules are there
}

// Quota decides. Its methods may be called concurrently. It does not remember
// what is stored: two decisions on one author at the same time both see the same
// [Author.Held], so whoever stores asks while it holds the author's log.
type Quota struct {
	cfg Config

	mu         sync.Mutex
	last       time.Time // that cfg.Now gave
	now        int64     // all steps ahead since New, in nanoseconds
	peers      *crowd
	authors    *crowd
	newcomers  limit
	newcomerAt int64 // when the bucket of new authors is full
	stats      Stats
}

// New returns a quota with all buckets full.
func New(cfg Config) (*Quota, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("reading quotas: %w", err)
	}
	cfg = cfg.WithDefaults()
	q := &Quota{
		cfg: cfg, last: cfg.Now(),
		peers:     newCrowd(cfg.MaxSubjects, cfg.PeerEntries, cfg.PeerBytes, cfg.PeerAuthors, cfg.PeerEvidence),
		authors:   newCrowd(cfg.MaxSubjects, cfg.AuthorEntries, cfg.AuthorBytes),
		newcomers: cfg.NewAuthors.limit(),
	}
	q.stats.Refused = map[Rule]uint64{}
	for _, r := range rules() {
		q.stats.Refused[r] = 0
	}
	return q, nil
}

// Hear charges a peer for what it sent, before any of it is verified.
func (q *Quota) Hear(peer string, cost Cost) Decision {
	cost = cost.positive()
	q.mu.Lock()
	defer q.mu.Unlock()
	d := q.charge(q.peers, peer, [numBuckets]int64{ofEntries: cost.Entries, ofBytes: cost.Bytes}, []hurdle{
		{PeerEntries, "this peer sends more entries than %s", q.cfg.PeerEntries},
		{PeerBytes, "this peer sends more bytes than %s", q.cfg.PeerBytes},
	})
	return q.count(d, cost, &q.stats.Heard)
}

// Begin charges a peer for a log that is new here, before it is fetched.
func (q *Quota) Begin(peer string) Decision {
	q.mu.Lock()
	defer q.mu.Unlock()
	d := q.charge(q.peers, peer, [numBuckets]int64{ofAuthors: 1}, []hurdle{
		ofAuthors: {PeerAuthors, "this peer brings more new authors than %s", q.cfg.PeerAuthors},
	})
	if d.OK {
		q.stats.Begun++
	}
	return q.count(d, Cost{}, &Cost{})
}

// Accuse charges a peer for evidence, before it is verified. If it then proves
// something, [Quota.Proven] gives that back: only what proves nothing costs.
func (q *Quota) Accuse(peer string) Decision {
	q.mu.Lock()
	defer q.mu.Unlock()
	d := q.charge(q.peers, peer, [numBuckets]int64{ofEvidence: 1}, []hurdle{
		ofEvidence: {PeerEvidence, "this peer sends more evidence that proves nothing than %s", q.cfg.PeerEvidence},
	})
	return q.count(d, Cost{}, &Cost{})
}

// Proven says that the evidence of a peer was good.
func (q *Quota) Proven(peer string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.peers.giveBack(peer, ofEvidence)
}

// Config is what the quota goes by, with defaults filled in.
func (q *Quota) Config() Config { return q.cfg }

// Publish charges an author for what it signed and what is new here, if there is
// room for it.
func (q *Quota) Publish(a Author, cost Cost) Decision {
	cost = cost.positive()
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.count(q.publish(a, cost), cost, &q.stats.Published)
}

func (q *Quota) publish(a Author, cost Cost) Decision {
	if a.Exempt {
		return Decision{OK: true}
	}
	if d := q.room(a, cost); !d.OK {
		return d
	}
	now, newcomerAt := q.tick(), q.newcomerAt
	if a.Held == (Room{}) {
		after, wait := q.newcomers.take(newcomerAt, now, 1)
		if wait != 0 {
			return hurdle{NewAuthors, "more authors are new than %s", q.cfg.NewAuthors}.refuse(wait)
		}
		newcomerAt = after
	}
	d := q.charge(q.authors, a.ID, [numBuckets]int64{ofEntries: cost.Entries, ofBytes: cost.Bytes}, []hurdle{
		{AuthorEntries, "this author publishes more entries than %s", q.cfg.AuthorEntries},
		{AuthorBytes, "this author publishes more bytes than %s", q.cfg.AuthorBytes},
	})
	if d.OK {
		q.newcomerAt = newcomerAt
	}
	return d
}

// Keep tells whether there is room for entries of an author, however fast they
// come: this node asked for them.
func (q *Quota) Keep(a Author, cost Cost) Decision {
	cost = cost.positive()
	d := Decision{OK: true}
	if !a.Exempt {
		d = q.room(a, cost)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.count(d, cost, &q.stats.Kept)
}

// Allowance is the room of an author.
func (q *Quota) Allowance(a Author) Room { return q.cfg.allowance(a.WorkBits, a.Vouches) }

func (q *Quota) room(a Author, cost Cost) Decision {
	if a.WorkBits < q.cfg.work() && a.Vouches < 1 {
		return Decision{Rule: TooLittleWork, Reason: fmt.Sprintf(
			"the inception of this author has %d bits of work, %d are wanted of authors that nobody trusted here vouches for", a.WorkBits, q.cfg.work())}
	}
	may := q.cfg.allowance(a.WorkBits, a.Vouches)
	for _, r := range []struct {
		rule              Rule
		held, more, allow int64
		what              string
	}{
		{RoomEntries, a.Held.Entries, cost.Entries, may.Entries, "entries"},
		{RoomBytes, a.Held.Bytes, cost.Bytes, may.Bytes, "bytes"},
	} {
		if plus(max(r.held, 0), r.more) > r.allow {
			return Decision{Rule: r.rule, Reason: fmt.Sprintf(
				"this author has %d %s here and wants to add %d; with %d bits of work and %d vouches it may have %d",
				max(r.held, 0), r.what, r.more, a.WorkBits, max(a.Vouches, 0), r.allow)}
		}
	}
	return Decision{OK: true}
}

// hurdle is a rate with the words for having run into it.
type hurdle struct {
	rule Rule
	text string // with %s for the rate's numbers
	rate Rate
}

func (h hurdle) refuse(wait int64) Decision {
	d := Decision{Rule: h.rule, Reason: fmt.Sprintf(h.text, fmt.Sprintf("the %d at once and %g a second that are allowed", h.rate.Burst, h.rate.PerSecond))}
	if wait == never {
		d.Reason = fmt.Sprintf(h.text, fmt.Sprintf("the %d that are allowed in one piece", h.rate.Burst))
		return d
	}
	d.Wait = time.Duration(wait)
	d.Reason += fmt.Sprintf("; again in %s", max(d.Wait.Round(time.Millisecond), time.Millisecond))
	return d
}

// charge takes from the buckets of a subject, for which there is a hurdle each.
func (q *Quota) charge(c *crowd, id string, cost [numBuckets]int64, hurdles []hurdle) Decision {
	if wait, short := c.take(id, q.tick(), cost); wait != 0 {
		return hurdles[short].refuse(wait)
	}
	return Decision{OK: true}
}

func (q *Quota) count(d Decision, cost Cost, passed *Cost) Decision {
	if !d.OK {
		q.stats.Refused[d.Rule]++
		return d
	}
	passed.Entries, passed.Bytes = plus(passed.Entries, cost.Entries), plus(passed.Bytes, cost.Bytes)
	return d
}

// Stats returns what was decided so far.
func (q *Quota) Stats() Stats {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.stats
	s.Refused = maps.Clone(s.Refused)
	s.Peers, s.Authors = len(q.peers.byID), len(q.authors.byID)
	s.Displaced = q.peers.replaced + q.authors.replaced
	return s
}

// tick reads the clock.
func (q *Quota) tick() int64 {
	now := q.cfg.Now()
	if step := now.Sub(q.last); step > 0 {
		q.now += int64(min(step, year))
	}
	q.last = now
	return q.now
}

func (c Cost) positive() Cost { return Cost{max(c.Entries, 0), max(c.Bytes, 0)} }

// Refuse counts a refusal that was decided elsewhere, as by [Stock.Admit].
func (q *Quota) Refuse(d Decision) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.count(d, Cost{}, &Cost{})
}
