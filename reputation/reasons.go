package reputation

import (
	"fmt"
	"time"
)

// phrases name an event in the past, for one, for many, and without a number.
// Numbers are put in for %s.
var phrases = map[Kind][numEvents]phrase{
	Peer: {
		Verified:      {"delivered %s that verified", "delivered %s that verified", "delivered bytes that verified"},
		BadPiece:      {"sent %s wrong piece", "sent %s wrong pieces", "sent wrong pieces"},
		BadSignature:  {"passed on %s entry with a bad signature or proof", "passed on %s entries with bad signatures or proofs", "passed on entries with bad signatures or proofs"},
		BrokenPromise: {"did not deliver what it announced, %s time", "did not deliver what it announced, %s times", "did not deliver what it announced"},
		Timeout:       {"did not answer %s request", "did not answer %s requests", "did not answer requests"},
	},
	Author: {
		Verified:      {"released %s that verified", "released %s that verified", "released content that verified"},
		BadPiece:      {"released content with %s wrong piece", "released content with %s wrong pieces", "released content with wrong pieces"},
		BadSignature:  {"signed %s entry that does not hold", "signed %s entries that do not hold", "signed entries that do not hold"},
		BrokenPromise: {"released content that does not match its entry, %s time", "released content that does not match its entry, %s times", "released content that does not match its entry"},
		Timeout:       {"content could not be found, %s time", "content could not be found, %s times", "content could not be found"},
	},
}

type phrase struct{ one, many, some string }

// faint is the weight under which a past event is not worth a sentence.
const faint = 0.01

// tellingOrder is that of the reasons: what weighs most against the subject
// first, the good last.
var tellingOrder = [...]Event{BadSignature, BadPiece, BrokenPromise, Timeout, Verified}

// reasons explains the score: an event of the last day with its number, an
// older one that still weighs with its age. The history is decayed to now.
func (h *history) reasons(k Kind, now int64) []string {
	out := []string{}
	for _, e := range tellingOrder {
		p, t := phrases[k][e], h.tallies[e]
		switch n := h.lastDay(e); {
		case n == 1 && e != Verified:
			out = append(out, fmt.Sprintf(p.one, "1")+" in the last day")
		case n > 0:
			out = append(out, fmt.Sprintf(p.many, amount(e, n))+" in the last day")
		case t.last > 0 && t.weight*weightOrByte(e) >= faint:
			out = append(out, p.some+" "+age(now-t.last))
		}
	}
	if l := h.latency(); l > 0 {
		out = append(out, "answers in "+roundLatency(l).String()+" on average")
	}
	return out
}

func (h *history) lastDay(e Event) int64 {
	n := int64(0)
	for _, x := range h.hours {
		n = min(n+x.counts[e], maxTally)
	}
	return n
}

// weightOrByte makes tallies comparable with faint: a misdeed by its weight,
// bytes by their part of halfGood.
func weightOrByte(e Event) float64 {
	if e == Verified {
		return 1.0 / halfGood
	}
	return weights[e]
}

func amount(e Event, n int64) string {
	if e == Verified {
		return size(n)
	}
	return fmt.Sprint(n)
}

// size writes bytes the way layers are shown: powers of 1000, one decimal.
func size(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	f, unit := float64(n), ""
	for _, u := range []string{"kB", "MB", "GB", "TB", "PB"} {
		if f, unit = f/1000, u; f < 999.95 {
			break
		}
	}
	return fmt.Sprintf("%.1f %s", f, unit)
}

func age(seconds int64) string {
	switch days := seconds / 86400; {
	case days <= 1:
		return "a day ago"
	default:
		return fmt.Sprintf("%d days ago", days)
	}
}

func roundLatency(d time.Duration) time.Duration {
	switch {
	case d >= time.Second:
		return d.Round(100 * time.Millisecond)
	case d >= time.Millisecond:
		return d.Round(time.Millisecond)
	}
	return d.Round(time.Microsecond)
}
