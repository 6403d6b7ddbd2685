package notify

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/dockchains/dockchain/node/kv"
)

// Service takes events in, counts them, and tells others. Its methods may be
// called concurrently.
type Service struct {
	cfg       Config
	log       *slog.Logger
	bucket    kv.Bucket
	endpoints []*endpoint
	instance  string // of the source of our events, another one after each start
	bodies    *semaphore.Weighted

	mu      sync.Mutex
	waiting []*job // for the next group
	busy    bool   // somebody writes
	pulls   []item // of our registry, not written yet
	pulled  chan struct{}

	counts counts
}

// counts are since the start.
type counts struct {
	received, duplicates, odd, own, dropped, failed atomic.Int64
}

// New opens the records in a bucket. Nothing is sent before Run.
func New(cfg Config, bucket kv.Bucket, log *slog.Logger) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("notifications: %w", err)
	}
	s := &Service{
		cfg: cfg.withDefaults(), log: log.With("component", "notify"), bucket: bucket, instance: rand.Text(),
		bodies: semaphore.NewWeighted(8 * MaxBody), pulled: make(chan struct{}, 1),
	}
	for _, e := range cfg.Endpoints {
		ep, err := newEndpoint(e.withDefaults())
		if err != nil {
			return nil, fmt.Errorf("notifications: endpoint %q: %w", e.Name, err)
		}
		s.endpoints = append(s.endpoints, ep)
	}
	return s, nil
}

// Run writes pulls and tells the endpoints until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	if err := s.dropOutboxes(); err != nil {
		s.log.Warn("outboxes of former endpoints are not removed", "err", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		s.writePulls(ctx)
		return nil
	})
	for _, ep := range s.endpoints {
		if !ep.Disabled {
			g.Go(func() error {
				s.deliver(ctx, ep)
				return nil
			})
		}
	}
	return g.Wait()
}

// writePulls writes the pulls that wait, and at the end of ctx the last ones.
func (s *Service) writePulls(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			if err := s.commit(&job{}); err != nil {
				s.log.Warn("the last pulls are not counted", "err", err)
			}
			return
		case <-s.pulled:
		}
		if err := s.commit(&job{}); err != nil {
			s.log.Warn("pulls are not counted yet", "err", err)
			if !sleep(ctx, time.Second) {
				continue
			}
			s.wakePulls()
		}
	}
}

// Close writes the pulls that were observed after Run ended.
func (s *Service) Close() error {
	s.mu.Lock()
	n := len(s.pulls)
	s.mu.Unlock()
	if n == 0 {
		return nil
	}
	return s.commit(&job{})
}

func (s *Service) wakePulls() {
	select {
	case s.pulled <- struct{}{}:
	default:
	}
}

// sleep waits, and tells whether ctx has not ended meanwhile.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// Stats is what was done since the start, and what waits.
type Stats struct {
	Received   int64 // events posted here
	Duplicates int64 // of those, known before
	Odd        int64 // put aside
	Own        int64 // of our registry
	Dropped    int64 // pulls of our registry that there was no room for
	Failed     int64 // events that could not be written
	Endpoints  []EndpointStats
}

// EndpointStats is an outbox.
type EndpointStats struct {
	Name       string
	Pending    int64 // events that wait
	Delivered  int64
	Failures   int64 // attempts that failed
	Dropped    int64 // events that gave way to newer ones
	Dead       int64 // events given up
	LastStatus int   // of the last answer; 0: none came
	LastError  string
}

// Stats counts.
func (s *Service) Stats() Stats {
	c := &s.counts
	st := Stats{
		Received: c.received.Load(), Duplicates: c.duplicates.Load(), Odd: c.odd.Load(),
		Own: c.own.Load(), Dropped: c.dropped.Load(), Failed: c.failed.Load(),
	}
	for _, ep := range s.endpoints {
		st.Endpoints = append(st.Endpoints, s.endpointStats(ep))
	}
	return st
}
