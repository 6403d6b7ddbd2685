package notify

import (
	"fmt"
	"runtime"

	"github.com/dockchains/dockchain/node/kv"
)

// job is what one call wants written.
type job struct {
	items []item
	odds  []Odd
	err   error
	turn  chan bool // true: it is written, or failed with err; false: you write the next group
}

// maxGroup bounds the jobs that are written together.
const maxGroup = 1024

// commit returns when a job is durable. Jobs that come at the same time share
// transactions, for it is the sync that takes the time: the first to come writes,
// and those who come while it writes form the next group, which one of them
// writes. Pulls of our registry that wait are written with every group, before it.
func (s *Service) commit(j *job) error {
	j.turn = make(chan bool, 1)
	s.mu.Lock()
	s.waiting = append(s.waiting, j)
	lead := !s.busy
	s.busy = true
	s.mu.Unlock()
	if lead || !<-j.turn {
		s.lead(j)
	}
	return j.err
}

// lead writes one group, which j is the first of, and hands over.
func (s *Service) lead(j *job) {
	runtime.Gosched() // those the last group woke come along
	s.mu.Lock()
	n := min(len(s.waiting), maxGroup)
	group := append([]*job(nil), s.waiting[:n]...)
	s.waiting = append([]*job(nil), s.waiting[n:]...)
	pulls := s.pulls
	s.pulls = nil
	s.mu.Unlock()

	s.write(group, pulls)
	for _, other := range group {
		if other != j {
			other.turn <- true
		}
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) > 0 {
		s.waiting[0].turn <- false
		return
	}
	s.busy = false
}

// write writes pulls and a group, and sets the err of each job. What was written
// before something failed is there, and known again when it comes again.
func (s *Service) write(group []*job, pulls []item) {
	early := &job{items: pulls}
	queue := append([]*job{early}, group...)
	var failed error
	w := writer{s: s, jobs: queue}
	for failed == nil && !w.done() {
		failed = w.transaction()
	}
	if failed == nil {
		s.wakeEndpoints()
		return
	}
	if w.job == 0 {
		s.putBack(pulls[w.item:])
	}
	for _, j := range queue[w.job:] {
		j.err = fmt.Errorf("counting events: %w", failed)
	}
	if w.job == 0 && len(group) > 0 && len(group[0].items)+len(group[0].odds) == 0 {
		group[0].err = early.err
	}
}

// writer goes through jobs, a transaction at a time.
type writer struct {
	s         *Service
	jobs      []*job
	job, item int // the next one; items of a job are counted before its odd ones
}

func (w *writer) done() bool {
	for w.job < len(w.jobs) && w.item == len(w.jobs[w.job].items)+len(w.jobs[w.job].odds) {
		w.job, w.item = w.job+1, 0
	}
	return w.job == len(w.jobs)
}

// transaction writes as much as there is room for.
func (w *writer) transaction() error {
	next := *w
	var b *batch
	err := w.s.bucket.Update(func(tx kv.Txn) (err error) {
		if b, err = w.s.newBatch(tx); err != nil {
			return err
		}
		for !next.done() && b.size < roomBytes {
			j := next.jobs[next.job]
			if i := next.item; i < len(j.items) {
				err = b.add(j.items[i])
			} else {
				err = b.addOdd(j.odds[i-len(j.items)], w.s.cfg.Now())
			}
			if err != nil {
				return err
			}
			next.item++
		}
		return b.finish()
	})
	if err != nil {
		return err
	}
	w.job, w.item = next.job, next.item
	w.s.counts.duplicates.Add(int64(b.known))
	w.s.counts.odd.Add(int64(b.odds))
	return nil
}

// putBack queues pulls again that were not written, before those that came
// meanwhile.
func (s *Service) putBack(pulls []item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pulls = append(append([]item(nil), pulls...), s.pulls...)
	if n := len(s.pulls) - s.cfg.Pulls; n > 0 {
		s.counts.dropped.Add(int64(n))
		s.pulls = s.pulls[:s.cfg.Pulls]
	}
}
