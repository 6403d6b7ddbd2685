package quota

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Log is what is stored of an author other than this node's own.
type Log struct {
	Entries, Bytes int64
	WorkBits       int
	Since          time.Time // when it came
	Used           time.Time // when somebody here last asked for it; zero: never
	Fetched        bool      // somebody here has an image of it
	Frozen         bool      // its author is proven to have broken the rules
}

// Regard is what this node thinks of an author, beside what its log says.
type Regard struct {
	Kept    bool // never given up: the user gave it a name
	Asked   bool // somebody here waits for it now
	Vouches int  // of trusted authors
}

// Stock is all logs of others that are stored, within [Config.Total]. When there
// is no room for one more, others are given up for it, as the package comment
// says. Its methods may be called concurrently.
type Stock struct {
	cfg Config

	mu      sync.Mutex
	logs    map[string]*Log
	bytes   int64
	refused refused
}

// refused is who was refused last: until something is given up nobody who is no
// better needs to be compared with all logs again.
type refused struct {
	until time.Time
	rank  rank
}

// refusedFor is how long that is believed.
const refusedFor = time.Second

// NewStock returns an empty one. The configuration must be valid.
func NewStock(cfg Config) *Stock {
	return &Stock{cfg: cfg.WithDefaults(), logs: map[string]*Log{}}
}

// Get tells what is stored of an author.
func (s *Stock) Get(author string) (Log, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.logs[author]; l != nil {
		return *l, true
	}
	return Log{}, false
}

// Set says what is stored of an author.
func (s *Stock) Set(author string, l Log) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.logs[author]; old != nil {
		s.bytes -= old.Bytes
	}
	s.logs[author] = &l
	s.bytes += l.Bytes
}

// Use notes that somebody here asked for a log, or has fetched an image of it.
func (s *Stock) Use(author string, fetched bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.logs[author]; l != nil {
		l.Used = s.cfg.Now()
		l.Fetched = l.Fetched || fetched
	}
}

// Remove forgets a log that is stored no more.
func (s *Stock) Remove(author string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.logs[author]; l != nil {
		s.bytes -= l.Bytes
		delete(s.logs, author)
	}
	s.refused = refused{}
}

// Totals are of all logs.
type Totals struct {
	Authors, Entries, Bytes int64
	Largest                 int64 // bytes of the largest log
	Frozen                  int64 // logs, as far as it was noticed
}

// Totals adds up what is stored.
func (s *Stock) Totals() Totals {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := Totals{Authors: int64(len(s.logs)), Bytes: s.bytes}
	for _, l := range s.logs {
		t.Entries += l.Entries
		t.Largest = max(t.Largest, l.Bytes)
		if l.Frozen {
			t.Frozen++
		}
	}
	return t
}

// Admit tells whether there is room for more of an author's log, which may be new,
// and which logs are to be given up for it first. regard is asked about the
// authors of those, and frozen about the few that are chosen.
func (s *Stock) Admit(a Author, asked bool, cost Cost, regard func(author string) Regard, frozen func(author string) bool) (giveUp []string, d Decision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	cost = cost.positive()
	authors, bytes := int64(len(s.logs))-s.cfg.Total.Authors, plus(s.bytes, cost.Bytes)-s.cfg.Total.Bytes
	if s.logs[a.ID] == nil {
		authors++
	} else {
		authors = 0
	}
	if a.Exempt || authors <= 0 && bytes <= 0 {
		return nil, Decision{OK: true}
	}
	now := s.cfg.Now()
	mine := rank{asked: asked, vouches: a.Vouches, bits: a.WorkBits}
	if now.Before(s.refused.until) && mine.compare(s.refused.rank) <= 0 {
		return nil, s.refuse(authors)
	}
	giveUp, ok := s.choose(a.ID, mine, authors, bytes, regard, frozen, now)
	if !ok {
		s.refused = refused{now.Add(refusedFor), mine}
		return nil, s.refuse(authors)
	}
	return giveUp, Decision{OK: true}
}

func (s *Stock) refuse(authors int64) Decision {
	const none = "and none of the rest may be given up for this one"
	if authors > 0 {
		return Decision{Rule: TotalAuthors, Reason: fmt.Sprintf("%d authors have logs here, which is all that may, %s", len(s.logs), none)}
	}
	return Decision{Rule: TotalBytes, Reason: fmt.Sprintf("all logs here have %d bytes of the %d that they may, %s", s.bytes, s.cfg.Total.Bytes, none)}
}

// slack is the part of all room, 1 in so many, that is made at once.
const slack = 256

// choose finds logs to give up that together free so many authors and bytes, the
// least first, and rather more than that, so that it is not done for each one
// anew.
func (s *Stock) choose(self string, mine rank, authors, bytes int64, regard func(string) Regard, frozen func(string) bool, now time.Time) ([]string, bool) {
	order, guilty := s.candidates(self, mine, regard, now)
	var out []string
	var freed, freedBytes int64
	enough := func(more int64) bool {
		return (authors <= 0 || freed >= authors+more*(s.cfg.Total.Authors/slack)) &&
			(bytes <= 0 || freedBytes >= bytes+more*(s.cfg.Total.Bytes/slack))
	}
	for _, id := range order {
		if enough(1) {
			break
		}
		l := s.logs[id]
		if is := frozen(id); is != l.Frozen {
			l.Frozen = is
			if is {
				guilty++
			} else {
				guilty--
			}
		}
		if l.Frozen && guilty <= s.cfg.Total.Authors/2 {
			continue
		}
		out, freed, freedBytes = append(out, id), freed+1, freedBytes+l.Bytes
		if l.Frozen {
			guilty--
		}
	}
	return out, enough(0)
}

// candidates are the logs that may be given up for somebody of a rank, the least
// first, and how many of all logs are known to be frozen.
func (s *Stock) candidates(self string, mine rank, regard func(string) Regard, now time.Time) (order []string, guilty int64) {
	ranks := map[string]rank{}
	for id, l := range s.logs {
		if l.Frozen {
			guilty++
		}
		r := regard(id)
		if id == self || r.Kept || l.Fetched {
			continue
		}
		its := rank{
			asked: r.Asked || !l.Used.IsZero() && now.Sub(l.Used) < s.cfg.Unused, vouches: r.Vouches, bits: l.WorkBits, last: l.Since,
		}
		if l.Used.After(its.last) {
			its.last = l.Used
		}
		c := mine.compare(its)
		if c > 0 || c == 0 && now.Sub(its.last) >= s.cfg.Unused {
			ranks[id] = its
			order = append(order, id)
		}
	}
	slices.SortFunc(order, func(a, b string) int {
		return cmp.Or(ranks[a].compare(ranks[b]), ranks[a].last.Compare(ranks[b].last), cmp.Compare(a, b))
	})
	return order, guilty
}

// rank orders logs by how much they are worth keeping.
type rank struct {
	asked   bool // somebody here asks for it, or did lately
	vouches int
	bits    int
	last    time.Time // when it came or was used
}

// compare leaves out the time.
func (r rank) compare(o rank) int {
	if r.asked != o.asked {
		if r.asked {
			return 1
		}
		return -1
	}
	return cmp.Or(cmp.Compare(r.vouches, o.vouches), cmp.Compare(r.bits, o.bits))
}
