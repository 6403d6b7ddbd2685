package quota

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Rate is a token bucket's: so many a second in the long run, and so many at once.
type Rate struct {
	PerSecond float64
	Burst     int64
}

// Room is a bound on what is stored.
type Room struct {
	Entries, Bytes int64
}

// Total is a bound on everything that is stored of others.
type Total struct {
	Authors, Bytes int64
}

// Config holds all limits. Fields that are zero get their defaults.
type Config struct {
	// PeerEntries limits the entries that one peer sends, its own and those of
	// others that it passes on. Default 200 a second, 10,000 at once.
	PeerEntries Rate
	// PeerBytes limits their bytes. Default 1 MiB a second, 32 MiB at once.
	PeerBytes Rate
	// AuthorEntries limits the entries that one author publishes. Default 2 a
	// second, 1,000 at once.
	AuthorEntries Rate
	// AuthorBytes limits their bytes. Default 16 KiB a second, 4 MiB at once.
	AuthorBytes Rate
	// NewAuthors limits how many authors, of all there are, publish for the
	// first time. Default 20 a second, 2,000 at once.
	NewAuthors Rate
	// PeerAuthors limits the logs that are new here which one peer gives, when
	// logs are compared or news is followed up. Default 100 a second, 2,000 at
	// once.
	PeerAuthors Rate
	// PeerEvidence limits the evidence of one peer that proves nothing here; what
	// does is given back to it. Default 1 a second, 200 at once.
	PeerEvidence Rate
	// MaxSubjects bounds how many peers, and how many authors, are remembered,
	// about 150 bytes each. Default 16,384.
	MaxSubjects int

	// WorkBits is the least work in the inception of an author that nobody here
	// vouches for, 0 to MaxWorkBits. Default 16; -1 for none.
	WorkBits int
	// Base is the room of an author with just that work. Default 2,000 entries,
	// 4 MiB.
	Base Room
	// PerVouch is added for each trusted author that vouches. Default 20,000
	// entries, 32 MiB.
	PerVouch Room
	// MaxVouches is how many of them count. Default 16.
	MaxVouches int
	// Max is the most room of any author. Default 2,000,000 entries, 4 GiB.
	Max Room

	// Total bounds all logs of others together. Default 200,000 authors, 16 GiB.
	Total Total
	// Unused is how long a log that nobody here used stays when one of the same
	// standing wants its place. Default 30 days.
	Unused time.Duration

	// Now is the clock. Default time.Now. Steps back are taken as no time at
	// all, and a jump ahead fills buckets, which are full soon anyway.
	Now func() time.Time
}

// WithDefaults returns c with its zero fields filled in.
func (c Config) WithDefaults() Config {
	for r, d := range map[*Rate]Rate{
		&c.PeerEntries:   {200, 10_000},
		&c.PeerBytes:     {1 << 20, 32 << 20},
		&c.AuthorEntries: {2, 1_000},
		&c.AuthorBytes:   {16 << 10, 4 << 20},
		&c.NewAuthors:    {20, 2_000},
		&c.PeerAuthors:   {100, 2_000},
		&c.PeerEvidence:  {1, 200},
	} {
		if *r == (Rate{}) {
			*r = d
		}
	}
	for r, d := range map[*Room]Room{
		&c.Base:     {2_000, 4 << 20},
		&c.PerVouch: {20_000, 32 << 20},
		&c.Max:      {2_000_000, 4 << 30},
	} {
		if *r == (Room{}) {
			*r = d
		}
	}
	for n, d := range map[*int]int{&c.MaxSubjects: 16_384, &c.WorkBits: DefaultWorkBits, &c.MaxVouches: 16} {
		if *n == 0 {
			*n = d
		}
	}
	if c.Total == (Total{}) {
		c.Total = Total{Authors: 200_000, Bytes: 16 << 30}
	}
	if c.Unused == 0 {
		c.Unused = 30 * 24 * time.Hour
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// work is WorkBits without the -1 that stands for none.
func (c *Config) work() int { return max(c.WorkBits, 0) }

// Validate joins all problems of the limits that are set.
func (c Config) Validate() error {
	var errs []error
	if c.WorkBits < -1 || c.WorkBits > MaxWorkBits {
		errs = append(errs, fmt.Errorf("work of %d bits: want 0 to %d", c.WorkBits, MaxWorkBits))
	}
	if c.MaxSubjects < 0 || c.MaxVouches < 0 {
		errs = append(errs, errors.New("a negative number of subjects or vouches"))
	}
	for _, r := range []struct {
		name string
		Rate
	}{
		{"entries of a peer", c.PeerEntries}, {"bytes of a peer", c.PeerBytes}, {"entries of an author", c.AuthorEntries},
		{"bytes of an author", c.AuthorBytes}, {"new authors", c.NewAuthors},
		{"new authors of a peer", c.PeerAuthors}, {"evidence of a peer", c.PeerEvidence},
	} {
		if r.Rate != (Rate{}) && !r.ok() {
			errs = append(errs, fmt.Errorf("rate of %s: want at least one at once, and one in a year", r.name))
		}
	}
	for _, r := range []Room{c.Base, c.PerVouch, c.Max} {
		if r.Entries < 0 || r.Bytes < 0 {
			errs = append(errs, errors.New("negative room"))
		}
	}
	if c.Total != (Total{}) && (c.Total.Authors < 1 || c.Total.Bytes < 1) {
		errs = append(errs, errors.New("all logs: want room for at least one author and one byte"))
	}
	if c.Unused < 0 {
		errs = append(errs, errors.New("a negative time without use"))
	}
	return errors.Join(errs...)
}

// year is the longest that a bucket takes to fill: times stay far from overflow.
const year = 365 * 24 * time.Hour

func (r Rate) ok() bool {
	return r.Burst > 0 && r.PerSecond > 0 && !math.IsInf(r.PerSecond, 0) && float64(r.Burst)/r.PerSecond <= year.Seconds()
}

// Allowance is the room of an author whose inception has so many bits of work and
// for whom so many trusted authors vouch. It is none at all without enough work or
// a vouch.
func (c Config) Allowance(workBits, vouches int) Room {
	c = c.WithDefaults()
	return c.allowance(workBits, vouches)
}

// WorkFor is the least work with which an author that nobody vouches for has room
// for so many bytes, or false if none gives it.
func (c Config) WorkFor(bytes int64) (bits int, ok bool) {
	c = c.WithDefaults()
	for bits = c.work(); bits <= MaxWorkBits; bits++ {
		if c.allowance(bits, 0).Bytes >= bytes {
			return bits, true
		}
	}
	return 0, false
}

func (c *Config) allowance(workBits, vouches int) (r Room) {
	vouches = min(max(vouches, 0), c.MaxVouches)
	if workBits >= c.work() {
		factor := int64(1) << min(workBits-c.work(), 30)
		r = Room{times(c.Base.Entries, factor), times(c.Base.Bytes, factor)}
	}
	r.Entries = plus(r.Entries, times(c.PerVouch.Entries, int64(vouches)))
	r.Bytes = plus(r.Bytes, times(c.PerVouch.Bytes, int64(vouches)))
	return Room{min(r.Entries, c.Max.Entries), min(r.Bytes, c.Max.Bytes)}
}

// times and plus stop at the largest number.
func times(a, b int64) int64 {
	if b > 0 && a > math.MaxInt64/b {
		return math.MaxInt64
	}
	return a * b
}

func plus(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
