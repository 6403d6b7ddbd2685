package exchange

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// Bounds of asking peers for their time.
const (
	maxClocks   = 16
	clockWithin = 3 * time.Second
)

// ClockStatus compares this node's clock with those of its peers, of which some may
// lie: half of them have to agree on one to move the median.
type ClockStatus struct {
	Now   time.Time `json:"now"`   // here
	Peers int       `json:"peers"` // that told their time
	// Ahead is how far this clock is ahead of the median of theirs, in seconds.
	Ahead float64 `json:"ahead"`
	// Stepped is how far the clock was set forward since the node started, in
	// seconds; negative is back.
	Stepped float64 `json:"stepped"`
}

// ticking is what the clock said when the node began.
type ticking struct{ wall, steady time.Time }

func startTicking(now func() time.Time) ticking {
	return ticking{wall: now().Round(0), steady: time.Now()}
}

// stepped is how much more time went by on the clock than did.
func (t ticking) stepped(now time.Time) time.Duration {
	return now.Round(0).Sub(t.wall) - time.Since(t.steady)
}

// answerTime tells what the clock of this node says.
func (x *Exchange) answerTime(_ context.Context, _ peer.ID, req []byte) ([]byte, error) {
	if len(req) != 0 {
		return nil, fmt.Errorf("%w: a question about the time is empty", ErrGarbage)
	}
	return strconv.AppendInt(nil, x.now().UnixMilli(), 10), nil
}

// decodeTime reads such an answer.
func decodeTime(b []byte) (time.Time, error) {
	if len(b) > 20 {
		return time.Time{}, fmt.Errorf("%w: a time of %d bytes", ErrGarbage, len(b))
	}
	ms, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: %w", ErrGarbage, err)
	}
	return time.UnixMilli(ms), nil
}

// Clock asks peers for their time.
func (x *Exchange) Clock(ctx context.Context) (ClockStatus, error) {
	s := ClockStatus{Now: x.now(), Stepped: x.ticking.stepped(x.now()).Seconds()}
	if x.Net == nil {
		return s, nil
	}
	peers := x.Net.Connected()
	peers = peers[:min(len(peers), maxClocks)]
	ctx, cancel := context.WithTimeout(ctx, clockWithin)
	defer cancel()
	ahead := make([]*float64, len(peers))
	var wg sync.WaitGroup
	for i, p := range peers {
		wg.Go(func() { ahead[i] = x.aheadOf(ctx, p) })
	}
	wg.Wait()
	var all []float64
	for _, a := range ahead {
		if a != nil {
			all = append(all, *a)
		}
	}
	slices.Sort(all)
	if s.Peers = len(all); s.Peers > 0 {
		s.Ahead = all[(len(all)-1)/2]
	}
	return s, nil
}

// aheadOf is how many seconds this clock is ahead of a peer's, halfway through the
// question; nil: it did not say.
func (x *Exchange) aheadOf(ctx context.Context, p peer.ID) *float64 {
	asked, began := x.now(), time.Now()
	b, err := x.Net.Request(ctx, p, OpTime, nil)
	if err != nil {
		return nil
	}
	theirs, err := decodeTime(b)
	if err != nil {
		return nil
	}
	ahead := asked.Add(time.Since(began) / 2).Sub(theirs).Seconds()
	return &ahead
}
