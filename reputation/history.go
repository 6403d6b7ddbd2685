package reputation

import (
	"math"
	"slices"
	"time"
)

// Event is something a subject did.
type Event int

// The events, with the weight of each misdeed.
const (
	// Verified: bytes arrived from the subject (a peer), or of its releases
	// (an author), and matched their digest or piece hash.
	Verified Event = iota
	// BadPiece (weight 1): bytes that did not match their hash.
	BadPiece
	// BadSignature (weight 2): an entry, checkpoint or record whose signature
	// or proof does not hold. Unlike a wrong piece it cannot be an accident of
	// the disk or the wire: it travelled under an authenticated channel.
	BadSignature
	// BrokenPromise (weight 0.5): announced or signed something and did not
	// deliver it.
	BrokenPromise
	// Timeout (weight 0.1): no answer in time. It happens to the best.
	Timeout

	numEvents
)

var weights = [numEvents]float64{BadPiece: 1, BadSignature: 2, BrokenPromise: 0.5, Timeout: 0.1}

// halfGood is the verified bytes at which the good part reaches one half.
const halfGood = 64 << 20

// maxTally keeps tallies in a range where float64 arithmetic stays exact for
// whole numbers and nothing overflows.
const maxTally = 1 << 52

// tally is a decaying sum.
type tally struct {
	weight float64 // of what happened, halved every half-life since
	last   int64   // when it last happened, unix seconds; 0 for never
}

// history is all that is known of one subject.
type history struct {
	at      int64 // the time the weights are decayed to, unix seconds
	tallies [numEvents]tally
	delays  tally  // seconds waited, summed; decays with answers
	answers tally  // answers timed
	hours   []hour // what happened in the last 24 hours, oldest first: reasons count in it
}

// hour counts the events of one hour since 1970.
type hour struct {
	hour   int64
	counts [numEvents]int64
}

const day = 24 // hours kept in history.hours

func (h *history) note(e Event, n, now int64) {
	n = min(n, maxTally)
	t := &h.tallies[e]
	t.weight = min(t.weight+float64(n), maxTally)
	t.last = now
	this := now / 3600
	if len(h.hours) == 0 || h.hours[len(h.hours)-1].hour < this {
		h.hours = append(h.hours, hour{hour: this})
	}
	last := &h.hours[len(h.hours)-1]
	last.counts[e] = min(last.counts[e]+n, maxTally)
}

func (h *history) noteLatency(d time.Duration) {
	h.delays.weight = min(h.delays.weight+d.Seconds(), maxTally)
	h.answers.weight = min(h.answers.weight+1, maxTally)
	h.delays.last, h.answers.last = h.at, h.at
}

// decay brings the history to now. Times before h.at change nothing.
func (h *history) decay(now int64, halfLife time.Duration) {
	if now <= h.at {
		return
	}
	f := math.Exp2(-float64(now-h.at) / halfLife.Seconds())
	for e := range h.tallies {
		h.tallies[e].weight *= f
	}
	h.delays.weight *= f
	h.answers.weight *= f
	h.at = now
	h.hours = slices.DeleteFunc(h.hours, func(x hour) bool { return x.hour <= now/3600-day })
}

func (h *history) good() float64 {
	v := h.tallies[Verified].weight
	return v / (v + halfGood)
}

func (h *history) bad() float64 {
	b := 0.0
	for e, t := range h.tallies {
		b += weights[e] * t.weight
	}
	return 1 - math.Exp2(-b)
}

func (h *history) score() float64 {
	bad := h.bad()
	return h.good()*(1-bad) - bad
}

// latency is the average of timed answers, recent ones counting more; 0 when
// there was none, or none lately.
func (h *history) latency() time.Duration {
	if h.answers.weight < 1e-3 {
		return 0
	}
	return time.Duration(h.delays.weight / h.answers.weight * float64(time.Second))
}

// near maps latency to (-1, 1): 0 when unknown or 100 ms, more when nearer.
func (h *history) near() float64 {
	l := h.latency().Seconds()
	if l == 0 {
		return 0
	}
	return (0.1 - l) / (0.1 + l)
}
